import { render } from "preact";
import "../../demo/src/styles/fonts.css";
import "../../demo/src/styles/tokens.css";
import "../../demo/src/styles/base.css";
import "./styles/frame.css";
import "./styles/lists.css";
import { App } from "./ui/app.tsx";

const root = document.getElementById("app");
if (root) render(<App />, root);

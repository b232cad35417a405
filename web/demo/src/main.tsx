import { Parley } from "@parley/client";
import { render } from "preact";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/thread.css";
import "./styles/payment.css";
import "./styles/dialog.css";
import "./styles/gate.css";
import "./styles/money.css";
import "./styles/call.css";
import { keepSheet } from "./dialogs.ts";
import { openedLink } from "./links.ts";
import { Store } from "./store.ts";
import { App } from "./ui/app.tsx";
import { StoreContext } from "./ui/context.ts";
import { Welcome } from "./ui/welcome.tsx";

const TOKEN = "parley.demo.token";

declare global {
  /** The SDK's client of this page, for whoever wants to try it in the browser's console. */
  var parley: Parley | undefined;
}

/** The token comes once in the link's fragment, which no server sees; a reload finds it in this tab. */
function takeToken(): string | null {
  const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromLink) {
    // Perhaps another person's: their sheet is not for this one.
    keepSheet(undefined);
    sessionStorage.setItem(TOKEN, fromLink);
    history.replaceState(null, "", "#/");
  }
  return fromLink ?? sessionStorage.getItem(TOKEN);
}

function start(): void {
  const root = document.getElementById("app");
  const token = takeToken();
  if (!root) return;
  if (!token) {
    render(<Welcome />, root);
    return;
  }
  const parley = new Parley({ url: location.origin, token });
  globalThis.parley = parley;
  const store = new Store(parley);
  const link = openedLink();
  if (link) store.open({ kind: "link", link });
  parley.connect();
  render(
    <StoreContext.Provider value={store}>
      <App />
    </StoreContext.Provider>,
    root,
  );
}

start();

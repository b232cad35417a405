import { defineConfig } from "vite";

export default defineConfig({
  base: "/console/",
  build: { outDir: "../dist/console", emptyOutDir: true, target: "es2022", assetsInlineLimit: 0 },
});

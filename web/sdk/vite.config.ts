import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "parley" },
    outDir: "../dist/sdk",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: true,
    minify: true,
  },
  test: { include: ["test/**/*.test.ts"], restoreMocks: true },
});

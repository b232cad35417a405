import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["*.test.ts"],
    // Browsers with live sound share the machine: one story at a time.
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 90_000,
    // The steps of a story build on each other.
    bail: 1,
    reporters: ["verbose"],
  },
});

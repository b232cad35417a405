import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { expect, it } from "vitest";

const LIMIT = 20_000;

it("all of it together stays under 20 kB, compressed", async () => {
  const root = new URL("..", import.meta.url).pathname;
  const result = await build({ root, logLevel: "error", build: { write: false, sourcemap: false } });
  const [bundle] = (Array.isArray(result) ? result : [result]) as Rolldown.RolldownOutput[];
  const code = bundle?.output.map((file) => ("code" in file ? file.code : "")).join("") ?? "";
  expect(code).toContain("session.open");
  expect(gzipSync(code).length).toBeLessThan(LIMIT);
}, 30_000);

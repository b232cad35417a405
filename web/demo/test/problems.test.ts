import { readFileSync } from "node:fs";
import { ParleyError } from "@parley/client";
import { expect, it } from "vitest";
import { explain } from "../src/problems.ts";

/** The doors that people go through; what they refuse is read by people. */
const doors = [
  "blocks",
  "calls",
  "chat",
  "conversions",
  "identity",
  "payments",
  "rails",
  "requests",
  "safety",
];

/** What only programs and servers meet at them. */
const programs = new Set([
  "idempotency_key_missing",
  "idempotency_key_invalid",
  "client_id_reused",
  "device_required",
  "users_only",
  "servers_only",
  "rate_invalid",
  "prompt_unknown",
]);

it("every refusal that a person can meet has words of its own", () => {
  const read = (door: string) => readFileSync(new URL(`../../../api/${door}.go`, import.meta.url), "utf8");
  const codes = doors.flatMap((door) =>
    [...read(door).matchAll(/Code: "([a-z0-9_]+)"/g)].map((m) => m[1] ?? ""),
  );
  expect(codes.length).toBeGreaterThan(50);
  const wordless = codes.filter((code) => {
    const title = `title of ${code}`;
    return !programs.has(code) && explain(new ParleyError({ type: "", status: 409, code, title })) === title;
  });
  expect(wordless).toEqual([]);
});

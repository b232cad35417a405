import type { PaymentSheet, Policy } from "@parley/client";
import { describe, expect, it } from "vitest";
import { noAnswers, obstacle, waitsUntil } from "../src/gate.ts";

const now = Date.parse("2026-01-01T12:00:00Z");
const later = "2026-01-01T12:00:30Z";
const latest = "2026-01-02T12:00:00Z";
const before = "2026-01-01T11:59:59Z";

function sheet(policy: Partial<Policy>, held = 0): PaymentSheet {
  const asked = { decision: "require", what: [], rules: [], explain: "", ...policy };
  return { policy: asked, payment: { held }, payee: {}, actions: [], balance: {} } as unknown as PaymentSheet;
}

const question = { id: "q", text: "?", options: [{ id: "no", text: "No" }] };
const warning = { rule: "r", text: "Look out." };

describe("obstacle", () => {
  it.each([
    ["nothing is asked", sheet({}), noAnswers, undefined],
    ["a question is open", sheet({ questions: [question] }), noAnswers, "answer"],
    [
      "the question is answered",
      sheet({ questions: [question] }),
      { read: false, options: { q: "no" } },
      undefined,
    ],
    ["a warning is not read", sheet({ warnings: [warning] }), noAnswers, "answer"],
    ["the warning is read", sheet({ warnings: [warning] }), { read: true, options: {} }, undefined],
    ["a pause runs", sheet({ until: later }), noAnswers, "wait"],
    ["the pause is over", sheet({ until: before }), noAnswers, undefined],
    ["held money cools off", sheet({ cooling_off_until: latest }, 100), noAnswers, "wait"],
    ["money that is not held would cool off", sheet({ cooling_off_until: latest }), noAnswers, undefined],
    ["a limit leaves too little for ever", sheet({ what: ["limit"], left: 5 }), noAnswers, "limit"],
    ["a limit frees enough later", sheet({ what: ["limit"], left: 5, frees: latest }), noAnswers, "wait"],
  ] as const)("when %s", (_when, given, answers, expected) => {
    expect(obstacle(given, answers, now)).toBe(expected);
  });

  it("waits for what comes last", () => {
    expect(waitsUntil(sheet({ until: later, frees: latest }), now)).toBe(latest);
  });
});

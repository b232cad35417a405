import { describe, expect, it } from "vitest";
import type { Door } from "../src/door.ts";
import { localProblem, ParleyError } from "../src/errors.ts";
import { Links } from "../src/links.ts";
import { Payments } from "../src/payments.ts";
import { Requests } from "../src/requests.ts";
import { Safety, safetyStop } from "../src/safety.ts";
import { Conversions, Payouts } from "../src/transfers.ts";

/** Writes down what goes through the door; `money` says that a key is made for it. */
function door() {
  const calls: { method: string; params: object; lane?: string }[] = [];
  const fake = {
    request: async (method: string, params: object) => calls.push({ method, params }),
    money: async (method: string, params: object, lane: string) => calls.push({ method, params, lane }),
  };
  return { calls, door: fake as unknown as Door };
}

describe("operations", () => {
  it("take what the hub expects, and keep writes to one thing in one lane", async () => {
    const { calls, door: d } = door();
    const payments = new Payments(d);
    await payments.hold("pay_1", 2, { acknowledge: { decision: "dec_1", answers: { q: "no" } } });
    await payments.capture("pay_1", 500, false);
    await payments.decline("pay_1", "not_mine");
    await new Requests(d).create({ payers: [{ user: "a" }], split: "equal", amount: 900, currency: "EUR" });
    await new Links(d).pay("link_1", 250);
    await new Payouts(d).create({ amount: 100, currency: "EUR", destination: "x" });
    await new Conversions(d).accept("cnv_1");
    await new Safety(d).approve("pay_1", 2);
    expect(calls).toEqual([
      {
        method: "payments.hold",
        params: { payment: "pay_1", version: 2, acknowledge: { decision: "dec_1", answers: { q: "no" } } },
        lane: "pay_1",
      },
      { method: "payments.capture", params: { payment: "pay_1", amount: 500, final: false }, lane: "pay_1" },
      { method: "payments.decline", params: { payment: "pay_1", reason: "not_mine" }, lane: "pay_1" },
      {
        method: "requests.create",
        params: { payers: [{ user: "a" }], split: "equal", amount: 900, currency: "EUR" },
        lane: "requests",
      },
      { method: "links.pay", params: { link: "link_1", amount: 250 }, lane: "link_1" },
      {
        method: "payouts.create",
        params: { amount: 100, currency: "EUR", destination: "x" },
        lane: "payouts",
      },
      { method: "conversions.accept", params: { conversion: "cnv_1" }, lane: "cnv_1" },
      { method: "safety.approve", params: { payment: "pay_1", version: 2 } },
    ]);
  });
});

describe("safetyStop", () => {
  it("reads what a refusal asks for", () => {
    const policy = { decision: "require", what: ["pause"], rules: ["large"], explain: "Wait." };
    const until = "2026-01-01T00:00:30Z";
    const problem = { type: "", title: "", status: 409, code: "safety_pause", details: policy, until };
    expect(safetyStop(new ParleyError(problem))).toEqual({ reason: "pause", policy, until });
  });

  it("knows nothing of other refusals", () => {
    for (const error of [
      localProblem("payment_state", ""),
      localProblem("safety_answers", ""),
      new Error(),
    ]) {
      expect(safetyStop(error)).toBeUndefined();
    }
  });
});

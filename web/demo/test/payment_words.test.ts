import type { Payment } from "@parley/client";
import { describe, expect, it } from "vitest";
import { feeLine, mine, nextLine, paymentLine } from "../src/ui/payment_words.ts";

const at = new Date(Date.now() + 3 * 86_400_000).toISOString();

function payment(change: Partial<Payment> = {}): Payment {
  const rule = { paid_by: "payer", on_refund: "share" };
  const money = { amount: 10_000, total: 10_150, fee_expected: 150, fee: 0, captured: 0, refunded: 0 };
  const people = { payer: "ann", payee: "bob", payee_name: "Bob" };
  return {
    ...{ state: "requested", currency: "EUR", fee_rule: rule, fee_refunded: 0, capturable: 0 },
    ...{ ...money, ...people },
    ...change,
  } as Payment;
}

const names = (user: string) => ({ ann: "Ann", bob: "Bob" })[user] ?? user;

describe("a payment in words", () => {
  it("is the sum with the fee to who pays it, the amount to the other", () => {
    expect([mine(payment(), "ann"), mine(payment(), "bob")]).toEqual([10_150, 10_000]);
    expect(feeLine(payment(), "ann")).toBe("€100.00 and a fee of €1.50");
    expect(feeLine(payment(), "bob")).toBe("The payer pays the fee on top");
    const taken = payment({ total: 10_000, fee_rule: { paid_by: "payee", on_refund: "share" } });
    expect(feeLine(taken, "ann")).toBeUndefined();
    expect(feeLine(taken, "bob")).toBe("You receive €98.50 after a fee of €1.50");
    expect(feeLine(payment({ fee_expected: 0 }), "ann")).toBeUndefined();
  });

  it.each([
    ["requested", {}, "Bob asks you to PAY €101.50", "You asked Ann to pay €100.00"],
    ["requested", { asked_by: "payer" }, "You offer Bob €101.50", "Ann offers you €100.00"],
    [
      "part_captured",
      { captured: 4_000, fee: 60, capturable: 6_000 },
      "€40.60 of €101.50 is paid, €60.00 is still set aside",
      "€40.00 of €100.00 is paid, €60.00 is still set aside",
    ],
    ["captured", { captured: 4_000, fee: 60 }, "You paid Bob €40.60", "Ann paid you €40.00"],
    [
      "part_refunded",
      { captured: 10_000, fee: 150, refunded: 2_500, fee_refunded: 38 },
      "€25.38 of €101.50 came back",
      "€25.00 of €100.00 came back",
    ],
  ] as const)("%s %j", (state, change, payer, payee) => {
    const given = payment({ state, ...(change as Partial<Payment>) });
    expect([paymentLine(given, "ann", names), paymentLine(given, "bob", names)]).toEqual([payer, payee]);
  });

  it.each([
    ["expired", "ann", /^Expires in 3 days if nothing is done$/],
    ["voided", "ann", /^Goes back to you by itself/],
    ["voided", "bob", /^Goes back to the payer by itself/],
    ["released", "ann", /^What is left goes back to you/],
    ["refunded", "bob", /^If you do not answer, the payer gets the money back/],
    ["resolved", "ann", /^Without an answer, the payee keeps the money/],
  ] as const)("%s comes next, says %s's screen", (outcome, me, words) => {
    expect(nextLine(payment({ next: { at, outcome } }), me)).toMatch(words);
  });

  it("a dispute that is answered waits for a decision", () => {
    const dispute = {
      answered_at: at,
      if_unanswered: "payer",
      if_undecided: "payer",
      opened_at: at,
    } as const;
    const given = payment({ state: "disputed", next: { at, outcome: "refunded" }, dispute });
    expect(nextLine(given, "bob")).toMatch(/^If nobody decides, the payer gets the money back/);
  });
});

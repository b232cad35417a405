import type { Payment, PaymentSheet } from "@parley/client";
import { safetyStop } from "@parley/client";
import { type Answers, answered, asks } from "../gate.ts";
import type { Store } from "../store.ts";
import type { IconName } from "./icons.tsx";

/** Whether the sheet is done with, or shows what there is now. */
export type Done = "close" | "stay";

/** What a sheet can offer; the hub says which of them, and in which order. */
export interface Action {
  label: (payment: Payment) => string;
  primary?: boolean;
  /** Money is committed or moves: not before what is asked is done. */
  moves?: boolean;
  danger?: boolean;
  icon?: IconName;
  run: (store: Store, sheet: PaymentSheet, answers: Answers) => Promise<Done>;
}

/**
 * Sets the money aside, with the answers to what the sheet asked. Questions
 * have a number only after a first try: that one is made, and answered.
 */
async function hold(store: Store, sheet: PaymentSheet, answers: Answers): Promise<Payment> {
  const { payment, policy } = sheet;
  if (payment.state !== "requested") return payment;
  const { payments } = store.parley;
  const reply = (decision: string) => ({ acknowledge: { decision, answers: answers.options } });
  const asked = asks(policy);
  let held: Payment;
  try {
    held = await payments.hold(payment.id, payment.version, asked && policy.id ? reply(policy.id) : {});
  } catch (error) {
    const stop = safetyStop(error);
    const { id } = stop?.policy ?? {};
    const known = stop?.reason === "acknowledge" && stop.policy && asked && answered(stop.policy, answers);
    if (!known || !id || id === policy.id) throw error;
    held = await payments.hold(payment.id, payment.version, reply(id));
  }
  store.takePaymentState(held);
  void store.refreshBalances();
  return held;
}

async function take(store: Store, change: Promise<Payment>, done: Done): Promise<Done> {
  store.takePaymentState(await change);
  void store.refreshBalances();
  return done;
}

/** A step with a dialog of its own, which takes the sheet's place. */
const then =
  (kind: "decline" | "refund" | "edit" | "answer" | "part"): Action["run"] =>
  async (store, { payment }) => {
    store.takePaymentState(payment);
    store.open({ kind, payment: payment.id });
    return "stay";
  };

export const actions: Record<string, Action> = {
  call_and_pay: {
    label: (p) => (p.state === "requested" ? "Set aside and call" : "Call to confirm"),
    primary: true,
    moves: true,
    icon: "phone",
    run: async (store, sheet, answers) => {
      const held = await hold(store, sheet, answers);
      store.open(undefined);
      if (!store.call) await store.startCall({ payment: held.id });
      return "stay";
    },
  },
  hold: {
    label: () => "Set the money aside",
    primary: true,
    moves: true,
    run: async (store, sheet, answers) => {
      await hold(store, sheet, answers);
      return "stay";
    },
  },
  capture: {
    label: (p) => (p.state === "part_captured" ? "Pay the rest" : "Pay now"),
    primary: true,
    moves: true,
    run: (store, { payment }) => take(store, store.parley.payments.capture(payment.id), "close"),
  },
  part: { label: () => "Pay a part", moves: true, run: then("part") },
  decline: { label: () => "Decline", run: then("decline") },
  void: {
    label: (p) => (p.captured > 0 ? "Take the rest back" : "Release the money"),
    run: (store, { payment }) => take(store, store.parley.payments.void(payment.id), "close"),
  },
  report: {
    label: (p) => (p.captured > 0 ? "Dispute" : "Report"),
    danger: true,
    run: (store, { payment }) => take(store, store.parley.payments.report(payment.id), "close"),
  },
  block: {
    label: () => "Block",
    danger: true,
    run: async (store, { payment }) => {
      await store.parley.safety.block(payment.payee);
      store.say("Blocked. They are not told.");
      return take(store, store.parley.payments.decline(payment.id, "unknown_sender"), "close");
    },
  },
  edit: { label: () => "Change", run: then("edit") },
  cancel: {
    label: () => "Withdraw",
    run: (store, { payment }) => take(store, store.parley.payments.cancel(payment.id), "close"),
  },
  reduce: { label: () => "Need less", run: then("part") },
  refund: { label: () => "Pay back", run: then("refund") },
  answer: { label: () => "Answer", primary: true, run: then("answer") },
};

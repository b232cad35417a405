import type { Payment, PaymentState } from "@parley/client";
import { moment, money, until } from "../format.ts";
import type { IconName } from "./icons.tsx";

type Names = (user: string) => string;

/** What a payment is to `me`, in minor units: the payer pays a fee on top, where there is one. */
export function mine(payment: Payment, me: string): number {
  return payment.payer === me ? payment.total : payment.amount;
}

/** What has been paid so far, as `me` sees it. */
export function paid(payment: Payment, me: string): number {
  if (payment.captured === 0) return mine(payment, me);
  const onTop = payment.payer === me && payment.fee_rule.paid_by === "payer" ? payment.fee : 0;
  return payment.captured + onTop;
}

/** What was paid back, with what `me` gets back of a fee. */
function cameBack(payment: Payment, me: string): number {
  const onTop = payment.payer === me && payment.fee_rule.paid_by === "payer";
  return payment.refunded + (onTop ? payment.fee_refunded : 0);
}

/** One sentence about where a payment stands, as `me` should read it. */
export function paymentLine(payment: Payment, me: string, name: Names): string {
  const amount = money(mine(payment, me), payment.currency);
  const done = money(paid(payment, me), payment.currency);
  const paying = payment.payer === me;
  const payee = payment.payee_name || name(payment.payee);
  const payer = name(payment.payer);
  switch (payment.state) {
    case "requested":
      if (payment.asked_by === "payer")
        return paying ? `You offer ${payee} ${amount}` : `${payer} offers you ${amount}`;
      return paying ? `${payee} asks you to PAY ${amount}` : `You asked ${payer} to pay ${amount}`;
    case "held":
      return paying ? `You set ${amount} aside for ${payee}` : `${payer} set ${amount} aside for you`;
    case "confirming":
      return `One of you confirmed ${amount}`;
    case "confirmed":
      return `Both confirmed ${amount}`;
    case "part_captured":
      return `${done} of ${amount} is paid, ${money(payment.capturable, payment.currency)} is still set aside`;
    case "captured":
      return paying ? `You paid ${payee} ${done}` : `${payer} paid you ${done}`;
    case "part_refunded":
      return `${money(cameBack(payment, me), payment.currency)} of ${done} came back`;
    case "refunded":
      return `${done} was paid back`;
    case "declined":
      return paying ? `You declined ${amount}` : `${payer} declined ${amount}`;
    case "expired":
      return `The request for ${amount} expired`;
    case "cancelled":
      return paying
        ? `${payee} withdrew the request for ${amount}`
        : `You withdrew the request for ${amount}`;
    case "voided":
      return paying ? `${amount} is back on your balance` : `The hold of ${amount} was released`;
    case "review":
      return `${amount} is under review`;
    case "disputed":
      return paying ? `You dispute ${done}` : `${payer} disputes ${done}`;
  }
}

/** What happens if nobody does anything, and when. */
export function nextLine(payment: Payment, me: string): string | undefined {
  const { next } = payment;
  if (!next) return undefined;
  const paying = payment.payer === me;
  switch (next.outcome) {
    case "expired":
      return `Expires ${until(next.at)} if nothing is done`;
    case "voided":
      return `Goes back to ${paying ? "you" : "the payer"} by itself ${moment(next.at)}`;
    case "confirmations_void":
      return `Both have to confirm until ${moment(next.at)}`;
    case "released":
      return `What is left goes back to ${paying ? "you" : "the payer"} ${moment(next.at)}`;
    case "refunded":
      return `${unless(payment, me)}, ${paying ? "you get" : "the payer gets"} the money back ${moment(next.at)}`;
    case "resolved":
      return `${unless(payment, me)}, ${paying ? "the payee keeps" : "you keep"} the money ${moment(next.at)}`;
  }
}

/** What has to be missing for a dispute to end by itself. */
function unless({ dispute, payee }: Payment, me: string): string {
  if (dispute?.answered_at) return "If nobody decides";
  return payee === me ? "If you do not answer" : "Without an answer";
}

/** Who pays the fee, and how much; undefined when there is none, or it is none of one's business. */
export function feeLine(payment: Payment, me: string): string | undefined {
  if (payment.fee_expected === 0 && payment.fee === 0) return undefined;
  const fee = money(payment.fee || payment.fee_expected, payment.currency);
  if (payment.fee_rule.paid_by === "payer") {
    return payment.payer === me
      ? `${money(payment.captured || payment.amount, payment.currency)} and a fee of ${fee}`
      : "The payer pays the fee on top";
  }
  if (payment.payee !== me) return undefined;
  const sum = (payment.captured || payment.amount) - (payment.fee || payment.fee_expected);
  return `You receive ${money(sum, payment.currency)} after a fee of ${fee}`;
}

/** A reason for a no, as both read it. */
export const declineReasons = {
  not_mine: "This is not mine to pay",
  wrong_amount: "The amount is wrong",
  already_paid: "I have paid it already",
  unknown_sender: "I do not know who asks",
  not_now: "Not now",
  other: "Another reason",
} as const;

export type Tone = "plain" | "wait" | "good" | "bad" | "over";

/** How a state looks on its card. */
export const stateLook: Record<PaymentState, { label: string; icon: IconName; tone: Tone }> = {
  requested: { label: "Requested", icon: "clock", tone: "wait" },
  held: { label: "Set aside", icon: "coin", tone: "wait" },
  confirming: { label: "Confirming", icon: "key", tone: "wait" },
  confirmed: { label: "Confirmed", icon: "check", tone: "good" },
  part_captured: { label: "Partly paid", icon: "coin", tone: "wait" },
  captured: { label: "Paid", icon: "check", tone: "good" },
  part_refunded: { label: "Partly paid back", icon: "receipt", tone: "over" },
  refunded: { label: "Paid back", icon: "receipt", tone: "over" },
  declined: { label: "Declined", icon: "close", tone: "over" },
  expired: { label: "Expired", icon: "clock", tone: "over" },
  cancelled: { label: "Withdrawn", icon: "close", tone: "over" },
  voided: { label: "Released", icon: "close", tone: "over" },
  review: { label: "Under review", icon: "warn", tone: "bad" },
  disputed: { label: "Disputed", icon: "warn", tone: "bad" },
};

/** Whether the two may confirm this payment in a call now. */
export function confirmable(payment: Payment): boolean {
  return payment.confirm === "live" && (payment.state === "held" || payment.state === "confirming");
}

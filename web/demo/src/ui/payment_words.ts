import type { Payment, PaymentState } from "@parley/client";
import { money } from "../format.ts";
import type { IconName } from "./icons.tsx";

type Names = (user: string) => string;

/** One sentence about where a payment stands, as `me` should read it. */
export function paymentLine(payment: Payment, me: string, name: Names): string {
  const amount = money(payment.amount, payment.currency);
  const paying = payment.payer === me;
  const payee = payment.payee_name || name(payment.payee);
  const payer = name(payment.payer);
  switch (payment.state) {
    case "requested":
      return paying ? `${payee} asks you to PAY ${amount}` : `You asked ${payer} to pay ${amount}`;
    case "held":
      return paying ? `You set ${amount} aside for ${payee}` : `${payer} set ${amount} aside for you`;
    case "confirming":
      return `One of you confirmed ${amount}`;
    case "confirmed":
      return `Both confirmed ${amount}`;
    case "captured":
      return paying ? `You paid ${payee} ${amount}` : `${payer} paid you ${amount}`;
    case "part_refunded":
      return `${money(payment.refunded, payment.currency)} of ${amount} came back`;
    case "refunded":
      return `${amount} was paid back`;
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
      return `${amount} is disputed`;
  }
}

export type Tone = "plain" | "wait" | "good" | "bad" | "over";

/** How a state looks on its card. */
export const stateLook: Record<PaymentState, { label: string; icon: IconName; tone: Tone }> = {
  requested: { label: "Requested", icon: "clock", tone: "wait" },
  held: { label: "Set aside", icon: "coin", tone: "wait" },
  confirming: { label: "Confirming", icon: "key", tone: "wait" },
  confirmed: { label: "Confirmed", icon: "check", tone: "good" },
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

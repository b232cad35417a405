import type { Call } from "@parley/client";

/** What can lie over the screen; one at a time. */
export type Dialog =
  | { kind: "request"; conversation: string }
  | { kind: "ask_group"; conversation: string }
  | { kind: "group_request"; request: string }
  | { kind: "sheet"; payment: string }
  | { kind: "decline"; payment: string }
  | { kind: "refund"; payment: string }
  | { kind: "part"; payment: string }
  | { kind: "answer"; payment: string }
  | { kind: "link"; link: string }
  | { kind: "edit"; payment: string }
  | { kind: "receipt"; payment: string }
  | { kind: "approval"; payment: string }
  | { kind: "passkey"; resolve: (made: boolean) => void }
  | { kind: "invite"; call: Call }
  | { kind: "group" }
  | { kind: "money"; tab?: MoneyTab }
  | { kind: "settings" };

export type MoneyTab = "payments" | "links" | "payouts" | "convert";

const KEPT = "parley.demo.sheet";

/** A payment sheet is open again after a reload: a pause in it goes on by the hub's clock. */
export function keptSheet(): Dialog | undefined {
  const payment = sessionStorage.getItem(KEPT);
  return payment ? { kind: "sheet", payment } : undefined;
}

export function keepSheet(dialog: Dialog | undefined): void {
  if (dialog?.kind === "sheet") sessionStorage.setItem(KEPT, dialog.payment);
  else sessionStorage.removeItem(KEPT);
}

import type { Payment } from "@parley/client";
import { clock, day, money, orderName } from "../format.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";
import { paid } from "./payment_words.ts";

/** What was paid, by whom, and how it was confirmed. */
export function ReceiptDialog({ payment: id, onClose }: { payment: string; onClose: () => void }) {
  const store = useStore();
  const payment = store.payments.get(id);
  if (!payment) return null;
  const payee = payment.payee_name || store.name(payment.payee);
  const rows: [string, string][] = [
    ["From", payment.payer === store.parley.user ? "You" : store.name(payment.payer)],
    ["To", payment.payee === store.parley.user ? `You (${payee})` : payee],
    ["When", `${day(payment.updated_at)}, ${clock(payment.updated_at)}`],
  ];
  if (payment.order) rows.push(["Order", orderName(payment.order).replace("order ", "")]);
  if (payment.memo) rows.push(["For", payment.memo]);
  rows.push(...feeRows(payment, store.parley.user));
  if (payment.refunded > 0) rows.push(["Paid back", money(payment.refunded, payment.currency)]);
  rows.push(["Confirmed", payment.confirm === "live" ? "Live, by both, with passkeys" : "By the app"]);
  return (
    <Dialog title="Receipt" onClose={onClose} class="receipt">
      <div class="pay-hero">
        <span class="seal">
          <Icon name="check" size={26} />
        </span>
        <p class="pay-hero-amount numbers">{money(paid(payment, store.parley.user), payment.currency)}</p>
      </div>
      <dl class="facts">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="numbers">{value}</dd>
          </div>
        ))}
      </dl>
      <p class="muted small mono">{payment.id}</p>
    </Dialog>
  );
}

/** Each side reads the fee that it paid. */
function feeRows(payment: Payment, me: string): [string, string][] {
  const fee = money(payment.fee, payment.currency);
  if (payment.fee_rule.paid_by === "payer") {
    return payment.payer === me && payment.fee > 0 ? [["Fee, paid by you", fee]] : [];
  }
  if (payment.payee !== me) return [];
  return [
    ["Fee", fee],
    ["You receive", money(payment.captured - payment.fee, payment.currency)],
  ];
}

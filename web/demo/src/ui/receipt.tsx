import { clock, day, money, orderName } from "../format.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";

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
  if (payment.payee === store.parley.user) {
    rows.push(["Fee", money(payment.fee, payment.currency)]);
    rows.push(["You receive", money(payment.captured - payment.fee, payment.currency)]);
  }
  if (payment.refunded > 0) rows.push(["Paid back", money(payment.refunded, payment.currency)]);
  rows.push(["Confirmed", payment.confirm === "live" ? "Live, by both, with passkeys" : "By the app"]);
  return (
    <Dialog title="Receipt" onClose={onClose} class="receipt">
      <div class="pay-hero">
        <span class="seal">
          <Icon name="check" size={26} />
        </span>
        <p class="pay-hero-amount numbers">{money(payment.captured || payment.amount, payment.currency)}</p>
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

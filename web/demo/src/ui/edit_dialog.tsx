import { useState } from "preact/hooks";
import { money, parseMoney, plainMoney } from "../format.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Lets the payee change a request. What was confirmed before no longer counts. */
export function EditDialog({ payment: id, onClose }: { payment: string; onClose: () => void }) {
  const store = useStore();
  const payment = store.payments.get(id);
  const [text, setText] = useState(payment ? plainMoney(payment.amount, payment.currency) : "");
  const [busy, setBusy] = useState(false);
  if (!payment) return null;
  const amount = parseMoney(text, payment.currency);
  const higher = amount > payment.amount && payment.state !== "requested";
  const submit = async () => {
    setBusy(true);
    const changed = await store.run(() => store.parley.payments.edit(id, payment.version, { amount }));
    setBusy(false);
    if (!changed) return;
    store.takePaymentState(changed);
    onClose();
  };
  return (
    <Dialog title="Change the amount" onClose={onClose}>
      <form
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (amount > 0) void submit();
        }}
      >
        <label class="amount-field">
          <span>Amount in {payment.currency}</span>
          <input
            inputMode="decimal"
            autoComplete="off"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <p class="muted small">
          {higher
            ? "More than was set aside: the payer decides again, and the money goes back until then."
            : "Both confirm the new amount. What was confirmed before no longer counts."}
        </p>
        <button
          type="submit"
          class="button primary wide"
          disabled={busy || !(amount > 0) || amount === payment.amount}
        >
          {amount > 0 ? `Change to ${money(amount, payment.currency)}` : "Change"}
        </button>
      </form>
    </Dialog>
  );
}

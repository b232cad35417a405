import type { Payment } from "@parley/client";
import { useState } from "preact/hooks";
import { money, parseMoney, plainMoney } from "../format.ts";
import { explain } from "../problems.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";

interface Props {
  title: string;
  currency: string;
  /** Where the field begins, and the most it takes. */
  most: number;
  verb: (amount: string) => string;
  hint: string;
  run: (amount: number) => Promise<Payment>;
  onClose: () => void;
}

/** Asks for an amount up to what there is, and does something with it. */
function AmountDialog({ title, currency, most, verb, hint, run, onClose }: Props) {
  const store = useStore();
  const [text, setText] = useState(plainMoney(most, currency));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const amount = parseMoney(text, currency);
  const fits = amount > 0 && amount <= most;
  const submit = async () => {
    if (!fits) {
      setProblem(
        amount > most ? `At most ${money(most, currency)}.` : "Write an amount, for example 120 or 120.50.",
      );
      return;
    }
    setBusy(true);
    try {
      store.takePaymentState(await run(amount));
      void store.refreshBalances();
      onClose();
    } catch (error) {
      setProblem(explain(error));
    }
    setBusy(false);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <label class="amount-field">
          <span>Amount in {currency}</span>
          <input
            inputMode="decimal"
            autoComplete="off"
            value={text}
            aria-invalid={problem !== undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {problem && (
          <p class="field-problem" role="alert">
            {problem}
          </p>
        )}
        <p class="muted small">{hint}</p>
        <button type="submit" class="button primary wide" disabled={busy}>
          {fits ? verb(money(amount, currency)) : title}
        </button>
      </form>
    </Dialog>
  );
}

type Opened = { payment: string; onClose: () => void };

/** The payee gives money back, all or a part. */
export function RefundDialog({ payment: id, onClose }: Opened) {
  const store = useStore();
  const payment = store.payments.get(id);
  if (!payment) return null;
  return (
    <AmountDialog
      title="Pay back"
      currency={payment.currency}
      most={payment.captured - payment.refunded}
      verb={(amount) => `Pay ${amount} back`}
      hint={
        payment.fee > 0 && payment.fee_rule.on_refund === "keep"
          ? "The fee of this payment stays."
          : "It goes back to the payer at once. You can pay back in several steps."
      }
      run={(amount) => store.parley.payments.refund(id, amount)}
      onClose={onClose}
    />
  );
}

/** The payer pays a part of the hold and leaves the rest; the payee says that less is needed. */
export function PartDialog({ payment: id, onClose }: Opened) {
  const store = useStore();
  const payment = store.payments.get(id);
  if (!payment) return null;
  const { payments, user } = store.parley;
  const paying = payment.payer === user;
  return (
    <AmountDialog
      title={paying ? "Pay a part" : "Need less"}
      currency={payment.currency}
      most={payment.capturable}
      verb={(amount) => (paying ? `Pay ${amount} now` : `Keep ${amount} set aside`)}
      hint={
        paying
          ? "The rest stays set aside: you can pay more of it later, or take it back."
          : "What is above this goes back to the payer at once."
      }
      run={(amount) =>
        paying ? payments.capture(id, amount, amount === payment.capturable) : payments.reduce(id, amount)
      }
      onClose={onClose}
    />
  );
}

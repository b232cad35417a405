import { useState } from "preact/hooks";
import { money, parseMoney } from "../format.ts";
import { useStore } from "./context.ts";
import { CurrencySelect } from "./currency_select.tsx";
import { Dialog } from "./dialog.tsx";

const DAY_S = 86_400;
const expiries = [
  { label: "Tomorrow", seconds: DAY_S },
  { label: "In 3 days", seconds: 3 * DAY_S },
  { label: "In a week", seconds: 7 * DAY_S },
];

/** Asks the other person of a conversation for money. */
export function RequestDialog({ conversation, onClose }: { conversation: string; onClose: () => void }) {
  const store = useStore();
  const thread = store.threads.get(conversation);
  const payer = thread && store.partner(thread.conversation);
  const currencies = store.balances.map((b) => b.currency);
  const [currency, setCurrency] = useState(currencies[0] ?? "EUR");
  const [text, setText] = useState("");
  const [memo, setMemo] = useState("");
  const [order, setOrder] = useState("");
  const [expires, setExpires] = useState(DAY_S);
  const [busy, setBusy] = useState(false);
  const [touched, setTouched] = useState(false);
  const amount = parseMoney(text, currency);
  const wrong = touched && !(amount > 0);

  const submit = async () => {
    setTouched(true);
    if (!(amount > 0) || !payer) return;
    setBusy(true);
    const request = { payer, amount, currency, conversation, expires_in: expires };
    const more = { ...(memo ? { memo } : {}), ...(order ? { order } : {}) };
    const made = await store.run(() => store.parley.payments.create({ ...request, ...more }));
    setBusy(false);
    if (made) onClose();
  };

  return (
    <Dialog title={`Ask ${store.name(payer ?? "")} for money`} onClose={onClose}>
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
            placeholder={money(0, currency)}
            value={text}
            aria-invalid={wrong}
            aria-describedby={wrong ? "amount-wrong" : undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {wrong && (
          <p id="amount-wrong" class="field-problem">
            Write an amount, for example 120 or 120.50.
          </p>
        )}
        {currencies.length > 1 && (
          <CurrencySelect value={currency} currencies={currencies} onChange={setCurrency} />
        )}
        <label>
          <span>What for</span>
          <input maxLength={200} value={memo} onInput={(event) => setMemo(event.currentTarget.value)} />
        </label>
        <div class="two">
          <label>
            <span>Order, if any</span>
            <input maxLength={64} value={order} onInput={(event) => setOrder(event.currentTarget.value)} />
          </label>
          <label>
            <span>Expires</span>
            <select value={expires} onChange={(event) => setExpires(Number(event.currentTarget.value))}>
              {expiries.map((e) => (
                <option key={e.seconds} value={e.seconds}>
                  {e.label}
                </option>
              ))}
            </select>
          </label>
        </div>
        <p class="muted small">
          They see a card in this conversation. It does not ring, and nothing is paid yet.
        </p>
        <button type="submit" class="button primary wide" disabled={busy}>
          {amount > 0 ? `Ask for ${money(amount, currency)}` : "Ask"}
        </button>
      </form>
    </Dialog>
  );
}

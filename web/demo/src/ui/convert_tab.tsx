import type { Conversion, ExchangeRate } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { duration, money, parseMoney } from "../format.ts";
import { explain } from "../problems.ts";
import { useNow, useStore } from "./context.ts";
import { CurrencySelect } from "./currency_select.tsx";

const COMMON = ["EUR", "USD", "GBP", "CHF", "JPY"];

/** Money into another currency: an offer that is good for a moment, then the acceptance. */
export function ConvertTab() {
  const store = useStore();
  const { conversions } = store.parley;
  const [from, setFrom] = useState(store.balances[0]?.currency ?? "EUR");
  const [to, setTo] = useState("");
  const [text, setText] = useState("");
  const [rates, setRates] = useState<ExchangeRate[]>();
  const [quote, setQuote] = useState<Conversion>();
  const [said, setSaid] = useState<{ text: string; bad?: boolean }>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    conversions.rates().then(setRates, () => setRates([]));
  }, []);
  const priced = [...new Set((rates ?? []).flatMap((r) => partner(r, from)))];
  // A hub that takes its rates from elsewhere does not list them: the quote says whether there is one.
  const others = (priced.length > 0 ? priced : COMMON).filter((c) => c !== from).sort();
  const target = others.includes(to) ? to : others[0];
  const amount = parseMoney(text, from);

  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setSaid(undefined);
    await work().catch((error) => setSaid({ text: explain(error), bad: true }));
    setBusy(false);
  };
  const ask = () =>
    attempt(async () => {
      if (!(amount > 0)) return setSaid({ text: "Write an amount, for example 120 or 120.50.", bad: true });
      if (target) setQuote(await conversions.quote({ from, to: target, source: amount }));
    });
  const accept = (offer: Conversion) =>
    attempt(async () => {
      const done = await conversions.accept(offer.id);
      setQuote(undefined);
      setText("");
      setSaid({ text: `You have ${money(done.target, done.to)} more.` });
      await store.refreshBalances();
    });

  if (rates && others.length === 0)
    return <p class="muted pad centre">There is no exchange rate for {from}.</p>;
  return (
    <form
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void ask();
      }}
    >
      <label>
        <span>Amount in {from}</span>
        <input
          inputMode="decimal"
          autoComplete="off"
          placeholder={money(0, from)}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setQuote(undefined);
          }}
        />
      </label>
      <div class="two">
        <CurrencySelect
          label="From"
          value={from}
          currencies={store.balances.map((b) => b.currency)}
          onChange={(currency) => {
            setFrom(currency);
            setQuote(undefined);
          }}
        />
        <CurrencySelect
          label="Into"
          value={target ?? ""}
          currencies={others}
          onChange={(currency) => {
            setTo(currency);
            setQuote(undefined);
          }}
        />
      </div>
      <p class={said?.bad ? "field-problem" : "said"} role="status">
        {said?.text}
      </p>
      {quote ? (
        <Offer
          key={quote.id}
          quote={quote}
          busy={busy}
          onAccept={() => void accept(quote)}
          onAgain={() => void ask()}
        />
      ) : (
        <button type="submit" class="button primary wide" disabled={busy || !target}>
          Ask for an offer
        </button>
      )}
    </form>
  );
}

function partner(rate: ExchangeRate, currency: string): string[] {
  if (rate.from === currency) return [rate.to];
  return rate.to === currency ? [rate.from] : [];
}

/** What the hub offers, and how long; after that the button asks again. */
function Offer(props: { quote: Conversion; busy: boolean; onAccept: () => void; onAgain: () => void }) {
  const { quote, busy, onAccept, onAgain } = props;
  const store = useStore();
  useNow();
  const left = Date.parse(quote.expires_at) - store.parley.now();
  const good = left > 0;
  const price = quote.price.startsWith("1/")
    ? `${quote.price.slice(2)} ${quote.from} for 1 ${quote.to}`
    : `1 ${quote.from} is ${quote.price} ${quote.to}`;
  return (
    <div class="asked offer">
      <p class="offer-sum numbers">
        {money(quote.source, quote.from)} → <strong>{money(quote.target, quote.to)}</strong>
      </p>
      <p class="muted small numbers">
        {price}
        {good && <span aria-hidden="true"> · good for {duration(left + 999)}</span>}
      </p>
      <p class="unseen" role="status">
        {good ? "This offer is good for a short time." : "The offer has expired."}
      </p>
      <button type="button" class="button primary wide" disabled={busy} onClick={good ? onAccept : onAgain}>
        {good ? `Convert into ${money(quote.target, quote.to)}` : "Expired: ask again"}
      </button>
    </div>
  );
}

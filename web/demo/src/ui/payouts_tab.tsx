import type { NameCheck, Transfer } from "@parley/client";
import { ParleyError } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { moment, money, parseMoney } from "../format.ts";
import { explain } from "../problems.ts";
import { useStore } from "./context.ts";
import { CurrencySelect } from "./currency_select.tsx";
import type { Tone } from "./payment_words.ts";

const states: Record<Transfer["state"], { label: string; tone: Tone }> = {
  queued: { label: "Waiting", tone: "wait" },
  sent: { label: "On its way", tone: "wait" },
  pending: { label: "Pending", tone: "wait" },
  unknown: { label: "Being checked", tone: "wait" },
  done: { label: "Done", tone: "good" },
  refused: { label: "Refused", tone: "bad" },
  returned: { label: "Came back", tone: "bad" },
};

/** ISO 20022 reasons that people meet, in words. */
const reasons: Record<string, string> = {
  AC04: "the account is closed",
  AC06: "the account is blocked",
  AG01: "the account does not take such payments",
  AM04: "there was not enough money",
  FR01: "it looked like fraud",
  RR04: "for a legal reason",
  AB06: "the bank did not answer in time",
  review: "somebody looks at it",
};

/** Money to an account outside, and what became of it. */
export function PayoutsTab() {
  const store = useStore();
  const { parley } = store;
  const [list, setList] = useState<Transfer[]>([]);
  const [problem, setProblem] = useState<string>();
  const load = async () => {
    const [out, into] = await Promise.all([
      parley.payouts.list({ limit: 20 }),
      parley.topUps.list({ limit: 20 }),
    ]);
    const all = [...out.items, ...into.items];
    setList(all.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at)));
  };
  const reload = () => void load().catch((error) => setProblem(explain(error)));
  useEffect(() => {
    reload();
    const offs = [parley.on("payout.updated", reload), parley.on("topup.updated", reload)];
    return () => {
      for (const off of offs) off();
    };
  }, []);
  return (
    <>
      <PayoutForm onMade={reload} />
      {problem && <p class="field-problem">{problem}</p>}
      <ul class="rows" aria-live="polite">
        {list.map((transfer) => (
          <li key={transfer.id} data-state={transfer.state}>
            <span class="rows-main">
              <strong class="numbers">
                {transfer.kind === "fund" ? "+" : "−"}
                {money(transfer.amount, transfer.currency)}
              </strong>
              <span class="muted small">{about(transfer)}</span>
            </span>
            <span class={`chip chip-${states[transfer.state].tone}`}>{states[transfer.state].label}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function about(transfer: Transfer): string {
  const where =
    transfer.kind === "fund" ? "Top-up" : `to ${transfer.holder || transfer.destination || "an account"}`;
  const { state, reason } = transfer;
  const why = reason ? (reasons[reason] ?? reason) : "";
  const back = state === "refused" || state === "returned" ? "the money is on your balance again" : "";
  return [where, moment(transfer.updated_at), why, back].filter(Boolean).join(" · ");
}

function PayoutForm({ onMade }: { onMade: () => void }) {
  const store = useStore();
  const [currency, setCurrency] = useState(store.balances[0]?.currency ?? "EUR");
  const [text, setText] = useState("");
  const [destination, setDestination] = useState("");
  const [holder, setHolder] = useState(store.me?.verified_name ?? "");
  const [differs, setDiffers] = useState<NameCheck>();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const amount = parseMoney(text, currency);

  const submit = async (accept_name: boolean) => {
    if (!(amount > 0)) return setProblem("Write an amount, for example 120 or 120.50.");
    if (!destination.trim()) return setProblem("Write the account that gets the money.");
    setBusy(true);
    setProblem(undefined);
    const to = {
      destination: destination.trim(),
      ...(holder ? { holder } : {}),
      ...(accept_name ? { accept_name } : {}),
    };
    try {
      await store.parley.payouts.create({ amount, currency, ...to });
      setText("");
      setDiffers(undefined);
      void store.refreshBalances();
      onMade();
    } catch (error) {
      const named = error instanceof ParleyError && error.code === "payout_name_mismatch";
      if (named) setDiffers(await store.parley.payouts.check(to.destination, holder).catch(() => undefined));
      else setProblem(explain(error));
    }
    setBusy(false);
  };

  return (
    <form
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit(false);
      }}
    >
      <div class="two">
        <label>
          <span>Amount</span>
          <input
            inputMode="decimal"
            autoComplete="off"
            placeholder={money(0, currency)}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <CurrencySelect
          value={currency}
          onChange={setCurrency}
          currencies={store.balances.map((b) => b.currency)}
        />
      </div>
      <div class="two">
        <label>
          <span>To the account</span>
          <input
            maxLength={128}
            autoComplete="off"
            placeholder="IBAN"
            value={destination}
            onInput={(event) => setDestination(event.currentTarget.value)}
          />
        </label>
        <label>
          <span>Whose it is</span>
          <input maxLength={140} value={holder} onInput={(event) => setHolder(event.currentTarget.value)} />
        </label>
      </div>
      {problem && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      {differs && (
        <div class="asked" role="alert">
          <p>
            {differs.name
              ? `This account belongs to “${differs.name}”, not to “${holder}”.`
              : `This account does not belong to “${holder}”.`}
          </p>
          <button type="button" class="button danger" disabled={busy} onClick={() => void submit(true)}>
            Pay out all the same
          </button>
        </div>
      )}
      <button type="submit" class="button primary wide" disabled={busy}>
        {amount > 0 ? `Pay out ${money(amount, currency)}` : "Pay out"}
      </button>
    </form>
  );
}

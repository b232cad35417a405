import type { PaymentLink } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { money, parseMoney, until } from "../format.ts";
import { explain } from "../problems.ts";
import type { Store } from "../store.ts";
import { useStore } from "./context.ts";

const states = { open: "Open", used: "Used", cancelled: "Withdrawn", expired: "Expired" } as const;

/** One's own payment links: make, give away, withdraw. */
export function LinksTab() {
  const store = useStore();
  const [links, setLinks] = useState<PaymentLink[]>();
  const [problem, setProblem] = useState<string>();
  const load = async () => setLinks((await store.parley.links.list({ limit: 50 })).items);
  const attempt = async (work: () => Promise<unknown>) => {
    setProblem(undefined);
    try {
      await work();
      await load();
      return true;
    } catch (error) {
      setProblem(explain(error));
      return false;
    }
  };
  useEffect(() => {
    void attempt(async () => undefined);
    return store.parley.on("link.updated", () => void load().catch(() => undefined));
  }, []);
  return (
    <>
      <NewLink store={store} attempt={attempt} />
      {problem && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      <ul class="rows">
        {links?.map((link) => (
          <LinkRow key={link.id} store={store} link={link} attempt={attempt} />
        ))}
      </ul>
    </>
  );
}

type Attempt = (work: () => Promise<unknown>) => Promise<boolean>;

function NewLink({ store, attempt }: { store: Store; attempt: Attempt }) {
  const currency = store.balances[0]?.currency ?? "EUR";
  const [text, setText] = useState("");
  const [memo, setMemo] = useState("");
  const [many, setMany] = useState(false);
  const [busy, setBusy] = useState(false);
  const amount = parseMoney(text, currency);
  const wrong = text !== "" && !(amount > 0);
  const make = async () => {
    if (wrong) return;
    setBusy(true);
    const about = { ...(amount > 0 ? { amount } : {}), ...(memo ? { memo } : {}) };
    const made = await attempt(() => store.parley.links.create({ currency, uses: many ? 0 : 1, ...about }));
    setBusy(false);
    if (!made) return;
    setText("");
    setMemo("");
  };
  return (
    <form
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <div class="two">
        <label>
          <span>Amount in {currency}</span>
          <input
            inputMode="decimal"
            autoComplete="off"
            placeholder="They say how much"
            value={text}
            aria-invalid={wrong}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <label>
          <span>What for</span>
          <input maxLength={200} value={memo} onInput={(event) => setMemo(event.currentTarget.value)} />
        </label>
      </div>
      <label class="tick">
        <input type="checkbox" checked={many} onChange={(event) => setMany(event.currentTarget.checked)} />
        <span>For any number of people</span>
      </label>
      <button type="submit" class="button primary wide" disabled={busy || wrong}>
        Make a link
      </button>
    </form>
  );
}

function LinkRow({ store, link, attempt }: { store: Store; link: PaymentLink; attempt: Attempt }) {
  const what = link.amount ? money(link.amount, link.currency) : `Any amount in ${link.currency}`;
  const uses = link.uses ? `${link.used} of ${link.uses} used` : `${link.used} paid`;
  return (
    <li class="link-row">
      <div class="rows-top">
        <span class="rows-main">
          <strong class="numbers">{what}</strong>
          <span class="muted small">
            {[
              link.memo && `“${link.memo}”`,
              uses,
              link.state === "open" && link.expires_at && `expires ${until(link.expires_at)}`,
            ]
              .filter(Boolean)
              .join(" · ")}
          </span>
        </span>
        <span class={`chip ${link.state === "open" ? "chip-good" : ""}`}>{states[link.state]}</span>
      </div>
      {link.state === "open" && (
        <div class="rows-top">
          <input class="address" readOnly aria-label={`Address of the link for ${what}`} value={link.url} />
          <button type="button" class="small-button" onClick={() => void give(store, link)}>
            {"share" in navigator ? "Share" : "Copy"}
          </button>
          <button
            type="button"
            class="small-button"
            onClick={() => void attempt(() => store.parley.links.cancel(link.id))}
          >
            Withdraw
          </button>
        </div>
      )}
    </li>
  );
}

/** The phone's own sheet where there is one, else the clipboard. */
async function give(store: Store, link: PaymentLink): Promise<void> {
  try {
    if ("share" in navigator) await navigator.share({ url: link.url });
    else {
      await (navigator as Navigator).clipboard.writeText(link.url);
      store.say("Copied.");
    }
  } catch (error) {
    // Who closes the phone's sheet knows that nothing was shared.
    if ((error as DOMException).name !== "AbortError") store.say("Copy the address from the field.", "bad");
  }
}

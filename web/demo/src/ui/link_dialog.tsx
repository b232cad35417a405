import type { PaymentLink } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { capital, money, parseMoney, until } from "../format.ts";
import { forgetLink, payLink } from "../links.ts";
import { explain } from "../problems.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";
import { checks } from "./pay_sheet.tsx";

const ended: Record<string, string> = {
  used: "Somebody has paid through this link already.",
  cancelled: "This link was withdrawn. Ask for another one.",
  expired: "This link has expired. Ask for another one.",
};

/** What a payment link asks for, and the button that makes the payment. */
export function LinkDialog({ link: id, onClose }: { link: string; onClose: () => void }) {
  const store = useStore();
  const { ready } = store;
  const [link, setLink] = useState<PaymentLink>();
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    if (ready) store.parley.links.get(id).then(setLink, (error) => setProblem(explain(error)));
  }, [store, id, ready]);
  const close = () => {
    forgetLink();
    onClose();
  };
  return (
    <Dialog title="Payment link" onClose={close} class="pay-sheet">
      {problem && <p class="field-problem">{problem}</p>}
      {!link && !problem && <p class="muted">Looking it up…</p>}
      {link && <Linked link={link} />}
    </Dialog>
  );
}

function Linked({ link }: { link: PaymentLink }) {
  const check = checks[link.name_check] ?? checks.unavailable;
  return (
    <>
      <div class="pay-hero">
        <p class="pay-hero-label">{link.owned_by_you ? "You get" : "You will PAY"}</p>
        <p class="pay-hero-amount numbers">
          {link.amount ? money(link.amount, link.currency) : "As much as you like"}
        </p>
        <div class="payee">
          <Avatar user={link.payee} name={link.payee_name} size="m" />
          <div>
            <p class="payee-name">{link.payee_name}</p>
            <span class={`chip chip-${check.tone}`}>
              <Icon name={check.icon} size={14} />
              {check.text}
            </span>
          </div>
        </div>
      </div>
      <dl class="facts">
        {link.memo && (
          <div>
            <dt>They write</dt>
            <dd>“{link.memo}”</dd>
          </div>
        )}
        {link.state === "open" && link.expires_at && (
          <div>
            <dt>Expires</dt>
            <dd class="numbers">{capital(until(link.expires_at))}</dd>
          </div>
        )}
      </dl>
      {ended[link.state] && <p class="field-problem">{ended[link.state]}</p>}
      {link.owned_by_you && <p class="muted">This is your own link. Send its address to who should pay.</p>}
      {link.state === "open" && !link.owned_by_you && <LinkForm link={link} />}
    </>
  );
}

function LinkForm({ link }: { link: PaymentLink }) {
  const store = useStore();
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [touched, setTouched] = useState(false);
  const { currency, amount_min: least = 1, amount_max: most = Number.MAX_SAFE_INTEGER } = link;
  const amount = link.amount ?? parseMoney(text, currency);
  const fits = amount >= least && amount <= most;
  const wrong = touched && !fits;

  const submit = async () => {
    setTouched(true);
    if (!fits) return;
    setBusy(true);
    const made = await store.run(() => payLink(store.parley, link.id, link.amount ? undefined : amount));
    setBusy(false);
    if (!made) return;
    forgetLink();
    store.takePaymentState(made);
    store.open({ kind: "sheet", payment: made.id });
  };

  return (
    <form
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {!link.amount && (
        <label class="amount-field">
          <span>Amount in {currency}</span>
          <input
            inputMode="decimal"
            autoComplete="off"
            placeholder={money(0, currency)}
            value={text}
            aria-invalid={wrong}
            aria-describedby={wrong ? "link-amount-wrong" : undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      )}
      {wrong && (
        <p id="link-amount-wrong" class="field-problem">
          {amount > 0
            ? `Between ${money(least, currency)} and ${money(most, currency)}.`
            : "Write an amount, for example 120 or 120.50."}
        </p>
      )}
      <button type="submit" class="button primary wide" disabled={busy}>
        {fits ? `Go on to pay ${money(amount, currency)}` : "Go on to pay"}
      </button>
      <p class="muted small">Nothing is paid yet: the next step shows what is needed.</p>
    </form>
  );
}

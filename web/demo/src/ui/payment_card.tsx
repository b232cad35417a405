import type { Payment, PaymentState } from "@parley/client";
import { clock, money, paymentFacts } from "../format.ts";
import type { Store } from "../store.ts";
import { useStore } from "./context.ts";
import { Icon } from "./icons.tsx";
import { confirmable, paymentLine, stateLook } from "./payment_words.ts";

/** A payment in the log, always in its newest state, in the hub's own words. */
export function PaymentCard(props: { payment: Payment }) {
  const store = useStore();
  const payment = store.payments.get(props.payment.id) ?? props.payment;
  const look = stateLook[payment.state];
  const line = paymentLine(payment, store.parley.user, (u) => store.name(u));
  const amount = money(payment.amount, payment.currency);
  return (
    <article class={`pay-card tone-${look.tone}`} aria-label={`Payment: ${line}`} data-payment={payment.id}>
      <header class="pay-card-head">
        <span class={`chip chip-${look.tone}`}>
          <Icon name={look.icon} size={14} />
          {look.label}
        </span>
        <time class="muted numbers" dateTime={payment.updated_at}>
          {clock(payment.updated_at)}
        </time>
      </header>
      <p class="pay-card-amount numbers">{amount}</p>
      <p class="pay-card-line">{line}</p>
      <p class="pay-card-facts muted">{paymentFacts(payment).join(" · ")}</p>
      <Progress state={payment.state} />
      <Actions store={store} payment={payment} />
    </article>
  );
}

const steps: PaymentState[] = ["requested", "held", "confirming", "captured"];
const stepNames = ["Asked", "Set aside", "Confirm", "Paid"];

function Progress({ state }: { state: PaymentState }) {
  const at = steps.indexOf(state === "confirmed" ? "confirming" : state);
  if (at < 0) return null;
  return (
    <ol class="progress" aria-label={`Step ${at + 1} of ${steps.length}`}>
      {stepNames.map((name, i) => (
        <li key={name} class={i < at || state === "captured" ? "done" : i === at ? "now" : ""}>
          {name}
        </li>
      ))}
    </ol>
  );
}

function Actions({ store, payment }: { store: Store; payment: Payment }) {
  const paying = payment.payer === store.parley.user;
  const { state } = payment;
  const busy = store.call !== undefined;
  return (
    <div class="actions">
      {paying && state === "requested" && (
        <button
          type="button"
          class="button primary"
          onClick={() => store.open({ kind: "sheet", payment: payment.id })}
        >
          Look and decide
        </button>
      )}
      {confirmable(payment) && !busy && (
        <button
          type="button"
          class="button primary"
          onClick={() => void store.startCall({ payment: payment.id })}
        >
          <Icon name="phone" size={18} />
          Call to confirm
        </button>
      )}
      {paying && (state === "held" || state === "confirming") && (
        <button
          type="button"
          class="button"
          onClick={() => store.open({ kind: "sheet", payment: payment.id })}
        >
          Details
        </button>
      )}
      {!paying && ["requested", "held", "confirming"].includes(state) && (
        <button
          type="button"
          class="button"
          onClick={() => store.open({ kind: "edit", payment: payment.id })}
        >
          Change
        </button>
      )}
      {!paying && ["requested", "held"].includes(state) && (
        <button type="button" class="button" onClick={() => void withdraw(store, payment)}>
          Withdraw
        </button>
      )}
      {["captured", "part_refunded", "refunded"].includes(state) && (
        <button
          type="button"
          class="button"
          onClick={() => store.open({ kind: "receipt", payment: payment.id })}
        >
          <Icon name="receipt" size={18} />
          Receipt
        </button>
      )}
    </div>
  );
}

async function withdraw(store: Store, payment: Payment): Promise<void> {
  const done = await store.run(() => store.parley.payments.cancel(payment.id));
  if (done) store.takePaymentState(done);
}

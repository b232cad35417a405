import type { Payment, PaymentState } from "@parley/client";
import { clock, money, paymentFacts } from "../format.ts";
import type { Store } from "../store.ts";
import { useStore } from "./context.ts";
import { DisputeFacts } from "./dispute_facts.tsx";
import { Icon } from "./icons.tsx";
import {
  confirmable,
  declineReasons,
  feeLine,
  mine,
  nextLine,
  paid,
  paymentLine,
  stateLook,
} from "./payment_words.ts";

/** A payment in the log, always in its newest state, in the hub's own words. */
export function PaymentCard(props: { payment: Payment }) {
  const store = useStore();
  const payment = store.payments.get(props.payment.id) ?? props.payment;
  const me = store.parley.user;
  const asked = payment.payer === me && payment.state === "requested";
  const sum = payment.state === "captured" ? paid : mine;
  const look = stateLook[payment.state];
  const line = asked ? payment.headline.text : paymentLine(payment, me, (u) => store.name(u));
  const small = [
    paymentFacts(payment, payment.payer === me).join(" · "),
    payment.state === "declined" && payment.decline_reason && `“${declineReasons[payment.decline_reason]}”`,
    feeLine(payment, me),
    nextLine(payment, me),
  ];
  return (
    <article class={`pay-card tone-${look.tone}`} aria-label={`Payment: ${line}`} data-payment={payment.id}>
      <header class="pay-card-head">
        <span class={`chip chip-${look.tone}`}>
          <Icon name={look.icon} size={14} />
          {asked && payment.silent ? "First request" : look.label}
        </span>
        <time class="muted numbers" dateTime={payment.updated_at}>
          {clock(payment.updated_at)}
        </time>
      </header>
      <p class="pay-card-amount numbers">{money(sum(payment, me), payment.currency)}</p>
      <p class="pay-card-line">{line}</p>
      {small.map(
        (text) =>
          text && (
            <p key={text} class="pay-card-facts muted">
              {text}
            </p>
          ),
      )}
      <DisputeFacts store={store} payment={payment} />
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

/** States in which the sheet has more to say or to offer, by who looks. */
const sheetStates: Record<"payer" | "payee", PaymentState[]> = {
  payer: [
    "held",
    "confirming",
    "confirmed",
    "part_captured",
    "review",
    "captured",
    "part_refunded",
    "disputed",
  ],
  payee: ["confirmed", "part_captured", "review", "captured", "part_refunded", "disputed"],
};

function Actions({ store, payment }: { store: Store; payment: Payment }) {
  const paying = payment.payer === store.parley.user;
  const { state } = payment;
  const sheet = () => store.open({ kind: "sheet", payment: payment.id });
  return (
    <div class="actions">
      {paying && state === "requested" && (
        <button type="button" class="button primary" onClick={sheet}>
          Look and decide
        </button>
      )}
      {confirmable(payment) && store.call === undefined && (
        <button
          type="button"
          class="button primary"
          onClick={() => void store.startCall({ payment: payment.id })}
        >
          <Icon name="phone" size={18} />
          Call to confirm
        </button>
      )}
      {sheetStates[paying ? "payer" : "payee"].includes(state) && (
        <button type="button" class="button" onClick={sheet}>
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

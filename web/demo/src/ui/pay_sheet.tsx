import type { Payment, PaymentSheet } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { capital, money, orderName, until } from "../format.ts";
import { explain } from "../problems.ts";
import type { Store } from "../store.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";

/** All a payer should know before money is set aside, and what can be done. */
export function PaySheet({ payment, onClose }: { payment: string; onClose: () => void }) {
  const store = useStore();
  const [sheet, setSheet] = useState<PaymentSheet>();
  const [problem, setProblem] = useState<string>();
  const updated = store.payments.get(payment)?.updated_at;
  useEffect(() => {
    store.parley.payments.sheet(payment).then(setSheet, (error) => setProblem(explain(error)));
  }, [payment, updated]);
  return (
    <Dialog title="Payment" onClose={onClose} class="pay-sheet">
      {problem && <p class="field-problem">{problem}</p>}
      {!sheet && !problem && <p class="muted">Looking it up…</p>}
      {sheet && <Sheet store={store} sheet={sheet} onClose={onClose} />}
    </Dialog>
  );
}

export const checks = {
  match: { text: "Name checked", tone: "good", icon: "shield" },
  close: { text: "Name is close, look twice", tone: "wait", icon: "warn" },
  none: { text: "Name could not be matched", tone: "bad", icon: "warn" },
  unavailable: { text: "Name check not available", tone: "wait", icon: "warn" },
} as const;

function Sheet({ store, sheet, onClose }: { store: Store; sheet: PaymentSheet; onClose: () => void }) {
  const { payment, payee, policy } = sheet;
  const check = checks[payee.name_check] ?? checks.unavailable;
  return (
    <>
      <div class="pay-hero">
        <p class="pay-hero-label">You will PAY</p>
        <p class="pay-hero-amount numbers">{money(payment.amount, payment.currency)}</p>
        <div class="payee">
          <Avatar user={payment.payee} name={payee.shown_name} size="m" />
          <div>
            <p class="payee-name">{payee.shown_name}</p>
            <span class={`chip chip-${check.tone}`}>
              <Icon name={check.icon} size={14} />
              {check.text}
            </span>
          </div>
        </div>
      </div>
      <dl class="facts">
        {payment.memo && <Fact name="For" value={payment.memo} />}
        {payment.order && (
          <Fact name="Order" value={capital(orderName(payment.order)).replace("Order ", "")} />
        )}
        <Fact
          name="You and them"
          value={
            payee.relation === "first_payment" ? "First payment to this person" : "You have paid them before"
          }
        />
        <Fact name="Account" value={age(payee.account_age_days)} />
        {payment.state === "requested" && payment.deadline && (
          <Fact name="Expires" value={capital(until(payment.deadline))} />
        )}
        {sheet.balance && (
          <Fact name="Your balance" value={money(sheet.balance.available, sheet.balance.currency)} />
        )}
      </dl>
      {policy.explain && (
        <p class="policy">
          <Icon name="shield" size={18} />
          <span>{policy.explain}</span>
        </p>
      )}
      <SheetActions store={store} sheet={sheet} onClose={onClose} />
    </>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="numbers">{value}</dd>
    </div>
  );
}

function age(days: number): string {
  if (days < 1) return "Opened today";
  return days === 1 ? "Opened yesterday" : `Opened ${days} days ago`;
}

interface Action {
  label: string;
  primary?: boolean;
  danger?: boolean;
  run: (store: Store, payment: Payment) => Promise<unknown>;
}

async function hold(store: Store, payment: Payment): Promise<Payment> {
  if (payment.state !== "requested") return payment;
  const held = await store.parley.payments.hold(payment.id, payment.version);
  store.takePaymentState(held);
  void store.refreshBalances();
  return held;
}

const actions: Record<string, Action> = {
  call_and_pay: {
    label: "Set aside and call",
    primary: true,
    run: async (store, payment) => {
      const held = await hold(store, payment);
      store.open(undefined);
      if (!store.call) await store.startCall({ payment: held.id });
    },
  },
  hold: { label: "Set the money aside", primary: true, run: hold },
  capture: {
    label: "Pay now",
    primary: true,
    run: (store, payment) => store.parley.payments.capture(payment.id),
  },
  decline: { label: "Decline", run: (store, payment) => store.parley.payments.decline(payment.id) },
  void: { label: "Release the money", run: (store, payment) => store.parley.payments.void(payment.id) },
  report: {
    label: "Report",
    danger: true,
    run: (store, payment) => store.parley.payments.report(payment.id),
  },
};

function SheetActions({ store, sheet, onClose }: { store: Store; sheet: PaymentSheet; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const offered = sheet.actions.flatMap((name) => actions[name] ?? []);
  const perform = async (action: Action) => {
    setBusy(true);
    const done = await store.run(() => action.run(store, sheet.payment).then(() => true));
    setBusy(false);
    if (done) onClose();
  };
  return (
    <div class="sheet-actions">
      {offered.map((action) => (
        <button
          key={action.label}
          type="button"
          disabled={busy}
          class={`button ${action.primary ? "primary wide" : ""} ${action.danger ? "danger" : ""}`}
          onClick={() => void perform(action)}
        >
          {action.primary && action === actions.call_and_pay && <Icon name="phone" size={18} />}
          {action === actions.call_and_pay && sheet.payment.state !== "requested"
            ? "Call to confirm"
            : action.label}
        </button>
      ))}
      {offered.some((a) => a === actions.call_and_pay) && sheet.payment.state === "requested" && (
        <p class="muted small">Setting aside only reserves your own money. It moves when you both confirm.</p>
      )}
    </div>
  );
}

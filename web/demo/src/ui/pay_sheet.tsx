import type { Payment, PaymentSheet } from "@parley/client";
import { safetyStop } from "@parley/client";
import { useEffect, useReducer, useState } from "preact/hooks";
import { capital, moment, money, orderName } from "../format.ts";
import { type Answers, answered, asks, noAnswers, obstacle } from "../gate.ts";
import { explain } from "../problems.ts";
import type { Store } from "../store.ts";
import { Avatar } from "./avatar.tsx";
import { useNow, useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { DisputeFacts } from "./dispute_facts.tsx";
import { GateBox } from "./gate_box.tsx";
import { Icon } from "./icons.tsx";
import { feeLine, mine, nextLine, paymentLine } from "./payment_words.ts";
import { type Action, actions, type Done } from "./sheet_actions.ts";

/** All a person should know about a payment before money is set aside or moves, and what can be done. */
export function PaySheet({ payment, onClose }: { payment: string; onClose: () => void }) {
  const store = useStore();
  const { ready } = store;
  const [sheet, setSheet] = useState<PaymentSheet>();
  const [problem, setProblem] = useState<string>();
  const [round, again] = useReducer((n: number) => n + 1, 0);
  const updated = store.payments.get(payment)?.updated_at;
  const word = store.approvals.word(payment);
  useEffect(() => {
    let wanted = true;
    const found = (answer: PaymentSheet) => wanted && setSheet(answer);
    const failed = (error: unknown) => wanted && setProblem(explain(error));
    if (ready) store.parley.payments.sheet(payment).then(found, failed);
    return () => {
      wanted = false;
    };
  }, [payment, updated, word, ready, round]);
  return (
    <Dialog title="Payment" onClose={onClose} class="pay-sheet">
      {problem && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      {!sheet && !problem && <p class="muted">Looking it up…</p>}
      {sheet && (
        <Sheet
          store={store}
          sheet={sheet}
          onClose={onClose}
          onProblem={setProblem}
          onChange={() => again(undefined)}
        />
      )}
    </Dialog>
  );
}

export const checks = {
  match: { text: "Name checked", tone: "good", icon: "shield" },
  close: { text: "Name is close, look twice", tone: "wait", icon: "warn" },
  none: { text: "Name could not be matched", tone: "bad", icon: "warn" },
  unavailable: { text: "Name check not available", tone: "wait", icon: "warn" },
} as const;

interface SheetProps {
  store: Store;
  sheet: PaymentSheet;
  onClose: () => void;
  onProblem: (problem: string | undefined) => void;
  onChange: () => void;
}

function Sheet(props: SheetProps) {
  const { store, sheet } = props;
  const { payment } = sheet;
  const [answers, setAnswers] = useState<Answers>(noAnswers);
  const paying = payment.payer === store.parley.user;
  const deciding = paying && ["requested", "held", "confirming", "confirmed"].includes(payment.state);
  return (
    <>
      <Hero store={store} sheet={sheet} paying={paying} />
      <Facts store={store} sheet={sheet} paying={paying} />
      <DisputeFacts store={store} payment={payment} />
      {deciding && <GateBox store={store} sheet={sheet} answers={answers} onAnswer={setAnswers} />}
      {!paying && sheet.policy.cooling_off_until && payment.held > 0 && (
        <p class="policy">The money does not move before {moment(sheet.policy.cooling_off_until)}.</p>
      )}
      <SheetActions {...props} answers={answers} deciding={deciding} />
    </>
  );
}

type Part = { store: Store; sheet: PaymentSheet; paying: boolean };

function Hero({ store, sheet: { payment, payee }, paying }: Part) {
  const check = checks[payee.name_check] ?? checks.unavailable;
  const fee = feeLine(payment, store.parley.user);
  const open = payment.state === "requested" || payment.held > 0;
  return (
    <div class="pay-hero">
      <p class="pay-hero-label">
        {open ? (paying ? "You will PAY" : "You will get") : heroState(store, payment)}
      </p>
      <p class="pay-hero-amount numbers">{money(mine(payment, store.parley.user), payment.currency)}</p>
      {fee && <p class="muted small numbers">{fee}</p>}
      {paying ? (
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
      ) : (
        <div class="payee">
          <Avatar user={payment.payer} name={store.name(payment.payer)} size="m" />
          <p class="payee-name">{store.name(payment.payer)}</p>
        </div>
      )}
    </div>
  );
}

function heroState(store: Store, payment: Payment): string {
  return paymentLine(payment, store.parley.user, (u) => store.name(u));
}

function Facts({ store, sheet, paying }: Part) {
  const { payment, payee } = sheet;
  const next = nextLine(payment, store.parley.user);
  const relation =
    payee.relation === "first_payment" ? "First payment to this person" : "You have paid them before";
  return (
    <dl class="facts">
      {payment.memo && <Fact name={paying ? "They write" : "You wrote"} value={`“${payment.memo}”`} />}
      {payment.order && <Fact name="Order" value={capital(orderName(payment.order)).replace("Order ", "")} />}
      {paying && <Fact name="You and them" value={relation} />}
      {paying && <Fact name="Account" value={age(payee.account_age_days)} />}
      {payment.captured > 0 && <Fact name="Paid" value={money(payment.captured, payment.currency)} />}
      {payment.captured > 0 && payment.capturable > 0 && (
        <Fact name="Still set aside" value={money(payment.capturable, payment.currency)} />
      )}
      {payment.refunded > 0 && <Fact name="Paid back" value={money(payment.refunded, payment.currency)} />}
      {next && <Fact name="What comes next" value={next} />}
      {paying && sheet.balance && (
        <Fact name="Your balance" value={money(sheet.balance.available, sheet.balance.currency)} />
      )}
    </dl>
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

function SheetActions(props: SheetProps & { answers: Answers; deciding: boolean }) {
  const { store, sheet, answers, deciding, onProblem } = props;
  const { payment, policy } = sheet;
  const [busy, setBusy] = useState(false);
  useNow(deciding && (policy.until ?? policy.frees ?? policy.cooling_off_until) !== undefined);
  const blocked = deciding ? obstacle(sheet, answers, store.parley.now()) : undefined;
  const offered = offers(store, sheet).flatMap((name) => actions[name] ?? []);
  const perform = async (work: () => Promise<Done>) => {
    setBusy(true);
    onProblem(undefined);
    try {
      if ((await work()) === "close") props.onClose();
      else props.onChange();
    } catch (error) {
      if (!safetyStop(error)) onProblem(explain(error));
      props.onChange();
    }
    setBusy(false);
  };
  const held = payment.held > 0 && deciding && asks(policy) && policy.id !== undefined;
  return (
    <div class="sheet-actions">
      {held && (
        <button
          type="button"
          class="button primary wide"
          aria-disabled={busy || !answered(policy, answers)}
          onClick={() =>
            !busy && answered(policy, answers) && void perform(() => acknowledge(store, sheet, answers))
          }
        >
          Go on
        </button>
      )}
      {offered.map((action) => {
        const off = busy || (action.moves && blocked !== undefined);
        if (action.primary && held) return null;
        return (
          <button
            key={action.label(payment)}
            type="button"
            // Not disabled: the focus stays on it while a pause runs.
            aria-disabled={off}
            class={`button ${action.primary ? "primary wide" : ""} ${action.danger ? "danger" : ""}`}
            onClick={() => !off && void perform(() => action.run(store, sheet, answers))}
          >
            {action.icon && <Icon name={action.icon} size={18} />}
            {action.label(payment)}
          </button>
        );
      })}
      <Hint offered={offered} payment={payment} answer={blocked === "answer"} />
    </div>
  );
}

/** What the hub offers, and what only this app knows how to do with it. */
function offers(store: Store, { payment, actions: names }: PaymentSheet): string[] {
  const paying = payment.payer === store.parley.user;
  const more = [];
  if (paying && names.includes("capture")) more.push("part");
  if (paying && payment.silent && payment.state === "requested") more.push("block");
  return [...names, ...more];
}

function Hint({ offered, payment, answer }: { offered: Action[]; payment: Payment; answer: boolean }) {
  if (!offered.some((a) => a.primary)) return null;
  if (answer) return <p class="muted small">Read and answer what is above first.</p>;
  if (payment.state !== "requested") return null;
  const when = payment.confirm === "live" ? "It moves when you both confirm." : "It moves when you pay.";
  return <p class="muted small">Setting aside only reserves your own money. {when}</p>;
}

/** Answers for money that is on hold already. */
async function acknowledge(store: Store, { payment, policy }: PaymentSheet, answers: Answers): Promise<Done> {
  await store.parley.safety.acknowledge(payment.id, payment.version, policy.id ?? "", answers.options);
  return "stay";
}

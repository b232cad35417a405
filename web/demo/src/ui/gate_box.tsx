import type { PaymentSheet, Policy } from "@parley/client";
import { useRef } from "preact/hooks";
import { duration, lasting, moment, money } from "../format.ts";
import { type Answers, waitsUntil } from "../gate.ts";
import type { Store } from "../store.ts";
import { useNow } from "./context.ts";
import { Icon } from "./icons.tsx";

interface Props {
  store: Store;
  sheet: PaymentSheet;
  answers: Answers;
  onAnswer: (answers: Answers) => void;
}

/** What stands before a payment, in the hub's words: why, what to read, what to answer, how long to wait. */
export function GateBox({ store, sheet, answers, onAnswer }: Props) {
  const { policy } = sheet;
  const bad = policy.action === "deny" || policy.what.includes("limit");
  return (
    <section class="gate" aria-label="Before you pay">
      {policy.explain && (
        <p class={`policy ${bad ? "policy-bad" : ""}`}>
          <Icon name={bad ? "warn" : "shield"} size={18} />
          <span>{policy.explain}</span>
        </p>
      )}
      <Warnings policy={policy} answers={answers} onAnswer={onAnswer} />
      <Questions policy={policy} answers={answers} onAnswer={onAnswer} />
      <Limit policy={policy} currency={sheet.payment.currency} />
      <Cooling sheet={sheet} />
      <Trusted store={store} sheet={sheet} />
      {policy.action !== "deny" && <Wait store={store} sheet={sheet} />}
    </section>
  );
}

type Asked = Pick<Props, "answers" | "onAnswer"> & { policy: Policy };

function Warnings({ policy, answers, onAnswer }: Asked) {
  const warnings = policy.warnings ?? [];
  if (warnings.length === 0) return null;
  return (
    <div class="asked">
      {warnings.map(
        (w) =>
          w.text !== policy.explain && (
            <p key={w.rule} class="policy">
              <Icon name="warn" size={18} />
              <span>{w.text}</span>
            </p>
          ),
      )}
      <label class="tick">
        <input
          type="checkbox"
          checked={answers.read}
          onChange={(event) => onAnswer({ ...answers, read: event.currentTarget.checked })}
        />
        <span>I have read this</span>
      </label>
    </div>
  );
}

function Questions({ policy, answers, onAnswer }: Asked) {
  const choose = (question: string, option: string) =>
    onAnswer({ ...answers, options: { ...answers.options, [question]: option } });
  return (
    <>
      {(policy.questions ?? []).map((question) => (
        <fieldset key={question.id} class="asked">
          <legend>{question.text}</legend>
          <div class="options">
            {question.options.map((option) => (
              <label key={option.id} class="tick">
                <input
                  type="radio"
                  name={question.id}
                  checked={answers.options[question.id] === option.id}
                  onChange={() => choose(question.id, option.id)}
                />
                <span>{option.text}</span>
              </label>
            ))}
          </div>
        </fieldset>
      ))}
    </>
  );
}

function Limit({ policy, currency }: { policy: Policy; currency: string }) {
  if (!policy.what.includes("limit")) return null;
  const { left = 0, frees } = policy;
  return (
    <p class="gate-line">
      <strong>
        {left > 0 ? `${money(left, currency)} is left of the limit.` : "Nothing is left of the limit."}
      </strong>{" "}
      {frees ? `There is room for this payment ${moment(frees)}.` : "Waiting does not help: ask for less."}
    </p>
  );
}

function Cooling({ sheet: { policy, payment } }: { sheet: PaymentSheet }) {
  const { cooling_off_until: until, cooling_off_s: seconds } = policy;
  if (payment.held > 0 && until) {
    return (
      <p class="gate-line">
        The money does not move before <strong>{moment(until)}</strong>. Until then you can take it back.
      </p>
    );
  }
  if (payment.held > 0 || !seconds) return null;
  return (
    <p class="gate-line">
      Once set aside, the money stays where it is for <strong>{lasting(seconds)}</strong>. You can take it
      back at any time.
    </p>
  );
}

function Trusted({ store, sheet }: { store: Store; sheet: PaymentSheet }) {
  const { policy, payment } = sheet;
  if (!policy.what.includes("trusted_person") || policy.action === "deny") return null;
  const said = store.approvals.word(payment.id)?.approval;
  if (policy.approver) {
    const who = store.name(policy.approver);
    return (
      <p class="gate-line" role="status">
        <Icon name={said === "approved" ? "check" : "clock"} size={18} />
        <span>
          {said === "approved"
            ? `${who} said yes. You can go on.`
            : `${who} was asked and has not answered yet.`}
        </span>
      </p>
    );
  }
  if (!policy.id)
    return <p class="gate-line">The person you trust has to say yes first. They are asked when you go on.</p>;
  return (
    <p class="gate-line">
      <span>
        Nobody can say yes to this yet. Name a person you trust; who is named now can answer after a day.{" "}
        <button type="button" class="link-button" onClick={() => store.open({ kind: "settings" })}>
          Name somebody
        </button>
      </span>
    </p>
  );
}

/** Counts down by the hub's clock. Only beginning and end are read out. */
function Wait({ store, sheet }: { store: Store; sheet: PaymentSheet }) {
  const { policy } = sheet;
  useNow(policy.until !== undefined);
  const begun = useRef<{ until?: string; left: number }>({ left: 0 });
  const now = store.parley.now();
  const left = policy.until ? Date.parse(policy.until) - now : 0;
  if (policy.until && begun.current.until !== policy.until) begun.current = { until: policy.until, left };
  const waiting = waitsUntil(sheet, now) === policy.until && left > 0;
  let said = "";
  if (waiting) said = `You can go on in ${lasting(Math.ceil(begun.current.left / 1_000))}.`;
  else if (begun.current.until) said = "The pause is over. You can go on.";
  return (
    <>
      {!policy.until && policy.pause_s && !policy.id ? (
        <p class="gate-line">
          A pause of {lasting(policy.pause_s)} comes first. It begins when you press the button.
        </p>
      ) : null}
      {waiting && (
        <div class="countdown" aria-hidden="true">
          <span class="countdown-left numbers">{duration(left + 999)}</span>
          <progress max={begun.current.left} value={begun.current.left - left} />
        </div>
      )}
      <p class={said ? "gate-line" : "unseen"} role="status">
        {said && !waiting && <Icon name="check" size={18} />}
        <span>{said}</span>
      </p>
    </>
  );
}

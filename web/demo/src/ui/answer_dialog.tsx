import { useState } from "preact/hooks";
import { moment } from "../format.ts";
import { explain } from "../problems.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { declineReasons } from "./payment_words.ts";

type Opened = { payment: string; onClose: () => void };

/** The payee's side of a dispute, said once. */
export function AnswerDialog({ payment: id, onClose }: Opened) {
  const store = useStore();
  const payment = store.payments.get(id);
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const submit = async () => {
    setBusy(true);
    try {
      store.takePaymentState(await store.parley.payments.answer(id, text.trim()));
      onClose();
    } catch (error) {
      setProblem(explain(error));
    }
    setBusy(false);
  };
  const by = payment?.dispute?.answer_by;
  return (
    <Dialog title="Answer the dispute" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) void submit();
        }}
      >
        <label>
          <span>What happened, as you see it</span>
          <textarea
            rows={5}
            maxLength={1000}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {problem && (
          <p class="field-problem" role="alert">
            {problem}
          </p>
        )}
        <p class="muted small">
          You can answer once{by ? `, until ${moment(by)}` : ""}. The payer reads it, and whoever decides.
        </p>
        <button type="submit" class="button primary wide" disabled={busy || !text.trim()}>
          Answer
        </button>
      </form>
    </Dialog>
  );
}

type Reason = keyof typeof declineReasons;

/** A no, with a reason of which no words pass between strangers. */
export function DeclineDialog({ payment: id, onClose }: Opened) {
  const store = useStore();
  const payment = store.payments.get(id);
  const [reason, setReason] = useState<Reason>(payment?.silent ? "unknown_sender" : "not_now");
  const [block, setBlock] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const payee = payment?.payee_name || store.name(payment?.payee ?? "");
  const submit = async () => {
    setBusy(true);
    try {
      store.takePaymentState(await store.parley.payments.decline(id, reason));
      if (block && payment) await store.parley.safety.block(payment.payee);
      onClose();
    } catch (error) {
      setProblem(explain(error));
    }
    setBusy(false);
  };
  return (
    <Dialog title="Decline the request" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <fieldset class="asked plain">
          <legend>Why</legend>
          <div class="options column">
            {Object.entries(declineReasons).map(([code, words]) => (
              <label key={code} class="tick">
                <input
                  type="radio"
                  name="reason"
                  checked={reason === code}
                  onChange={() => setReason(code as Reason)}
                />
                <span>{words}</span>
              </label>
            ))}
          </div>
        </fieldset>
        <label class="tick">
          <input
            type="checkbox"
            checked={block}
            onChange={(event) => setBlock(event.currentTarget.checked)}
          />
          <span>Also block {payee}: no requests, no calls. They are not told.</span>
        </label>
        {problem && (
          <p class="field-problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary wide" disabled={busy}>
          Decline
        </button>
      </form>
    </Dialog>
  );
}

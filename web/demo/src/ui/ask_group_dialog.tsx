import { useState } from "preact/hooks";
import { money, parseMoney } from "../format.ts";
import { explain } from "../problems.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Asks several people of a conversation: the same for everybody, or an amount for each. */
export function AskGroupDialog({ conversation, onClose }: { conversation: string; onClose: () => void }) {
  const store = useStore();
  const currency = store.balances[0]?.currency ?? "EUR";
  const members = store.threads.get(conversation)?.conversation.members ?? [];
  const others = members.map((m) => m.user).filter((user) => user !== store.parley.user);
  const [chosen, setChosen] = useState(others);
  const [equal, setEqual] = useState(true);
  const [text, setText] = useState("");
  const [each, setEach] = useState<Record<string, string>>({});
  const [memo, setMemo] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();

  const amounts = chosen.map((user) => parseMoney(each[user] ?? "", currency));
  const total = equal ? parseMoney(text, currency) : amounts.reduce((sum, n) => sum + n, 0);
  const toggle = (user: string) =>
    setChosen(chosen.includes(user) ? chosen.filter((u) => u !== user) : [...chosen, user]);

  const submit = async () => {
    const fits = total > 0 && (equal || amounts.every((n) => n > 0));
    if (chosen.length < 2) return setProblem("Choose two people or more.");
    if (!fits) return setProblem("Write an amount, for example 120 or 120.50.");
    setBusy(true);
    const payers = chosen.map((user, i) => (equal ? { user } : { user, amount: amounts[i] as number }));
    const split = equal ? { split: "equal" as const, amount: total } : {};
    const about = { currency, conversation, ...(memo ? { memo } : {}) };
    try {
      store.groups.put(await store.parley.requests.create({ payers, ...split, ...about }));
      onClose();
    } catch (error) {
      setProblem(explain(error));
    }
    setBusy(false);
  };

  return (
    <Dialog title="Ask several people" onClose={onClose}>
      <form
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <fieldset class="segments">
          <legend class="unseen">How to divide</legend>
          <label>
            <input type="radio" name="split" checked={equal} onChange={() => setEqual(true)} />
            <span>Divide equally</span>
          </label>
          <label>
            <input type="radio" name="split" checked={!equal} onChange={() => setEqual(false)} />
            <span>An amount for each</span>
          </label>
        </fieldset>
        {equal && (
          <label class="amount-field">
            <span>Amount in {currency}, in all</span>
            <input
              inputMode="decimal"
              autoComplete="off"
              placeholder={money(0, currency)}
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
        )}
        <fieldset class="choices">
          <legend>Who</legend>
          {others.map((user) => (
            <div key={user} class="choice-row">
              <label class="choice">
                <Avatar user={user} name={store.name(user)} />
                <span>{store.name(user)}</span>
                <input type="checkbox" checked={chosen.includes(user)} onChange={() => toggle(user)} />
              </label>
              {!equal && chosen.includes(user) && (
                <input
                  class="short"
                  inputMode="decimal"
                  autoComplete="off"
                  aria-label={`Amount for ${store.name(user)} in ${currency}`}
                  placeholder={money(0, currency)}
                  value={each[user] ?? ""}
                  onInput={(event) => setEach({ ...each, [user]: event.currentTarget.value })}
                />
              )}
            </div>
          ))}
        </fieldset>
        <label>
          <span>What for</span>
          <input maxLength={200} value={memo} onInput={(event) => setMemo(event.currentTarget.value)} />
        </label>
        {problem && (
          <p class="field-problem" role="alert">
            {problem}
          </p>
        )}
        <p class="muted small">
          {equal && total > 0 && chosen.length > 1
            ? `About ${money(Math.floor(total / chosen.length), currency)} each. What does not divide goes to the first in the list, a unit each.`
            : "Everybody gets a card of their own; the conversation sees the sum."}
        </p>
        <button type="submit" class="button primary wide" disabled={busy}>
          {total > 0 ? `Ask for ${money(total, currency)}` : "Ask"}
        </button>
      </form>
    </Dialog>
  );
}

import type { GroupRequest, Payment } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import type { MoneyTab } from "../dialogs.ts";
import { money, shortTime } from "../format.ts";
import { explain } from "../problems.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { ConvertTab } from "./convert_tab.tsx";
import { Dialog } from "./dialog.tsx";
import { groupRequestLine } from "./group_request.tsx";
import { LinksTab } from "./links_tab.tsx";
import { paymentLine, stateLook } from "./payment_words.ts";
import { PayoutsTab } from "./payouts_tab.tsx";

const tabs: Record<MoneyTab, { name: string; Body: () => preact.JSX.Element }> = {
  payments: { name: "Payments", Body: PaymentsTab },
  links: { name: "Links", Body: LinksTab },
  payouts: { name: "Pay out", Body: PayoutsTab },
  convert: { name: "Convert", Body: ConvertTab },
};

/** What one has, and everything that is done with it outside of a conversation. */
export function MoneyDialog({ tab: first = "payments", onClose }: { tab?: MoneyTab; onClose: () => void }) {
  const store = useStore();
  const [tab, setTab] = useState(first);
  const { Body } = tabs[tab];
  return (
    <Dialog title="My money" onClose={onClose} class="money">
      <ul class="balances">
        {store.balances.map((b) => (
          <li key={b.currency}>
            <strong class="numbers">{money(b.available, b.currency)}</strong>
            {b.held > 0 && <span class="muted small numbers">{money(b.held, b.currency)} set aside</span>}
          </li>
        ))}
      </ul>
      <fieldset class="segments">
        <legend class="unseen">Show</legend>
        {Object.entries(tabs).map(([key, { name }]) => (
          <label key={key}>
            <input type="radio" name="tab" checked={tab === key} onChange={() => setTab(key as MoneyTab)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <Body />
    </Dialog>
  );
}

/** All payments, also those that no conversation shows: shares, links, requests of strangers. */
function PaymentsTab() {
  const store = useStore();
  const [listed, setListed] = useState<Payment[]>();
  const [groups, setGroups] = useState<GroupRequest[]>([]);
  const [next, setNext] = useState("");
  const [problem, setProblem] = useState<string>();
  const load = async (cursor: string) => {
    const page = await store.parley.payments.list({ limit: 20, ...(cursor ? { cursor } : {}) });
    for (const payment of page.items) store.takePaymentState(payment);
    setListed([...(cursor ? (listed ?? []) : []), ...page.items]);
    setNext(page.next ?? "");
  };
  useEffect(() => {
    load("").catch((error) => setProblem(explain(error)));
    const own = (g: GroupRequest) => g.payee === store.parley.user && g.state === "open";
    store.parley.requests.list().then(
      (page) => setGroups(page.items.filter(own)),
      () => undefined,
    );
  }, []);
  if (problem) return <p class="field-problem">{problem}</p>;
  if (!listed) return <p class="muted">Looking it up…</p>;
  if (listed.length === 0) return <p class="muted pad centre">No payments yet.</p>;
  return (
    <>
      <ul class="rows">
        {groups.map((group) => (
          <li key={group.id}>
            <button
              type="button"
              class="row-button"
              onClick={() => store.open({ kind: "group_request", request: group.id })}
            >
              <span class="rows-main">{groupRequestLine(group, store)}</span>
              <span class="chip chip-wait">Open</span>
            </button>
          </li>
        ))}
        {listed.map((payment) => (
          <PaymentRow key={payment.id} payment={store.payments.get(payment.id) ?? payment} />
        ))}
      </ul>
      {next && (
        <button type="button" class="quiet-button wide" onClick={() => void load(next)}>
          Earlier payments
        </button>
      )}
    </>
  );
}

function PaymentRow({ payment }: { payment: Payment }) {
  const store = useStore();
  const look = stateLook[payment.state];
  const other = payment.payer === store.parley.user ? payment.payee : payment.payer;
  const name = other === payment.payee ? payment.payee_name : store.name(other);
  return (
    <li>
      <button
        type="button"
        class="row-button"
        onClick={() => store.open({ kind: "sheet", payment: payment.id })}
      >
        <Avatar user={other} name={name} />
        <span class="rows-main">
          <span>{paymentLine(payment, store.parley.user, (u) => store.name(u))}</span>
          <span class="muted small">
            {shortTime(payment.updated_at)}
            {payment.memo && ` · “${payment.memo}”`}
          </span>
        </span>
        <span class={`chip chip-${look.tone}`}>{look.label}</span>
      </button>
    </li>
  );
}

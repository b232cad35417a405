import type { GroupRequest, Payment } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { money } from "../format.ts";
import { explain } from "../problems.ts";
import type { Store } from "../store.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { stateLook } from "./payment_words.ts";

/** One sentence about a request to several people. */
export function groupRequestLine(request: GroupRequest, store: Store): string {
  const who = request.payee === store.parley.user ? "You ask" : `${request.payee_name} asks`;
  const what = `${who} ${request.payers.length} people for ${money(request.amount ?? 0, request.currency)} in all`;
  const memo = request.memo ? `: “${request.memo}”` : "";
  const end = { open: "", complete: " · everybody has answered", cancelled: " · withdrawn" }[request.state];
  return what + memo + end;
}

/** A request to several people in their conversation; whoever is asked finds the own share. */
export function GroupRequestCard({ request, store }: { request: GroupRequest; store: Store }) {
  const mine = request.payers.some((p) => p.user === store.parley.user);
  const own = request.payee === store.parley.user;
  const newest = store.groups.get(request.id) ?? request;
  const look = async () => {
    const share = await store.run(() => myShare(store, request.id));
    if (!share) return;
    store.takePaymentState(share);
    store.open({ kind: "sheet", payment: share.id });
  };
  return (
    <p class="line">
      <span>{groupRequestLine(request, store)}</span>
      {mine && newest.state === "open" && (
        <button type="button" class="quiet-button" onClick={() => void look()}>
          Your share
        </button>
      )}
      {own && (
        <button
          type="button"
          class="quiet-button"
          onClick={() => store.open({ kind: "group_request", request: request.id })}
        >
          Who has paid
        </button>
      )}
    </p>
  );
}

/** The payment that this person is asked for. */
async function myShare(store: Store, id: string): Promise<Payment | undefined> {
  const request = await store.parley.requests.get(id);
  return request.items.find((p) => p.payer === store.parley.user);
}

const over = ["declined", "expired", "cancelled", "voided"];

/** What is collected and what is open, share by share, for the payee. */
export function GroupRequestDialog({ request: id, onClose }: { request: string; onClose: () => void }) {
  const store = useStore();
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    void store.groups.fetch(id).then(() => store.changed());
  }, [id]);
  const request = store.groups.get(id);
  const act = async (work: () => Promise<unknown>, said: string) => {
    setProblem(undefined);
    try {
      await work();
      await store.groups.fetch(id);
      store.say(said);
    } catch (error) {
      setProblem(explain(error));
    }
  };
  const { requests } = store.parley;
  return (
    <Dialog title="Who has paid" onClose={onClose}>
      {!request && <p class="muted">Looking it up…</p>}
      {request && <Collected request={request} />}
      {problem && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      <ul class="rows">
        {request?.items.map((share) => (
          <li key={share.id}>
            <Avatar user={share.payer} name={store.name(share.payer)} />
            <span class="rows-main">
              <strong>{store.name(share.payer)}</strong>
              <span class="muted small numbers">{money(share.amount, share.currency)}</span>
            </span>
            <span class={`chip chip-${stateLook[share.state].tone}`}>{stateLook[share.state].label}</span>
            {share.state === "requested" && (
              <button
                type="button"
                class="small-button"
                aria-label={`Remind ${store.name(share.payer)}`}
                onClick={() =>
                  void act(() => requests.remind(share.id), `${store.name(share.payer)} was reminded.`)
                }
              >
                Remind
              </button>
            )}
          </li>
        ))}
      </ul>
      {request?.state === "open" && (
        <button
          type="button"
          class="button danger wide"
          onClick={() => void act(() => requests.cancel(id), "Withdrawn. What was paid stays paid.")}
        >
          Withdraw what is not paid
        </button>
      )}
    </Dialog>
  );
}

function Collected({ request }: { request: GroupRequest }) {
  const { amount = 0, collected = 0, currency, items } = request;
  const paid = items.filter((p) => p.captured > 0).length;
  const lost = items.filter((p) => over.includes(p.state)).reduce((sum, p) => sum + p.amount, 0);
  const open = Math.max(0, amount - collected - lost);
  return (
    <div class="collected">
      <p class="pay-hero-amount numbers">{money(collected, currency)}</p>
      <p class="muted" role="status">
        of {money(amount, currency)} collected · {paid} of {items.length} paid
      </p>
      <progress max={amount} value={collected} aria-label="Collected" />
      <p class="muted small numbers">
        {request.state === "cancelled" ? "Withdrawn" : `${money(open, currency)} open`}
        {lost > 0 && ` · ${money(lost, currency)} will not come`}
        {request.memo && ` · “${request.memo}”`}
      </p>
    </div>
  );
}

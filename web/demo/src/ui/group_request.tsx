import { money } from "../format.ts";
import { type GroupRequest, myShare } from "../links.ts";
import type { Store } from "../store.ts";

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
  const look = async () => {
    const share = await store.run(() => myShare(store.parley, request.id));
    if (!share) return;
    store.takePaymentState(share);
    store.open({ kind: "sheet", payment: share.id });
  };
  return (
    <p class="line">
      <span>{groupRequestLine(request, store)}</span>
      {mine && request.state === "open" && (
        <button type="button" class="quiet-button" onClick={() => void look()}>
          Your share
        </button>
      )}
    </p>
  );
}

import type { Payment } from "@parley/client";
import { moment, money } from "../format.ts";
import type { Store } from "../store.ts";

/** A dispute: what was answered, until when, and what happens without an answer. */
export function DisputeFacts({ store, payment }: { store: Store; payment: Payment }) {
  const { dispute } = payment;
  if (!dispute) return null;
  const paying = payment.payer === store.parley.user;
  const other = paying ? payment.payee_name || store.name(payment.payee) : store.name(payment.payer);
  return (
    <section class="dispute" aria-label="Dispute">
      <p>
        <strong>{paying ? "You" : other}</strong> disputed this {moment(dispute.opened_at)}.
        {payment.reserved > 0 &&
          ` ${money(payment.reserved, payment.currency)} is kept aside until it is decided.`}
      </p>
      {dispute.answer ? (
        <blockquote>
          <p>“{dispute.answer}”</p>
          <footer class="muted small">{paying ? other : "You"}</footer>
        </blockquote>
      ) : (
        !dispute.closed_at &&
        dispute.answer_by && (
          <p>
            {paying ? other : "You"} can answer until <strong>{moment(dispute.answer_by)}</strong>.
          </p>
        )
      )}
      {dispute.answer && !dispute.closed_at && dispute.decide_by && (
        <p>It is decided until {moment(dispute.decide_by)}.</p>
      )}
      {dispute.outcome && (
        <p>
          Decided for {(dispute.outcome === "payer") === paying ? "you" : other}
          {dispute.closed_at && ` ${moment(dispute.closed_at)}`}.
          {dispute.uncollected
            ? ` ${money(dispute.uncollected, payment.currency)} could not be collected.`
            : ""}
        </p>
      )}
    </section>
  );
}

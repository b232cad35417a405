import { age, moment, money } from "../format.ts";
import type { Payment } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { Chip, type Tone } from "./chip.tsx";
import { type Column, List } from "./list.tsx";

const states: Record<Payment["state"], Tone> = {
  requested: "wait",
  held: "wait",
  confirming: "wait",
  confirmed: "wait",
  captured: "good",
  part_refunded: "good",
  refunded: "plain",
  declined: "plain",
  expired: "plain",
  cancelled: "plain",
  voided: "plain",
  review: "bad",
  disputed: "bad",
};

export function Payments({ rows, at, filter }: Seen<Payment>) {
  const columns: Column<Payment>[] = [
    { title: "Payment", kind: "id", text: (p) => p.id },
    { title: "State", text: (p) => p.state, cell: (p) => <Chip name={p.state} tone={states[p.state]} /> },
    { title: "Amount", kind: "number", text: (p) => `${amount(p)} ${p.currency}`, cell: Amount },
    { title: "Payer → payee", text: (p) => `${p.payer} → ${p.payee}` },
    { title: "Version", kind: "number", text: (p) => String(p.version) },
    { title: "Confirmed", text: confirmed },
    {
      title: "Updated",
      text: (p) => moment(p.updated_at, at),
      cell: (p) => <time dateTime={p.updated_at}>{moment(p.updated_at, at)}</time>,
    },
    { title: "Age", kind: "number", text: (p) => age(p.created_at, at) },
  ];
  return (
    <List
      id="payments"
      title="Payments"
      rows={rows}
      columns={columns}
      rowKey={(p) => p.id}
      empty="No payments on this node yet."
      filter={filter}
    />
  );
}

function amount(p: Payment): string {
  return money(p.amount, p.currency);
}

/** The amount agreed on and, below it, what of it moved another way. */
function Amount(p: Payment) {
  const notes: string[] = [];
  if (p.captured && p.captured !== p.amount) notes.push(`${money(p.captured, p.currency)} captured`);
  if (p.refunded) notes.push(`${money(p.refunded, p.currency)} refunded`);
  if (p.fee) notes.push(`${money(p.fee, p.currency)} fee`);
  return (
    <>
      {amount(p)}
      {notes.length > 0 && <span class="aside">{notes.join(", ")}</span>}
    </>
  );
}

function confirmed(p: Payment): string {
  if (p.confirmed_by.length) return p.confirmed_by.join(" and ");
  return p.confirm === "live" ? "nobody yet" : "not needed";
}

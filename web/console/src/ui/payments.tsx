import { age, moment, money } from "../format.ts";
import type { Payment } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { Chip, type Tone } from "./chip.tsx";
import { type Column, List } from "./list.tsx";
import { useAct } from "./operator.ts";
import { Sure } from "./sure.tsx";

const states: Record<Payment["state"], Tone> = {
  requested: "wait",
  held: "wait",
  confirming: "wait",
  confirmed: "wait",
  part_captured: "wait",
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

/** What an operator may end, in favour of one of the two. */
const contested = new Set<Payment["state"]>(["review", "disputed"]);

export function Payments({ rows, at, filter }: Seen<Payment>) {
  const { act, busy, said } = useAct();
  const resolve = (p: Payment, outcome: "payer" | "payee") =>
    act(
      `/v1/payments/${encodeURIComponent(p.id)}/resolve`,
      { outcome },
      `console-${p.id}-${p.version}-${outcome}`,
      () => `Decided for ${p[outcome]}.`,
    );
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
  if (rows.some((p) => contested.has(p.state))) {
    columns.push({
      title: "Decide",
      text: () => "",
      cell: (p) => contested.has(p.state) && <Decide payment={p} busy={busy} resolve={resolve} />,
    });
  }
  return (
    <List
      id="payments"
      title="Payments"
      rows={rows}
      columns={columns}
      rowKey={(p) => p.id}
      empty="No payments on this node yet."
      filter={filter}
    >
      <p class="list-said" role="status">
        {said}
      </p>
    </List>
  );
}

interface DecideProps {
  payment: Payment;
  busy: boolean;
  resolve: (p: Payment, outcome: "payer" | "payee") => void;
}

/** Both ways to end a review or dispute, each said before it happens. */
function Decide({ payment: p, busy, resolve }: DecideProps) {
  const forPayee = p.state === "disputed" ? "The payee keeps it" : "The payment goes on";
  return (
    <div class="acts">
      <Sure
        name="For payer"
        question={`${amount(p)} back to ${p.payer}?`}
        yes="Give it back"
        disabled={busy}
        act={() => resolve(p, "payer")}
      />
      <Sure
        name="For payee"
        question={`Decide for ${p.payee}? ${forPayee}.`}
        yes="Decide for payee"
        disabled={busy}
        act={() => resolve(p, "payee")}
      />
    </div>
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

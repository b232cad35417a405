import { age, span, words } from "../format.ts";
import type { Call } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { Chip, type Tone } from "./chip.tsx";
import { type Column, List } from "./list.tsx";

const states: Record<Call["state"], Tone> = {
  ringing: "wait",
  connecting: "wait",
  active: "good",
  ended: "plain",
};

const verified: Record<Call["verified"], Tone> = { none: "plain", words_match: "good", words_differ: "bad" };

const troubles = new Set<Call["reason"]>(["failed", "media_timeout", "policy"]);

export function Calls({ rows, at, filter, setFilter }: Seen<Call> & { setFilter: (text: string) => void }) {
  const columns: Column<Call>[] = [
    { title: "Call", kind: "id", text: (c) => c.id },
    { title: "State", text: (c) => [c.state, ending(c)].join(" "), cell: State },
    { title: "Who", text: who },
    { title: "Route", text: route },
    {
      title: "Words",
      text: (c) => (c.verified === "none" ? "not compared" : words(c.verified)),
      cell: (c) =>
        c.verified === "none" ? "not compared" : <Chip name={c.verified} tone={verified[c.verified]} />,
    },
    {
      title: "Payment",
      kind: "id",
      text: (c) => c.payment ?? "none",
      cell: (c) => <PaymentLink id={c.payment} pick={setFilter} />,
    },
    { title: "Age", kind: "number", text: (c) => age(c.created_at, at) },
  ];
  return (
    <List
      id="calls"
      title="Calls"
      rows={rows}
      columns={columns}
      rowKey={(c) => c.id}
      empty="No calls on this node yet."
      filter={filter}
    />
  );
}

function State(call: Call) {
  const why = ending(call);
  return (
    <>
      <Chip name={call.state} tone={troubles.has(call.reason) ? "bad" : states[call.state]} />
      {why && <span class="aside">{why}</span>}
    </>
  );
}

/** Why it ended and how long people talked. */
function ending(call: Call): string {
  const why = [call.reason, call.detail].flatMap((name) => (name ? [words(name)] : []));
  if (call.duration_ms) why.push(span(call.duration_ms));
  return why.join(", ");
}

/** The caller first, then everybody else with where they stand. */
function who(call: Call): string {
  const others = call.participants
    .filter((p) => p.user !== call.from.user)
    .map((p) => `${p.user} (${words(p.state)}${p.muted ? ", muted" : ""})`);
  return `${call.from.user} → ${others.join(", ") || "nobody"}`;
}

function route(call: Call): string {
  const way = call.route ?? (call.media === "sfu" ? "sfu" : "none yet");
  return [way === "sfu" ? "SFU" : way, call.relay_only && "relay only", call.e2e && "end-to-end"]
    .filter(Boolean)
    .join(", ");
}

/** Leaves only what speaks of the payment. */
function PaymentLink({ id, pick }: { id: string | undefined; pick: (text: string) => void }) {
  if (!id) return <span class="muted">none</span>;
  return (
    <button type="button" class="link-button" aria-label={`Filter by payment ${id}`} onClick={() => pick(id)}>
      {id}
    </button>
  );
}

import { useEffect, useState } from "preact/hooks";
import { Failure } from "../ask.ts";
import { many, moment, words } from "../format.ts";
import type { Delivery, DeliveryListOutput } from "../overview.ts";
import { Chip, type Tone } from "./chip.tsx";
import { type Column, List } from "./list.tsx";
import { useAct, useOperator } from "./operator.ts";

const tones: Record<Delivery["state"], Tone> = { pending: "wait", succeeded: "good", dead: "bad" };

/** What a webhook got or is to get, as new as the figures above it. */
export function Deliveries({ hook, at, filter }: { hook: string; at: number; filter: string }) {
  const { node } = useOperator();
  const [rows, setRows] = useState<Delivery[]>([]);
  const [trouble, setTrouble] = useState("");
  const { act, busy, said } = useAct();
  const path = `/v1/webhooks/${encodeURIComponent(hook)}`;
  useEffect(() => {
    let gone = false;
    node.get<DeliveryListOutput>(`${path}/deliveries?limit=50`).then(
      (list) => {
        if (gone) return;
        setRows(list.items);
        setTrouble("");
      },
      (error) => !gone && setTrouble(error instanceof Failure ? error.message : "The node does not answer."),
    );
    return () => {
      gone = true;
    };
  }, [path, at, node]);
  const columns: Column<Delivery>[] = [
    { title: "Delivery", kind: "id", text: (d) => d.id },
    { title: "State", text: (d) => d.state, cell: (d) => <Chip name={d.state} tone={tones[d.state]} /> },
    { title: "Event", text: (d) => d.type },
    { title: "Of", kind: "id", text: (d) => d.object },
    { title: "Attempts", kind: "number", text: (d) => String(d.attempts.at(-1)?.n ?? 0) },
    { title: "Last answer", text: lastAnswer },
    {
      title: "Changed",
      text: (d) => moment(d.updated_at, at),
      cell: (d) => <time dateTime={d.updated_at}>{moment(d.updated_at, at)}</time>,
    },
    {
      title: "Again",
      text: () => "",
      cell: (d) => (
        <button
          type="button"
          class="small-button"
          disabled={busy}
          aria-label={`Replay ${d.id}`}
          onClick={() => act(`${path}/replay`, { delivery: d.id }, crypto.randomUUID(), again)}
        >
          Replay
        </button>
      ),
    },
  ];
  return (
    <List
      id="deliveries"
      title="Deliveries"
      rows={rows}
      columns={columns}
      rowKey={(d) => d.id}
      empty={trouble || "Nothing has been sent to this webhook yet."}
      filter={filter}
    >
      <p class="list-said" role="status">
        {said || trouble}
      </p>
    </List>
  );
}

/** What the endpoint said to the last attempt. */
function lastAnswer(delivery: Delivery): string {
  const last = delivery.attempts.at(-1);
  if (!last) return "not tried yet";
  const said = last.status ? String(last.status) : words(last.error ?? "no answer");
  return `${said} in ${last.ms} ms`;
}

/** What a replay answered, in words. */
export function again(answer: unknown): string {
  const { replayed } = answer as { replayed: number };
  return replayed
    ? `${many(replayed, "delivery").replace("deliverys", "deliveries")} on the way again.`
    : "There was nothing to deliver again.";
}

import { useState } from "preact/hooks";
import type { Hook } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { Chip } from "./chip.tsx";
import { again, Deliveries } from "./deliveries.tsx";
import { type Column, List } from "./list.tsx";
import { useAct } from "./operator.ts";
import { Sure } from "./sure.tsx";

/** How far back deliveries are kept. */
const KEPT_DAYS = 30;

export function Webhooks({ rows, at, filter }: Seen<Hook>) {
  const [open, setOpen] = useState<string>();
  const { act, busy, said } = useAct();
  const replay = (hook: Hook) => {
    const since = new Date(at - KEPT_DAYS * 86_400_000).toISOString();
    act(
      `/v1/webhooks/${encodeURIComponent(hook.id)}/replay`,
      { since, dead_only: true },
      crypto.randomUUID(),
      again,
    );
  };
  const columns: Column<Hook>[] = [
    { title: "Webhook", kind: "id", text: (h) => h.id },
    {
      title: "State",
      text: state,
      cell: (h) => <Chip name={state(h)} tone={h.disabled ? "bad" : "good"} />,
    },
    { title: "URL", text: (h) => h.url },
    { title: "Events", text: (h) => h.events.join(", ") || "all" },
    {
      title: "Deliveries",
      text: () => "",
      cell: (h) => (
        <div class="acts">
          <button
            type="button"
            class="small-button"
            aria-expanded={open === h.id}
            aria-label={`List deliveries of ${h.id}`}
            onClick={() => setOpen(open === h.id ? undefined : h.id)}
          >
            List
          </button>
          <Sure
            name="Replay dead"
            question={`Deliver again what failed at every attempt, of the last ${KEPT_DAYS} days?`}
            yes="Deliver again"
            disabled={busy || h.disabled}
            act={() => replay(h)}
          />
        </div>
      ),
    },
  ];
  return (
    <>
      <List
        id="webhooks"
        title="Webhooks"
        rows={rows}
        columns={columns}
        rowKey={(h) => h.id}
        empty="No backend is told what happens."
        filter={filter}
      >
        <p class="list-said" role="status">
          {said}
        </p>
      </List>
      {open && <Deliveries key={open} hook={open} at={at} filter={filter} />}
    </>
  );
}

function state(hook: Hook): string {
  if (!hook.disabled) return "enabled";
  return hook.reason === "gone" ? "disabled: answered 410" : "disabled";
}

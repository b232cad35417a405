import { age, count, percent } from "../format.ts";
import type { Cluster } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { Chip } from "./chip.tsx";
import { type Column, List } from "./list.tsx";

export function Nodes({ rows, at, filter }: Seen<Cluster>) {
  const columns: Column<Cluster>[] = [
    { title: "Node", kind: "id", text: (n) => n.id },
    {
      title: "State",
      text: (n) => (n.load.draining ? "draining" : "serving"),
      cell: (n) =>
        n.load.draining ? <Chip name="draining" tone="wait" /> : <Chip name="serving" tone="good" />,
    },
    { title: "Address", text: (n) => n.address },
    { title: "Roles", text: (n) => n.roles.join(", ") },
    { title: "Sockets", kind: "number", text: (n) => count(n.load.sockets) },
    { title: "People", kind: "number", text: (n) => count(n.load.people) },
    { title: "Rooms", kind: "number", text: (n) => count(n.load.rooms) },
    { title: "Relays", kind: "number", text: (n) => count(n.load.relays) },
    { title: "Processor", kind: "number", text: (n) => percent(n.load.cpu) },
    { title: "Version", text: (n) => n.version },
    { title: "Up for", kind: "number", text: (n) => age(n.started, at) },
  ];
  return (
    <List
      id="nodes"
      title="Nodes"
      rows={rows}
      columns={columns}
      rowKey={(n) => n.id}
      empty="No node is alive."
      filter={filter}
    />
  );
}

import { age, bytes } from "../format.ts";
import type { Socket } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { type Column, List } from "./list.tsx";

export function Sockets({ rows, at, filter }: Seen<Socket>) {
  const columns: Column<Socket>[] = [
    { title: "Session", kind: "id", text: (s) => s.session },
    { title: "User", text: (s) => s.user },
    { title: "Device", kind: "id", text: (s) => s.device },
    { title: "Address", text: (s) => s.addr },
    { title: "Queued", kind: "number", text: (s) => bytes(s.queued_bytes) },
    { title: "Open for", kind: "number", text: (s) => age(s.since, at) },
  ];
  return (
    <List
      id="sockets"
      title="Sockets"
      rows={rows}
      columns={columns}
      rowKey={(s) => s.session}
      empty="No device is connected."
      filter={filter}
    />
  );
}

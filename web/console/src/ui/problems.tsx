import { moment } from "../format.ts";
import { problemKey, type RecentProblem } from "../overview.ts";
import type { Seen } from "./board.tsx";
import { Chip } from "./chip.tsx";
import { type Column, List } from "./list.tsx";

export function Problems({ rows, at, filter }: Seen<RecentProblem>) {
  const columns: Column<RecentProblem>[] = [
    {
      title: "Time",
      text: (p) => moment(p.time, at),
      cell: (p) => <time dateTime={p.time}>{moment(p.time, at)}</time>,
    },
    {
      title: "Code",
      text: (p) => p.code,
      cell: (p) => <a href={`/problems/${encodeURIComponent(p.code)}`}>{p.code}</a>,
    },
    {
      title: "Status",
      text: (p) => String(p.status),
      cell: (p) => <Chip name={String(p.status)} tone={p.status >= 500 ? "bad" : "plain"} />,
    },
    { title: "Operation", text: (p) => p.operation },
    { title: "Request", kind: "id", text: (p) => p.request_id },
  ];
  return (
    <List
      id="problems"
      title="Recent problems"
      rows={rows}
      columns={columns}
      rowKey={problemKey}
      empty="No problems since the node started."
      filter={filter}
    />
  );
}

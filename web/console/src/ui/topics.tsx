import { count } from "../format.ts";
import type { Topic } from "../overview.ts";
import { type Column, List } from "./list.tsx";

const columns: Column<Topic>[] = [
  { title: "Topic", kind: "id", text: (t) => t.topic },
  { title: "Joined here", kind: "number", text: (t) => count(t.joined) },
];

export function Topics({ rows, filter }: { rows: Topic[]; filter: string }) {
  return (
    <List
      id="topics"
      title="Topics"
      rows={rows}
      columns={columns}
      rowKey={(t) => t.topic}
      empty="Nobody on this node has joined a topic."
      filter={filter}
    />
  );
}

import { bytes, count, span, words } from "../format.ts";
import type { Node } from "../overview.ts";
import { names } from "../rates.ts";

const databases: Record<Node["database"], string> = { sqlite3: "SQLite", postgres: "PostgreSQL" };

/** The process and its counters, as one row of figures. */
export function Facts({ node, counters }: { node: Node; counters: Record<string, number> }) {
  const rated = new Set(names(counters));
  const figures: [string, string][] = [
    ["version", node.version],
    ["up for", span(node.uptime_s * 1_000)],
    ["database", databases[node.database]],
    ["heap", bytes(node.heap_bytes)],
    ["goroutines", count(node.goroutines)],
    ...Object.entries(counters)
      .filter(([name]) => !rated.has(name))
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, n]): [string, string] => [words(name), count(n)]),
  ];
  return (
    <section aria-label="Node">
      <dl class="figures">
        {figures.map(([name, value]) => (
          <div key={name} class="figure">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

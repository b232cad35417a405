import { count } from "../format.ts";
import type { Look } from "../overview.ts";
import type { Rates as Book } from "../rates.ts";
import { Accounts } from "./accounts.tsx";
import { Calls } from "./calls.tsx";
import { Facts } from "./facts.tsx";
import { Nodes } from "./nodes.tsx";
import { Payments } from "./payments.tsx";
import { Problems } from "./problems.tsx";
import { Rates } from "./rates.tsx";
import { Sockets } from "./sockets.tsx";
import { Topics } from "./topics.tsx";
import { Webhooks } from "./webhooks.tsx";

interface Props {
  look: Look;
  rates: Book;
  at: number;
  filter: string;
  setFilter: (filter: string) => void;
}

/** The node's facts and its lists. Every age is seen from `at`, so that one look is of one moment. */
export function Board({ look, rates, at, filter, setFilter }: Props) {
  const { overview, nodes, hooks } = look;
  const seen = { at, filter };
  return (
    <>
      <Facts node={overview.node} counters={overview.counters} />
      <Jumps look={look} />
      <Rates rates={rates} />
      {nodes && <Nodes rows={nodes} {...seen} />}
      <Calls rows={overview.calls} {...seen} setFilter={setFilter} />
      <Payments rows={overview.payments} {...seen} />
      <Accounts rows={overview.accounts} filter={filter} />
      {hooks && <Webhooks rows={hooks} {...seen} />}
      <Sockets rows={overview.sockets} {...seen} />
      {overview.topics && <Topics rows={overview.topics} filter={filter} />}
      <Problems rows={overview.problems} {...seen} />
    </>
  );
}

function Jumps({ look }: { look: Look }) {
  const { overview, nodes, hooks } = look;
  const lists: [id: string, rows: unknown[] | undefined][] = [
    ["nodes", nodes],
    ["calls", overview.calls],
    ["payments", overview.payments],
    ["accounts", overview.accounts],
    ["webhooks", hooks],
    ["sockets", overview.sockets],
    ["topics", overview.topics],
    ["problems", overview.problems],
  ];
  return (
    <nav class="jumps" aria-label="Lists">
      {lists.map(
        ([id, rows]) =>
          rows && (
            <a key={id} class="jump" href={`#${id}`}>
              {id.charAt(0).toUpperCase() + id.slice(1)} <span class="muted">{count(rows.length)}</span>
            </a>
          ),
      )}
    </nav>
  );
}

/** What every list with ages is given. */
export interface Seen<T> {
  rows: T[];
  at: number;
  filter: string;
}

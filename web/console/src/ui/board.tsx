import { count } from "../format.ts";
import type { Overview } from "../overview.ts";
import { Accounts } from "./accounts.tsx";
import { Calls } from "./calls.tsx";
import { Facts } from "./facts.tsx";
import { Payments } from "./payments.tsx";
import { Problems } from "./problems.tsx";
import { Sockets } from "./sockets.tsx";

interface Props {
  overview: Overview;
  at: number;
  filter: string;
  setFilter: (filter: string) => void;
}

/** The node's facts and its lists. Every age is seen from `at`, so that one look is of one moment. */
export function Board({ overview, at, filter, setFilter }: Props) {
  const seen = { at, filter };
  return (
    <>
      <Facts node={overview.node} counters={overview.counters} />
      <Jumps overview={overview} />
      <Calls rows={overview.calls} {...seen} setFilter={setFilter} />
      <Payments rows={overview.payments} {...seen} />
      <Accounts rows={overview.accounts} filter={filter} />
      <Sockets rows={overview.sockets} {...seen} />
      <Problems rows={overview.problems} {...seen} />
    </>
  );
}

function Jumps({ overview }: { overview: Overview }) {
  const lists = ["calls", "payments", "accounts", "sockets", "problems"] as const;
  return (
    <nav class="jumps" aria-label="Lists">
      {lists.map((id) => (
        <a key={id} class="jump" href={`#${id}`}>
          {id.charAt(0).toUpperCase() + id.slice(1)} <span class="muted">{count(overview[id].length)}</span>
        </a>
      ))}
    </nav>
  );
}

/** What every list with ages is given. */
export interface Seen<T> {
  rows: T[];
  at: number;
  filter: string;
}

import { LISTED_MAX, type Sum, sums } from "../books.ts";
import { count, money } from "../format.ts";
import type { Account } from "../overview.ts";
import { type Column, List } from "./list.tsx";

const columns: Column<Account>[] = [
  { title: "Account", kind: "id", text: (a) => a.id },
  { title: "Currency", text: (a) => a.currency },
  { title: "Posted", kind: "number", text: (a) => money(a.posted, a.currency) },
  { title: "Reserved", kind: "number", text: (a) => money(a.pending, a.currency) },
];

export function Accounts({ rows, filter }: { rows: Account[]; filter: string }) {
  return (
    <List
      id="accounts"
      title="Ledger accounts"
      rows={rows}
      columns={columns}
      rowKey={(a) => `${a.id} ${a.currency}`}
      empty="The books are empty: no money has moved yet."
      filter={filter}
    >
      <Checks rows={rows} />
    </List>
  );
}

/** Money is only moved, never made: the accounts of a currency add up to nothing, if they are all here. */
function Checks({ rows }: { rows: Account[] }) {
  if (rows.length >= LISTED_MAX) {
    return (
      <p class="list-note">
        Only the first {count(LISTED_MAX)} accounts are listed, too few to add up. Run{" "}
        <code class="mono">parley ledger check</code> to prove the books.
      </p>
    );
  }
  return (
    <ul class="checks" aria-label="Sum of all accounts">
      {sums(rows).map((sum) => (
        <Check key={sum.currency} sum={sum} />
      ))}
    </ul>
  );
}

function Check({ sum }: { sum: Sum }) {
  const right = sum.posted === 0;
  return (
    <li class={`check ${right ? "check-good" : "check-bad"}`}>
      <span aria-hidden="true">{right ? "✓" : "✗"}</span>
      <span>
        {sum.currency} adds up to <strong>{money(sum.posted, sum.currency)}</strong>
        {right ? "" : ", and must be 0. Stop payouts and run parley ledger check."}
      </span>
    </li>
  );
}

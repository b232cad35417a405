import { useState } from "preact/hooks";
import { Failure } from "../ask.ts";
import { LISTED_MAX, type Sum, sums } from "../books.ts";
import { count, money } from "../format.ts";
import type { Account, LedgerAccountListOutput } from "../overview.ts";
import { type Column, List } from "./list.tsx";
import { useOperator } from "./operator.ts";

const columns: Column<Account>[] = [
  { title: "Account", kind: "id", text: (a) => a.id },
  { title: "Currency", text: (a) => a.currency },
  { title: "Posted", kind: "number", text: (a) => money(a.posted, a.currency) },
  { title: "Reserved", kind: "number", text: (a) => money(a.pending, a.currency) },
];

export function Accounts({ rows, filter }: { rows: Account[]; filter: string }) {
  const pages = usePages();
  const listed = pages.rows ?? rows;
  const whole = pages.rows ? pages.whole : rows.length < LISTED_MAX;
  return (
    <List
      id="accounts"
      title="Ledger accounts"
      rows={listed}
      columns={columns}
      rowKey={(a) => `${a.id} ${a.currency}`}
      empty="The books are empty: no money has moved yet."
      filter={filter}
    >
      {whole && <Checks rows={listed} />}
      {(!whole || pages.rows) && (
        <div class="list-note">
          <p role="status">
            {pages.trouble ||
              (pages.rows
                ? `As they were when you asked: ${count(listed.length)}${whole ? ", which are all" : " so far"}.`
                : `Only the first ${count(LISTED_MAX)} accounts are listed, too few to add up.`)}{" "}
            Run <code class="mono">parley ledger check</code> to prove the books.
          </p>
          <p class="acts acts-below">
            {!whole && (
              <button type="button" class="small-button" disabled={pages.busy} onClick={pages.more}>
                List more
              </button>
            )}
            {pages.rows && (
              <button type="button" class="small-button" onClick={pages.drop}>
                Only the first, live
              </button>
            )}
          </p>
        </div>
      )}
    </List>
  );
}

/** So many pages are fetched at one press. */
const AT_ONCE = 10;

/** Accounts page by page, from the ledger itself. */
function usePages() {
  const { node } = useOperator();
  const [rows, setRows] = useState<Account[]>();
  const [next, setNext] = useState("");
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const more = async () => {
    setBusy(true);
    setTrouble("");
    try {
      const found = [...(rows ?? [])];
      let cursor = rows ? next : "";
      for (let i = 0; i < AT_ONCE; i++) {
        const page = await node.get<LedgerAccountListOutput>(
          `/v1/ledger/accounts?limit=100&cursor=${encodeURIComponent(cursor)}`,
        );
        found.push(
          ...page.items.map(({ id, currency, posted, pending_out }) => ({
            id,
            currency,
            posted,
            pending: pending_out,
          })),
        );
        cursor = page.next;
        if (!cursor) break;
      }
      setRows(found);
      setNext(cursor);
    } catch (error) {
      setTrouble(error instanceof Failure ? error.message : "The accounts could not be read.");
    } finally {
      setBusy(false);
    }
  };
  return {
    rows,
    whole: rows !== undefined && next === "",
    busy,
    trouble,
    more,
    drop: () => setRows(undefined),
  };
}

/** Money is only moved, never made: the accounts of a currency add up to nothing. */
function Checks({ rows }: { rows: Account[] }) {
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

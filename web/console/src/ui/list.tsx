import type { ComponentChildren } from "preact";
import { count } from "../format.ts";
import { useMedia } from "./use_media.ts";

/** One fact of a row. `text` is what the filter finds and, without `cell`, what is shown. */
export interface Column<T> {
  title: string;
  text: (row: T) => string;
  cell?: (row: T) => ComponentChildren;
  kind?: "id" | "number";
}

interface Props<T> {
  id: string;
  title: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  /** What an empty list means, in a sentence. */
  empty: string;
  filter: string;
  children?: ComponentChildren;
}

/** A titled list of rows: a table where there is room, cards where there is not. */
export function List<T>(props: Props<T>) {
  const { id, title, rows, columns, filter, empty, children } = props;
  const narrow = useMedia("(max-width: 1099px)");
  const shown = rows.filter((row) => matches(row, columns, filter));
  return (
    <section class="list" id={id} aria-labelledby={`${id}-title`} tabIndex={-1}>
      <h2 id={`${id}-title`}>
        {title}{" "}
        <span class="list-count">
          {shown.length === rows.length
            ? count(rows.length)
            : `${count(shown.length)} of ${count(rows.length)}`}
        </span>
      </h2>
      {children}
      {shown.length === 0 ? (
        <p class="list-empty">{rows.length ? `Nothing here matches “${filter.trim()}”.` : empty}</p>
      ) : narrow ? (
        <Cards {...props} rows={shown} />
      ) : (
        <Table {...props} rows={shown} />
      )}
    </section>
  );
}

/** Every word of the filter is somewhere in the row. */
function matches<T>(row: T, columns: Column<T>[], filter: string): boolean {
  const terms = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (terms.length === 0) return true;
  const text = columns
    .map((c) => c.text(row))
    .join("\n")
    .toLowerCase();
  return terms.every((term) => text.includes(term));
}

function Table<T>({ id, rows, columns, rowKey }: Props<T>) {
  return (
    <table aria-labelledby={`${id}-title`}>
      <thead>
        <tr>
          {columns.map((c) => (
            <th key={c.title} scope="col" class={kind(c)}>
              {c.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={rowKey(row)}>
            {columns.map((c) => (
              <td key={c.title} class={kind(c)}>
                {c.cell ? c.cell(row) : c.text(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cards<T>({ rows, columns, rowKey }: Props<T>) {
  return (
    <ul class="cards">
      {rows.map((row) => (
        <li key={rowKey(row)} class="card">
          <dl>
            {columns.map((c) => (
              <div key={c.title} class={`fact ${kind(c)}`}>
                <dt>{c.title}</dt>
                <dd>{c.cell ? c.cell(row) : c.text(row)}</dd>
              </div>
            ))}
          </dl>
        </li>
      ))}
    </ul>
  );
}

function kind<T>(column: Column<T>): string {
  return column.kind ? `is-${column.kind}` : "";
}

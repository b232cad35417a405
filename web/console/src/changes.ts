import { many, shortId, words } from "./format.ts";
import { type Overview, problemKey } from "./overview.ts";

const SPOKEN = 3;

/** What happened between two overviews, in a few short sentences to be read aloud. */
export function changes(before: Overview, after: Overview): string[] {
  const said = [
    ...moved("Payment", before.payments, after.payments),
    ...moved("Call", before.calls, after.calls),
    ...newProblems(before, after),
  ];
  const rest = said.length - SPOKEN;
  return rest > 0 ? [...said.slice(0, SPOKEN), `And ${many(rest, "other change")}.`] : said;
}

interface Stateful {
  id: string;
  state: string;
}

function moved(noun: string, before: Stateful[], after: Stateful[]): string[] {
  const was = new Map(before.map((item) => [item.id, item.state]));
  return after
    .filter((item) => was.get(item.id) !== item.state)
    .map((item) => `${noun} ${shortId(item.id)}: ${words(item.state)}.`);
}

function newProblems(before: Overview, after: Overview): string[] {
  const known = new Set(before.problems.map(problemKey));
  const fresh = after.problems.filter((p) => !known.has(problemKey(p))).length;
  return fresh ? [`${many(fresh, "new problem")}.`] : [];
}

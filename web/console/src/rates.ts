/** How many looks a rate is taken over, and how many rates are kept to be drawn. */
const OVER = 5;
const KEPT = 60;

interface Sample {
  at: number;
  counters: Record<string, number>;
}

/** Makes rates of counters that are looked at again and again. */
export class Rates {
  #samples: Sample[] = [];
  readonly #drawn = new Map<string, number[]>();

  /** Takes the counters of one look. A counter that went back is of a node that started anew. */
  add(at: number, counters: Record<string, number>): void {
    const last = this.#samples.at(-1);
    if (last && names(counters).some((name) => (counters[name] ?? 0) < (last.counters[name] ?? 0))) {
      this.#samples = [];
      this.#drawn.clear();
    }
    this.#samples.push({ at, counters });
    if (this.#samples.length > OVER + 1) this.#samples.shift();
    for (const name of names(counters)) {
      const rate = this.perSecond(name);
      if (rate === undefined) continue;
      const drawn = this.#drawn.get(name) ?? [];
      drawn.push(rate);
      if (drawn.length > KEPT) drawn.shift();
      this.#drawn.set(name, drawn);
    }
  }

  /** A second, over the last few looks; undefined until there are two. */
  perSecond(name: string): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.at <= first.at) return undefined;
    const more = (last.counters[name] ?? 0) - (first.counters[name] ?? 0);
    return (more * 1_000) / (last.at - first.at);
  }

  /** The rates of the last looks, the oldest first. */
  recent(name: string): readonly number[] {
    return this.#drawn.get(name) ?? [];
  }
}

const TOTAL = "_total";

/** The counters that rates are made of; the others are how many there are now. */
export function names(counters: Record<string, number>): string[] {
  return Object.keys(counters).filter((name) => name.endsWith(TOTAL));
}

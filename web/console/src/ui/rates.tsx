import { perSecond } from "../format.ts";
import type { Rates as Book } from "../rates.ts";

const shown: [name: string, title: string][] = [
  ["messages_in_total", "messages in"],
  ["operations_total", "operations"],
  ["entries_total", "entries"],
  ["published_total", "published"],
  ["delivered_total", "delivered"],
  ["signals_total", "call signals"],
  ["topic_publications_total", "to topics"],
  ["webhook_attempts_total", "webhooks"],
  ["drops_total", "not delivered"],
];

/** What passes through this node a second, with the last two minutes drawn beside it. */
export function Rates({ rates }: { rates: Book }) {
  return (
    <section class="list" id="rates" aria-labelledby="rates-title" tabIndex={-1}>
      <h2 id="rates-title">
        Rates <span class="list-count">of this node, a second</span>
      </h2>
      <dl class="figures rates">
        {shown.map(([name, title]) => (
          <div key={name} class="figure">
            <dt>{title}</dt>
            <dd class="rate-now">
              {rate(rates.perSecond(name))}
              <Line values={rates.recent(name)} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function rate(value: number | undefined): string {
  return value === undefined ? "…" : perSecond(value);
}

const WIDTH = 60;
const HEIGHT = 16;
/** So many steps fill the width at least: a line that has begun is short. */
const FEWEST = 14;

/** The figure beside it says the same; the line is for the eye only. */
function Line({ values }: { values: readonly number[] }) {
  const most = Math.max(...values, 1e-9);
  const x = (i: number) => WIDTH - (values.length - 1 - i) * (WIDTH / Math.max(values.length - 1, FEWEST));
  const points = values.map(
    (v, i) => `${x(i).toFixed(1)},${(HEIGHT - 1 - (v / most) * (HEIGHT - 2)).toFixed(1)}`,
  );
  return (
    <svg class="line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}

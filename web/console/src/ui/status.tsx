import { useEffect, useReducer } from "preact/hooks";
import type { Feed, FeedState } from "../feed.ts";
import { span } from "../format.ts";

const chips: Record<FeedState["status"], { text: string; tone: string }> = {
  loading: { text: "Connecting…", tone: "" },
  live: { text: "Live", tone: "chip-good" },
  paused: { text: "Paused", tone: "chip-wait" },
  waiting: { text: "No answer", tone: "chip-bad" },
  refused: { text: "Refused", tone: "chip-bad" },
};

export function StatusChip({ state }: { state: FeedState }) {
  const { text, tone } = chips[state.status];
  return (
    <span class={`chip ${tone}`} role="status">
      {text}
    </span>
  );
}

/** Says that the figures are old, how old, and when the next try comes. */
export function StatusBanner({ feed }: { feed: Feed }) {
  const { state, look, at } = feed;
  const waiting = state.status === "waiting";
  const now = useNow(waiting);
  return (
    <>
      <p class="unseen" role="alert">
        {waiting && state.why}
      </p>
      {waiting && (
        <section class="stale" aria-label="Connection">
          <p>
            <strong>{state.why}</strong> {look && `You see what was true ${span(now - at)} ago. `}
            {state.retryAt > now ? `Next try in ${span(state.retryAt - now + 999)}.` : "Trying now…"}
          </p>
          <button type="button" class="small-button" onClick={() => feed.now()}>
            Try now
          </button>
        </section>
      )}
    </>
  );
}

/** The time, every second while `running`. */
function useNow(running: boolean): number {
  const [now, tick] = useReducer(() => Date.now(), Date.now());
  useEffect(() => {
    if (!running) return;
    tick(undefined);
    const timer = setInterval(() => tick(undefined), 1_000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

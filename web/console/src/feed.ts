import type { Overview } from "./overview.ts";

/** Where the feed stands; `waiting` keeps what was last seen and tries again by itself. */
export type FeedState =
  | { status: "loading" }
  | { status: "live" }
  | { status: "paused" }
  | { status: "waiting"; why: string; retryAt: number }
  | { status: "refused"; why: string };

const PERIOD = 2_000;
const PATIENCE = 10_000;
const LONGEST_WAIT = 30_000;

/** Why an answer was not an overview, in words for the operator. */
class Failure extends Error {
  readonly final: boolean;
  readonly after: number;

  constructor(why: string, { final = false, after = 0 } = {}) {
    super(why);
    this.final = final;
    this.after = after;
  }
}

/**
 * Asks the node for its overview every two seconds, waits longer and longer
 * while there is no answer, and rests while nobody looks. A refused token ends it.
 */
export class Feed {
  state: FeedState = { status: "loading" };
  overview: Overview | undefined;
  /** When `overview` was true, in ms. */
  at = 0;

  readonly #token: string;
  readonly #changed: () => void;
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking = false;
  #failures = 0;

  constructor(token: string, changed: () => void) {
    this.#token = token;
    this.#changed = changed;
  }

  start(): void {
    document.addEventListener("visibilitychange", () => this.#look(), { signal: this.#stop.signal });
    this.#plan(0);
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  pause(): void {
    if (this.state.status === "refused") return;
    clearTimeout(this.#timer);
    this.#become({ status: "paused" });
  }

  /** Asks at once, whatever the plan was. */
  now(): void {
    if (this.state.status === "paused") this.#become({ status: "loading" });
    this.#plan(0);
  }

  #look(): void {
    if (document.hidden) clearTimeout(this.#timer);
    else this.#plan(0);
  }

  #plan(ms: number): void {
    clearTimeout(this.#timer);
    const resting = document.hidden || this.state.status === "paused" || this.state.status === "refused";
    if (!resting && !this.#stop.signal.aborted) this.#timer = setTimeout(() => this.#ask(), ms);
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const overview = await load(this.#token, this.#stop.signal);
      this.#arrived(overview);
    } catch (error) {
      this.#failed(error instanceof Failure ? error : new Failure("The node does not answer."));
    } finally {
      this.#asking = false;
    }
  }

  #arrived(overview: Overview): void {
    if (this.#stop.signal.aborted || this.state.status === "paused") return;
    this.#failures = 0;
    this.overview = overview;
    this.at = Date.now();
    this.#become({ status: "live" });
    this.#plan(PERIOD);
  }

  #failed(failure: Failure): void {
    if (this.#stop.signal.aborted || this.state.status === "paused") return;
    if (failure.final) {
      this.overview = undefined;
      this.#become({ status: "refused", why: failure.message });
      return;
    }
    const growing = Math.min(PERIOD * 2 ** this.#failures++, LONGEST_WAIT) * (0.8 + 0.4 * Math.random());
    const wait = Math.max(growing, failure.after);
    this.#become({ status: "waiting", why: failure.message, retryAt: Date.now() + wait });
    this.#plan(wait);
  }

  #become(state: FeedState): void {
    this.state = state;
    this.#changed();
  }
}

async function load(token: string, stop: AbortSignal): Promise<Overview> {
  const answer = await fetch("/v1/operator/overview", {
    headers: { authorization: `Bearer ${token}` },
    cache: "no-store",
    signal: AbortSignal.any([stop, AbortSignal.timeout(PATIENCE)]),
  });
  if (answer.ok) return (await answer.json()) as Overview;
  if (answer.status === 401) throw new Failure("The node does not know this token.", { final: true });
  if (answer.status === 403) throw new Failure("This token is not an operator’s.", { final: true });
  const after = 1_000 * (Number(answer.headers.get("retry-after")) || 0);
  throw new Failure(`The node answered with an error (${answer.status}).`, { after });
}

import { Asker, Failure } from "./ask.ts";
import type { Look, Overview } from "./overview.ts";
import { Rates } from "./rates.ts";

/** Where the feed stands; `waiting` keeps what was last seen and tries again by itself. */
export type FeedState =
  | { status: "loading" }
  | { status: "live" }
  | { status: "paused" }
  | { status: "waiting"; why: string; retryAt: number }
  | { status: "refused"; why: string };

const PERIOD = 2_000;
const LONGEST_WAIT = 30_000;

/**
 * Asks the node for its overview every two seconds, waits longer and longer
 * while there is no answer, and rests while nobody looks. A refused token ends it.
 */
export class Feed {
  state: FeedState = { status: "loading" };
  look: Look | undefined;
  /** When `look` was true, in ms. */
  at = 0;
  readonly rates = new Rates();
  readonly node: Asker;

  readonly #changed: () => void;
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking = false;
  #failures = 0;

  constructor(token: string, changed: () => void) {
    this.node = new Asker(token, this.#stop.signal);
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

  /** Looks again because something was done; what is paused stays paused. */
  refresh = (): void => this.#plan(0);

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
      this.#arrived(await this.#load());
    } catch (error) {
      this.#failed(error instanceof Failure ? error : new Failure("The node does not answer."));
    } finally {
      this.#asking = false;
    }
  }

  /** Everything at once; what this node does not offer is left out. */
  async #load(): Promise<Look> {
    const [overview, nodes, hooks] = await Promise.all([
      this.node.get<Overview>("/v1/operator/overview"),
      this.node.offered("/v1/nodes"),
      this.node.offered("/v1/webhooks"),
    ]);
    return { overview, nodes: nodes?.items, hooks: hooks?.items };
  }

  #arrived(look: Look): void {
    if (this.#stop.signal.aborted || this.state.status === "paused") return;
    this.#failures = 0;
    this.look = look;
    this.at = Date.now();
    this.rates.add(this.at, look.overview.counters);
    this.#become({ status: "live" });
    this.#plan(PERIOD);
  }

  #failed(failure: Failure): void {
    if (this.#stop.signal.aborted || this.state.status === "paused") return;
    if (failure.final) {
      this.look = undefined;
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

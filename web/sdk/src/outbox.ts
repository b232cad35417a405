import { newId } from "./bytes.ts";
import { Emitter } from "./emitter.ts";
import { ConnectionLost, localProblem, ParleyError } from "./errors.ts";

/** A write on its way. Its key was made before the first try, so that a resend has no second effect. */
export interface OutgoingWrite {
  id: string;
  method: string;
  params: object;
  /** Writes of one lane are sent one after the other. */
  lane: string;
  /** The idempotency key of a write that moves money. */
  key?: string;
}

/** Where waiting writes survive a reload; the browser's Storage fits. */
export interface OutboxStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface OutboxOptions {
  send: (write: OutgoingWrite) => Promise<unknown>;
  storage?: OutboxStorage;
  storageKey?: string;
  limit?: number;
}

export interface OutboxEvents {
  /** Something was queued, sent or settled. */
  changed: readonly OutgoingWrite[];
  /** A write was answered for good; `error` when it was refused. */
  settled: { write: OutgoingWrite; result?: unknown; error?: Error };
}

/** Refusals that pass: the same write is tried again, with the key that keeps it from happening twice. */
const PASSING = new Set([
  "rate_limited",
  "ledger_unavailable",
  "ledger_busy",
  "database_unavailable",
  "timeout",
  "idempotency_in_progress",
  "unavailable",
]);

/** Writes that wait for a line and are sent again until the server has answered. Bounded by `limit` (500). */
export class Outbox extends Emitter<OutboxEvents> {
  readonly #options: OutboxOptions;
  readonly #writes: OutgoingWrite[] = [];
  readonly #waiters = new Map<string, { resolve(r: unknown): void; reject(e: Error): void }>();
  readonly #busy = new Set<string>();
  #online = false;

  constructor(options: OutboxOptions) {
    super();
    this.#options = options;
    this.#load();
  }

  get writes(): readonly OutgoingWrite[] {
    return this.#writes;
  }

  /** Queues a write; the promise ends with the server's answer, however many sockets that takes. */
  push<T>(method: string, params: object, lane: string, key?: string): Promise<T> {
    if (this.#writes.length >= (this.#options.limit ?? 500)) {
      return Promise.reject(localProblem("outbox_full", "Too much is waiting to be sent."));
    }
    const write: OutgoingWrite = { id: newId("out_"), method, params, lane, ...(key ? { key } : {}) };
    const answer = new Promise<T>((resolve, reject) => {
      this.#waiters.set(write.id, { resolve: resolve as (r: unknown) => void, reject });
    });
    this.#writes.push(write);
    this.#changed();
    this.#run(lane);
    return answer;
  }

  /** Says whether there is a line; with one, everything that waits goes out. */
  setOnline(online: boolean): void {
    this.#online = online;
    if (online) for (const lane of new Set(this.#writes.map((w) => w.lane))) this.#run(lane);
  }

  async #run(lane: string): Promise<void> {
    if (this.#busy.has(lane)) return;
    this.#busy.add(lane);
    try {
      while (this.#online) {
        const write = this.#writes.find((w) => w.lane === lane);
        if (!write || !(await this.#try(write))) break;
      }
    } finally {
      this.#busy.delete(lane);
    }
  }

  /** Sends once; false means: stay at the front and wait for a line. */
  async #try(write: OutgoingWrite): Promise<boolean> {
    try {
      const result = await this.#options.send(write);
      this.#settle(write, { result });
      return true;
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      if (error instanceof ConnectionLost) return false;
      if (error instanceof ParleyError && PASSING.has(error.code)) {
        await new Promise((r) =>
          setTimeout(r, (error.problem.retry_after ?? 1) * 1_000 * (1 + Math.random())),
        );
        return true;
      }
      this.#settle(write, { error });
      return true;
    }
  }

  #settle(write: OutgoingWrite, outcome: { result?: unknown; error?: Error }): void {
    this.#writes.splice(this.#writes.indexOf(write), 1);
    this.#changed();
    const waiter = this.#waiters.get(write.id);
    this.#waiters.delete(write.id);
    if (outcome.error) waiter?.reject(outcome.error);
    else waiter?.resolve(outcome.result);
    this.emit("settled", { write, ...outcome });
  }

  #changed(): void {
    const { storage, storageKey = "parley.outbox" } = this.#options;
    if (this.#writes.length > 0) storage?.setItem(storageKey, JSON.stringify(this.#writes));
    else storage?.removeItem(storageKey);
    this.emit("changed", this.#writes);
  }

  #load(): void {
    const { storage, storageKey = "parley.outbox" } = this.#options;
    try {
      const kept = JSON.parse(storage?.getItem(storageKey) ?? "[]");
      if (Array.isArray(kept))
        this.#writes.push(...kept.filter((w) => w?.id && w.method && w.params && w.lane));
    } catch {
      storage?.removeItem(storageKey);
    }
  }
}

import { newId } from "./bytes.ts";
import { Emitter } from "./emitter.ts";
import { ConnectionLost, ParleyError } from "./errors.ts";
import type { WireEvent } from "./types.ts";

/** An event of an open topic; numbers count within `epoch`. */
export type TopicEvent<D = unknown> = WireEvent<D> & { topic?: string; epoch?: string };

/** How far a topic has come. */
export interface TopicPlace {
  topic: string;
  epoch: string;
  seq: number;
}

/** The answer to joining: where the topic stands, and what was missed or asked for of it. */
export interface TopicJoined extends TopicPlace {
  /** Sessions that have joined, on all nodes; a few seconds old. */
  count: number;
  history: TopicEvent[];
  /** Some of what was missed is not kept any more. */
  gap: boolean;
}

export interface TopicHistory extends TopicPlace {
  items: TopicEvent[];
  gap: boolean;
  more: boolean;
}

export interface TopicEvents<D = unknown> {
  /** A publication, once and in order. */
  message: TopicEvent<D>;
  /** Publications up to this place are lost for good: fetch the present state elsewhere. */
  gap: TopicPlace;
  /** In the topic, for the first time or again. */
  joined: TopicJoined;
  /** Not in the topic any more, without having left: the token does not cover it. */
  left: { reason: string };
}

/** What topics need of the client around them. */
export interface TopicDoor {
  request<T>(method: string, params: object): Promise<T>;
  /** A write that is sent until answered. */
  push<T>(method: string, params: object, lane: string): Promise<T>;
}

/** So long until a join that the server could not answer is tried again. */
const AGAIN_MS = 2_000;

/** An open topic. Once joined it comes back after every reconnect, with what was missed or word of a gap. */
export class Topic<D = unknown> extends Emitter<TopicEvents<D>> {
  readonly name: string;
  readonly #door: TopicDoor;
  #wanted: { last?: number; resolve: (j: TopicJoined) => void; reject: (e: unknown) => void } | undefined;
  #promise: Promise<TopicJoined> | undefined;
  #place: TopicPlace | undefined;
  /** What came before the answer to joining was taken in. */
  #early: TopicEvent<D>[] | undefined;
  #attempt = 0;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(name: string, door: TopicDoor) {
    super();
    this.name = name;
    this.#door = door;
  }

  /** The last publication that was delivered, or known to be lost. */
  get place(): TopicPlace | undefined {
    return this.#place;
  }

  /** Joins, now or as soon as there is a line; `last` asks for so many of the last publications. */
  join(options: { last?: number } = {}): Promise<TopicJoined> {
    if (!this.#promise) {
      this.#promise = new Promise((resolve, reject) => {
        this.#wanted = { ...options, resolve, reject };
      });
      this.#promise.catch(() => {}); // whoever awaits it hears of it
      void this.#ask();
    }
    return this.#promise;
  }

  async leave(): Promise<void> {
    const wanted = this.#wanted;
    this.#forget();
    wanted?.reject(new ConnectionLost("The topic was left."));
    await this.#door.request("topic.leave", { topic: this.name }).catch(() => {}); // without a line there is nothing to leave
  }

  /** Publishes once, though the line may drop meanwhile. */
  publish(data: D): Promise<TopicPlace> {
    return this.#door.push("topic.publish", { topic: this.name, data, client_id: newId("cl_") }, this.name);
  }

  /** What the topic keeps: after a number, or the last ones. */
  history(range: { after?: number; limit?: number } = {}): Promise<TopicHistory> {
    return this.#door.request("topics.history", { topic: this.name, ...range });
  }

  /** Where the topic stands and how many have joined it. */
  state(): Promise<TopicPlace & { count: number }> {
    return this.#door.request("topics.get", { topic: this.name });
  }

  /** A session is open: a topic that is wanted is joined again. */
  opened(): void {
    if (this.#wanted) void this.#ask();
  }

  take(event: TopicEvent<D>): void {
    if (event.type === "topic.left") this.#expelled((event.data as { reason?: string }).reason ?? "");
    else if (this.#early) this.#early.push(event);
    else this.#accept(event);
  }

  async #ask(): Promise<void> {
    const attempt = ++this.#attempt;
    clearTimeout(this.#again);
    this.#early = [];
    const resume = this.#place && { epoch: this.#place.epoch, seq: this.#place.seq };
    const last = this.#wanted?.last;
    try {
      const joined = await this.#door.request<TopicJoined>("topic.join", {
        topic: this.name,
        ...(resume ? { resume } : last ? { last } : {}),
      });
      if (attempt === this.#attempt) this.#joined(joined);
    } catch (error) {
      if (attempt === this.#attempt) this.#refused(error);
    }
  }

  #joined(joined: TopicJoined): void {
    const first = joined.history[0]?.seq ?? joined.seq + 1;
    const before = { topic: this.name, epoch: joined.epoch, seq: first - 1 };
    if (joined.gap) this.emit("gap", before);
    if (joined.gap || !this.#place) this.#place = before;
    for (const event of joined.history) this.#accept(event as TopicEvent<D>);
    this.#place = { topic: this.name, epoch: joined.epoch, seq: joined.seq };
    this.#wanted?.resolve(joined);
    this.emit("joined", joined);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) this.#accept(event);
  }

  #refused(error: unknown): void {
    if (error instanceof ConnectionLost) return; // the next session tries again
    const status = error instanceof ParleyError ? error.problem.status : 0;
    if (status === 429 || status >= 500) {
      const { retry_after } = (error as ParleyError).problem;
      this.#again = setTimeout(() => this.opened(), retry_after ? retry_after * 1_000 : AGAIN_MS);
      return;
    }
    const wanted = this.#wanted;
    this.#expelled(error instanceof ParleyError ? error.code : "refused");
    wanted?.reject(error);
  }

  #expelled(reason: string): void {
    this.#forget();
    this.emit("left", { reason });
  }

  #forget(): void {
    clearTimeout(this.#again);
    this.#attempt++;
    this.#wanted = undefined;
    this.#promise = undefined;
    this.#place = undefined;
    this.#early = undefined;
  }

  #accept(event: TopicEvent<D>): void {
    const { epoch = "", seq = 0 } = event;
    if (!this.#wanted || (epoch === this.#place?.epoch && seq <= this.#place.seq)) return;
    this.#place = { topic: this.name, epoch, seq };
    if (event.type === "topic.gap") this.emit("gap", this.#place);
    else this.emit("message", event);
  }
}

/** The open topics of a client, each once. */
export class Topics {
  readonly #door: TopicDoor;
  readonly #topics = new Map<string, Topic>();

  constructor(door: TopicDoor) {
    this.#door = door;
  }

  get<D>(name: string): Topic<D> {
    const topic = this.#topics.get(name) ?? new Topic(name, this.#door);
    this.#topics.set(name, topic);
    return topic as unknown as Topic<D>;
  }

  opened(): void {
    for (const topic of this.#topics.values()) topic.opened();
  }

  take(event: TopicEvent): void {
    if (event.topic) this.#topics.get(event.topic)?.take(event);
  }
}

import type { EntryPage, SessionOpened, WireEvent } from "./types.ts";

/** Fetches the entries after a seq, oldest first. */
export type Pager = (conversation: string, after: number) => Promise<EntryPage>;

export interface StreamsOptions {
  page: Pager;
  deliver: (event: WireEvent) => void;
  /** A hole is paged for after this long, since neighbours may just have overtaken each other. */
  settleMs?: number;
  /** Told when paging fails; the next heartbeat tries again. */
  failed?: (error: unknown) => void;
}

interface Stream {
  /** Everything up to here was delivered. */
  last: number;
  /** The highest seq known to exist. */
  head: number;
  early: Map<number, WireEvent>;
  timer: ReturnType<typeof setTimeout> | undefined;
  paging: boolean;
}

/** More early entries than this are not kept: paging brings them. */
const EARLY_LIMIT = 64;

/**
 * Keeps every conversation's numbered log whole: delivers each entry once and in
 * order, whatever the line doubled, swapped or lost.
 */
export class Streams {
  readonly #streams = new Map<string, Stream>();
  readonly #options: StreamsOptions;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** What has been seen, as `session.open` wants it. */
  resume(): Record<string, number> {
    return Object.fromEntries([...this.#streams].map(([id, s]) => [id, s.last]));
  }

  seen(conversation: string): number {
    return this.#streams.get(conversation)?.last ?? 0;
  }

  /** Takes the answer of `session.open`: unknown conversations start at their head. */
  opened(session: SessionOpened): void {
    for (const { id, head, gap } of session.conversations ?? []) {
      const known = this.#streams.get(id);
      if (!known) this.#add(id, head);
      else if (gap) this.#behind(id, known, head, 0);
      else known.head = Math.max(known.head, head);
    }
  }

  /** Takes the heads of a heartbeat: the last lost entry has no successor to betray it. */
  heads(heads: Record<string, number>): void {
    for (const [id, head] of Object.entries(heads)) {
      const stream = this.#streams.get(id) ?? this.#add(id, 0);
      this.#behind(id, stream, head, this.#settle);
    }
  }

  accept(event: WireEvent): void {
    const { conversation, seq } = event;
    if (!conversation || !seq) {
      this.#options.deliver(event);
      return;
    }
    const stream =
      this.#streams.get(conversation) ?? this.#add(conversation, seq > EARLY_LIMIT ? seq - 1 : 0);
    if (seq <= stream.last) return;
    if (seq === stream.last + 1) {
      this.#advance(stream, event);
      return;
    }
    if (stream.early.size < EARLY_LIMIT) stream.early.set(seq, event);
    this.#behind(conversation, stream, seq, stream.early.size < EARLY_LIMIT ? this.#settle : 0);
  }

  get #settle(): number {
    return this.#options.settleMs ?? 250;
  }

  #add(id: string, last: number): Stream {
    const stream = { last, head: last, early: new Map(), timer: undefined, paging: false };
    this.#streams.set(id, stream);
    return stream;
  }

  #advance(stream: Stream, event: WireEvent): void {
    for (let next: WireEvent | undefined = event; next; next = stream.early.get(stream.last + 1)) {
      stream.last = next.seq as number;
      stream.early.delete(stream.last);
      this.#options.deliver(next);
    }
    stream.head = Math.max(stream.head, stream.last);
    if (stream.last >= stream.head) {
      clearTimeout(stream.timer);
      stream.timer = undefined;
    }
  }

  #behind(id: string, stream: Stream, head: number, waitMs: number): void {
    stream.head = Math.max(stream.head, head);
    if (stream.last >= stream.head || stream.paging) return;
    if (waitMs === 0) {
      clearTimeout(stream.timer);
      stream.timer = undefined;
      void this.#pageBack(id, stream);
      return;
    }
    stream.timer ??= setTimeout(() => {
      stream.timer = undefined;
      void this.#pageBack(id, stream);
    }, waitMs);
  }

  async #pageBack(id: string, stream: Stream): Promise<void> {
    if (stream.paging) return;
    stream.paging = true;
    try {
      while (stream.last < stream.head) {
        const before = stream.last;
        const page = await this.#options.page(id, stream.last);
        for (const entry of page.entries) this.accept(entry);
        if (stream.last === before) break;
      }
    } catch (error) {
      this.#options.failed?.(error);
    } finally {
      stream.paging = false;
    }
  }
}

import type { WebSocketLike } from "./socket.ts";

/** The most requests that the hub takes in one batch. */
const BATCH = 50;
const LOST = 1006;

/**
 * Stands in for a WebSocket where the network blocks it: messages come down as
 * server-sent events and go up as posts, of which one is under way at a time.
 * The first message sent must be `session.open`.
 */
export class EventStream implements WebSocketLike {
  readyState = 1;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown } & never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: { code: number; reason: string } & never) => void) | null = null;
  readonly #base: string;
  readonly #abort = new AbortController();
  #queue: string[] = [];
  #posting = false;
  #session: { session: string; key: string } | undefined;

  /** `url` is the socket's, `wss://…/v1/socket`. */
  constructor(url: string) {
    this.#base = url.replace(/^ws/, "http").replace(/\/socket$/, "/events");
    queueMicrotask(() => this.onopen?.(undefined as never));
  }

  send(data: string): void {
    this.#queue.push(data);
    if (!this.#posting) void this.#post();
  }

  close(code = 1000, reason = ""): void {
    this.#finish(code, reason);
  }

  async #post(): Promise<void> {
    this.#posting = true;
    try {
      while (this.#queue.length > 0 && this.readyState === 1) {
        if (this.#session) await this.#up(this.#queue.splice(0, BATCH), this.#session);
        else await this.#open(this.#queue.shift() as string);
      }
    } catch {
      this.#finish(LOST, "post failed");
    }
    this.#posting = false;
  }

  async #up(messages: string[], { session, key }: { session: string; key: string }): Promise<void> {
    const body = messages.length > 1 ? `[${messages.join(",")}]` : messages[0];
    await this.#fetch(`/${session}`, { method: "POST", body, headers: { authorization: `Bearer ${key}` } });
  }

  async #open(body: string): Promise<void> {
    const opened = await (await this.#fetch("/open", { method: "POST", body })).json();
    this.#session = opened;
    const stream = await this.#fetch(`?ticket=${encodeURIComponent(opened.ticket)}`, { cache: "no-store" });
    void this.#read(stream.body as ReadableStream<Uint8Array>);
  }

  async #fetch(path: string, init: RequestInit & { body?: string | undefined }): Promise<Response> {
    const answer = await fetch(this.#base + path, { ...init, signal: this.#abort.signal } as RequestInit);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (text + decoder.decode(part.value, { stream: true })).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) this.#event(block);
      }
    } catch {
      // The line broke, or close() let go of it.
    }
    this.#finish(LOST, "stream ended");
  }

  #event(block: string): void {
    const at = block.indexOf("data: ");
    if (at < 0) return;
    const data = block.slice(at + 6);
    if (block.startsWith("event: close")) {
      const { code, reason } = JSON.parse(data);
      this.#finish(code, reason);
    } else {
      this.onmessage?.({ data } as never);
    }
  }

  #finish(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#abort.abort();
    this.onclose?.({ code, reason } as never);
  }
}

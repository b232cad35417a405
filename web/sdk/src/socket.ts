import { ConnectionLost, ParleyError } from "./errors.ts";
import type { Problem, WireEvent } from "./types.ts";

/** What a {@link Socket} tells its owner. */
export interface SocketHandlers {
  event(event: WireEvent): void;
  heartbeat(heads: Record<string, number>): void;
  /** Called once; nothing comes after it. */
  closed(code: number, reason: string): void;
}

/** The part of the browser's WebSocket that is used, so that tests can bring another. */
export interface WebSocketLike {
  readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown } & never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: { code: number; reason: string } & never) => void) | null;
}

export type WebSocketMaker = (url: string, protocol: string) => WebSocketLike;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
  sentAt: number;
}

interface Frame {
  id?: number;
  method?: string;
  params?: { time?: string; heads?: Record<string, number> } & Partial<WireEvent>;
  result?: unknown;
  error?: { code: number; message: string; data?: Problem };
}

/** A local close code: nothing was heard for too long. */
export const CLOSE_SILENT = 4900;

/** A request without an answer after this long, in silence, means that the line is dead. */
const REQUEST_SILENCE_MS = 8_000;
const CONNECT_MS = 10_000;

/**
 * One WebSocket from its opening to its close: JSON-RPC requests with their
 * replies, events, and the watch that notices a line on which nothing arrives
 * any more although it still looks open.
 */
export class Socket {
  readonly #ws: WebSocketLike;
  readonly #handlers: SocketHandlers;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #lastFrame = Date.now();
  #silenceMs = CONNECT_MS;
  #watch: ReturnType<typeof setInterval>;
  #done = false;

  constructor(make: WebSocketMaker, url: string, handlers: SocketHandlers, opened: () => void) {
    this.#handlers = handlers;
    this.#ws = make(url, "parley.v1");
    this.#ws.onopen = () => {
      this.#lastFrame = Date.now();
      opened();
    };
    this.#ws.onmessage = (message: { data: unknown }) => this.#frame(String(message.data));
    this.#ws.onerror = () => {};
    this.#ws.onclose = (close: { code: number; reason: string }) => this.#finish(close.code, close.reason);
    this.#watch = setInterval(() => this.#check(), 1_000);
  }

  /** Sets how long silence may last from now on. */
  expectFrames(everyMs: number): void {
    this.#silenceMs = everyMs;
  }

  /** Sends a request; rejects with {@link ParleyError} or {@link ConnectionLost}. */
  request<T>(method: string, params: object): Promise<T> {
    if (this.#done || this.#ws.readyState !== 1) return Promise.reject(new ConnectionLost());
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (r: unknown) => void, reject, sentAt: Date.now() });
      this.#ws.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Sends a notification, which gets no answer. */
  notify(method: string, params?: object): void {
    if (this.#done || this.#ws.readyState !== 1) return;
    this.#ws.send(JSON.stringify({ jsonrpc: "2.0", method, ...(params ? { params } : {}) }));
  }

  close(code = 1000, reason = ""): void {
    // The closing handshake can last half a minute on a dead line: nobody waits for it.
    try {
      this.#ws.close(code === CLOSE_SILENT ? 4000 : code, reason);
    } finally {
      this.#finish(code, reason);
    }
  }

  #check(): void {
    const quiet = Date.now() - this.#lastFrame;
    const oldest = this.#waiting.values().next().value;
    const unanswered = oldest ? Math.min(Date.now() - oldest.sentAt, quiet) : 0;
    if (quiet > this.#silenceMs || unanswered > REQUEST_SILENCE_MS) this.close(CLOSE_SILENT, "silent");
  }

  #frame(text: string): void {
    this.#lastFrame = Date.now();
    let body: Frame | Frame[];
    try {
      body = JSON.parse(text);
    } catch {
      this.close(4000, "not JSON");
      return;
    }
    for (const frame of Array.isArray(body) ? body : [body]) this.#one(frame);
  }

  #one(frame: Frame): void {
    if (frame.method === "event") {
      this.#handlers.event(frame.params as WireEvent);
    } else if (frame.method === "heartbeat") {
      this.notify("heartbeat");
      this.#handlers.heartbeat(frame.params?.heads ?? {});
    } else if (frame.id !== undefined) {
      const waiting = this.#waiting.get(frame.id);
      this.#waiting.delete(frame.id);
      if (frame.error) waiting?.reject(new ParleyError(asProblem(frame.error)));
      else waiting?.resolve(frame.result);
    }
  }

  #finish(code: number, reason: string): void {
    if (this.#done) return;
    this.#done = true;
    clearInterval(this.#watch);
    this.#ws.onopen = this.#ws.onmessage = this.#ws.onerror = this.#ws.onclose = null;
    for (const waiting of this.#waiting.values()) waiting.reject(new ConnectionLost());
    this.#waiting.clear();
    this.#handlers.closed(code, reason);
  }
}

function asProblem(error: { code: number; message: string; data?: Problem }): Problem {
  return error.data ?? { type: "about:blank", title: error.message, status: 0, code: `rpc_${error.code}` };
}

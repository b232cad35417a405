import { afterClose, type BackoffOptions, fullJitter } from "./backoff.ts";
import { Emitter } from "./emitter.ts";
import { ConnectionLost } from "./errors.ts";
import { EventStream } from "./event_stream.ts";
import { Socket, type WebSocketMaker } from "./socket.ts";
import type { SessionOpened, WireEvent } from "./types.ts";

/** A token, or a function that fetches one; only with a function can it be renewed. */
export type TokenSource = string | (() => string | Promise<string>);

export type ConnectionState =
  | { status: "idle" | "connecting" | "online" }
  | { status: "waiting"; retryAt: number }
  | { status: "stopped"; reason: "token_refused" | "revoked" | "replaced" | "closed" };

export interface ConnectionOptions {
  /** The socket's address, `wss://…/v1/socket`. */
  url: string;
  token: TokenSource;
  /** Names this installation (`dev_…`); keep it. */
  device: string;
  name?: string;
  /** What has been seen so far, asked for at every connect. */
  resume: () => Record<string, number>;
  makeWebSocket?: WebSocketMaker;
  /** Makes what stands in for a WebSocket that cannot be opened. Default: {@link EventStream}. */
  makeStream?: WebSocketMaker;
  backoff?: BackoffOptions;
}

export interface ConnectionEvents {
  state: ConnectionState;
  opened: SessionOpened;
  event: WireEvent;
  heads: Record<string, number>;
}

/** Refresh this long before the token's expiry. */
const REFRESH_AHEAD_MS = 60_000;
const REFRESH_AGAIN_MS = 5_000;
/** So many WebSockets in a row that did not open mean that the network blocks them. */
const BLOCKED = 2;
/** A stream's successor is a stream again for so long; then WebSocket gets another chance. */
const STREAMS_FOR_MS = 600_000;

/** One session that outlives its sockets: opens, resumes, refreshes, and comes back as the close code says. */
export class Connection extends Emitter<ConnectionEvents> {
  readonly #options: ConnectionOptions;
  #state: ConnectionState = { status: "idle" };
  #socket: Socket | undefined;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #token = "";
  #attempt = 0;
  /** WebSockets in a row that did not open. */
  #unopened = 0;
  #streamsUntil = 0;

  constructor(options: ConnectionOptions) {
    super();
    this.#options = options;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get online(): boolean {
    return this.#state.status === "online";
  }

  /** Starts connecting, or hurries a retry that is being waited for. Does nothing when connected. */
  connect(): void {
    if (this.#state.status === "connecting" || this.#state.status === "online") return;
    clearTimeout(this.#retry);
    void this.#open();
  }

  /** Ends the session for good; `connect` starts a new one. */
  close(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#refresh);
    this.#attempt++;
    this.#setState({ status: "stopped", reason: "closed" });
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000, "bye");
  }

  /** The token in use, fetched when there is none yet; REST calls share it. */
  async token(): Promise<string> {
    if (!this.#token) await this.#renewToken();
    return this.#token;
  }

  request<T>(method: string, params: object): Promise<T> {
    if (!this.#socket || !this.online) return Promise.reject(new ConnectionLost());
    return this.#socket.request<T>(method, params);
  }

  /** Sends a notification, which gets no answer, if there is a line. */
  notify(method: string, params: object): void {
    if (this.online) this.#socket?.notify(method, params);
  }

  /** Drops the current socket as if the line had died; the session resumes on a new one. */
  reconnect(): void {
    if (this.#socket) this.#socket.close(4000, "reconnect");
    else this.connect();
  }

  async #open(): Promise<void> {
    const attempt = ++this.#attempt;
    this.#setState({ status: "connecting" });
    try {
      if (!this.#token) await this.#renewToken();
    } catch {
      if (attempt === this.#attempt) this.#wait(fullJitter(this.#failures++, this.#options.backoff));
      return;
    }
    if (attempt !== this.#attempt) return;
    const stream = this.#chooseStream();
    if (!stream) this.#unopened++;
    const socket = new Socket(
      stream
        ? (this.#options.makeStream ?? ((url) => new EventStream(url)))
        : (this.#options.makeWebSocket ?? defaultWebSocket),
      this.#options.url,
      {
        event: (event) => this.emit("event", event),
        heartbeat: (heads) => this.emit("heads", heads),
        closed: (code, reason) => {
          if (attempt === this.#attempt) this.#closed(code, reason);
        },
      },
      () => {
        if (stream)
          this.#unopened = BLOCKED - 1; // until its session is open
        else this.#unopened = 0;
        void this.#handshake(socket, stream);
      },
    );
    this.#socket = socket;
  }

  /** Whether the next line is a stream; one that does not open makes the next a WebSocket. */
  #chooseStream(): boolean {
    if (this.#streamsUntil && Date.now() > this.#streamsUntil) {
      this.#streamsUntil = 0;
      this.#unopened = BLOCKED - 1;
    }
    return this.#unopened >= BLOCKED;
  }

  async #handshake(socket: Socket, stream: boolean): Promise<void> {
    const { device, name, resume } = this.#options;
    try {
      const opened = await socket.request<SessionOpened>("session.open", {
        token: this.#token,
        device,
        resume: resume(),
        ...(name ? { name } : {}),
      });
      socket.expectFrames(opened.heartbeat_s * 1_500 + 1_000);
      this.#failures = 0;
      if (stream) {
        this.#unopened = BLOCKED;
        this.#streamsUntil ||= Date.now() + STREAMS_FOR_MS;
      }
      this.#scheduleRefresh();
      this.#setState({ status: "online" });
      this.emit("opened", opened);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) socket.close(4000, "open refused");
    }
  }

  #closed(code: number, reason: string): void {
    this.#socket = undefined;
    clearTimeout(this.#refresh);
    const canRenew = typeof this.#options.token === "function";
    const next = afterClose(code, reason, this.#failures++, canRenew, this.#options.backoff);
    if (next.do === "stop") {
      this.#setState({ status: "stopped", reason: next.reason });
      return;
    }
    if (next.newToken) this.#token = "";
    this.#wait(next.afterMs);
  }

  #wait(ms: number): void {
    this.#setState({ status: "waiting", retryAt: Date.now() + ms });
    this.#retry = setTimeout(() => void this.#open(), ms);
  }

  async #renewToken(): Promise<void> {
    const source = this.#options.token;
    this.#token = typeof source === "function" ? await source() : source;
  }

  #scheduleRefresh(): void {
    clearTimeout(this.#refresh);
    const expires = tokenExpiry(this.#token);
    if (!expires || typeof this.#options.token !== "function") return;
    const inMs = Math.min(Math.max(expires - Date.now() - REFRESH_AHEAD_MS, REFRESH_AGAIN_MS), 2 ** 31 - 1);
    this.#refresh = setTimeout(() => void this.#refreshSession(), inMs);
  }

  async #refreshSession(): Promise<void> {
    try {
      await this.#renewToken();
      await this.request("session.refresh", { token: this.#token });
    } catch {
      // The line broke, and the next session has the new token; or there is none yet: try again.
    }
    if (this.online) this.#scheduleRefresh();
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    this.emit("state", state);
  }
}

function defaultWebSocket(url: string, protocol: string) {
  return new WebSocket(url, protocol) as unknown as ReturnType<WebSocketMaker>;
}

/** Reads a JWT's claims without checking anything; the server checks. */
export function tokenClaims(token: string): { sub?: string; name?: string; exp?: number } {
  try {
    const body = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (c) =>
      c.charCodeAt(0),
    );
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

function tokenExpiry(token: string): number | undefined {
  const { exp } = tokenClaims(token);
  return exp ? exp * 1_000 : undefined;
}

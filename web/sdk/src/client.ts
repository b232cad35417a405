import { AudioSink } from "./audio.ts";
import type { BackoffOptions } from "./backoff.ts";
import { newId } from "./bytes.ts";
import type { CallHost } from "./call_host.ts";
import { Calls } from "./calls.ts";
import { deviceCertificate } from "./certificate.ts";
import { Connection, type ConnectionState, type TokenSource, tokenClaims } from "./connection.ts";
import { Conversations, Messages, PresenceList } from "./conversations.ts";
import type { Door, Method, Params, Result } from "./door.ts";
import { Emitter } from "./emitter.ts";
import { Links } from "./links.ts";
import { Outbox, type OutboxStorage, type OutgoingWrite } from "./outbox.ts";
import { Passkeys, Payments } from "./payments.ts";
import { Requests } from "./requests.ts";
import { Safety } from "./safety.ts";
import type { WebSocketMaker } from "./socket.ts";
import { Streams } from "./streams.ts";
import { type Topic, Topics } from "./topics.ts";
import { Conversions, Payouts, TopUps } from "./transfers.ts";
import type { EventData, EventType, SessionOpened, User, WireEvent } from "./types.ts";
import type { VerifiedKeys } from "./verification.ts";

export interface ParleyOptions {
  /** The hub's origin, for example `https://parley.example`. */
  url: string;
  /** A user token, or a function that fetches a fresh one from your backend. */
  token: TokenSource;
  /** Names this installation; made and kept in `storage` when left out. */
  device?: string;
  /** Keeps the device's name and unsent writes over a reload; `null` keeps nothing. Default: localStorage. */
  storage?: OutboxStorage | null;
  /** Plays the voices of calls; `null` leaves that to you (`call.on("stream")`). */
  audio?: AudioSink | null;
  /** Brings the microphone; default: getUserMedia with echo cancellation. */
  microphone?: () => Promise<MediaStreamTrack>;
  makeWebSocket?: WebSocketMaker;
  /** What stands in for WebSockets where the network blocks them; default: server-sent events and posts. */
  makeStream?: WebSocketMaker;
  backoff?: BackoffOptions;
}

/** An event with the data that its type promises. */
export type TypedEvent<K extends EventType> = WireEvent<EventData[K]> & { type: K };

export type ParleyEvents = {
  /** Every event, in order within its conversation. */
  event: WireEvent;
  state: ConnectionState;
  /** A session is open; what was missed follows as events. */
  opened: SessionOpened;
  /** Unsent writes changed. */
  outbox: readonly OutgoingWrite[];
} & { [K in EventType]: TypedEvent<K> };

/**
 * A person's place at a Parley hub: one socket that comes back by itself,
 * every conversation's log whole and in order, writes that arrive once.
 */
export class Parley extends Emitter<ParleyEvents> {
  readonly device: string;
  readonly conversations: Conversations;
  readonly messages: Messages;
  readonly presence: PresenceList;
  readonly payments: Payments;
  readonly passkeys: Passkeys;
  readonly requests: Requests;
  readonly links: Links;
  readonly safety: Safety;
  readonly payouts: Payouts;
  readonly topUps: TopUps;
  readonly conversions: Conversions;
  readonly calls: Calls;
  readonly #topics: Topics;
  readonly #connection: Connection;
  readonly #streams: Streams;
  /** Writes a person made: kept over a reload. */
  readonly #outbox: Outbox;
  /** Writes of a running call, and to topics: worth nothing after a reload. */
  readonly #callbox: Outbox;
  readonly #offs: (() => void)[] = [];
  #user: string;
  /** How far the server's clock is ahead of this device's, in ms. */
  #ahead = 0;

  constructor(options: ParleyOptions) {
    super();
    const storage = options.storage === undefined ? globalThis.localStorage : (options.storage ?? undefined);
    this.#user = typeof options.token === "string" ? (tokenClaims(options.token).sub ?? "") : "";
    this.device = options.device ?? keptDevice(storage, this.#user);
    this.#streams = new Streams({
      page: (conversation, after) => this.request("entries.list", { conversation, after, limit: 200 }),
      deliver: (event) => this.#deliver(event),
    });
    this.#connection = new Connection({
      url: `${options.url.replace(/^http/, "ws").replace(/\/$/, "")}/v1/socket`,
      token: options.token,
      device: this.device,
      resume: () => this.#streams.resume(),
      ...(options.makeWebSocket ? { makeWebSocket: options.makeWebSocket } : {}),
      ...(options.makeStream ? { makeStream: options.makeStream } : {}),
      ...(options.backoff ? { backoff: options.backoff } : {}),
    });
    const send = ({ method, params, key }: OutgoingWrite) =>
      this.#connection.request(method, { ...params, ...(key ? { idempotency_key: key } : {}) });
    this.#outbox = new Outbox({
      send,
      storageKey: `parley.outbox.${this.#user}`,
      ...(storage ? { storage } : {}),
    });
    this.#callbox = new Outbox({ send });
    this.#topics = new Topics({
      request: (method, params) => this.#connection.request(method, params),
      push: (method, params, lane) => this.#callbox.push(method, params, lane),
    });
    const door: Door = {
      request: (method, params) => this.request(method, params),
      notify: (method, params) => this.#connection.notify(method, params),
      money: (method, params, lane) => this.#outbox.push(method, params, lane, newId("key_")),
    };
    this.conversations = new Conversations(door);
    this.messages = new Messages(door, this.#outbox);
    this.presence = new PresenceList(door);
    this.payments = new Payments(door);
    this.passkeys = new Passkeys(door);
    this.requests = new Requests(door);
    this.links = new Links(door);
    this.safety = new Safety(door);
    this.payouts = new Payouts(door);
    this.topUps = new TopUps(door);
    this.conversions = new Conversions(door);
    this.calls = new Calls(this.#callHost(options));
    this.#wire();
  }

  /** Who this is: read from the token, or known once a session is open. */
  get user(): string {
    return this.#user;
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Writes that wait for a line or an answer. */
  get unsent(): readonly OutgoingWrite[] {
    return this.#outbox.writes;
  }

  /** The server's time in ms, as near as this session knows it: what deadlines are counted down by. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  connect(): void {
    this.#connection.connect();
  }

  /** Signs off: calls end on this device, nothing more is sent. */
  close(): void {
    for (const off of this.#offs.splice(0)) off();
    this.#connection.close();
  }

  /** Calls an operation by its name. Rejects with ParleyError or ConnectionLost. */
  request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return this.#connection.request(method, params);
  }

  /** Drops the line as if it had died; the session resumes. */
  reconnect(): void {
    this.#connection.reconnect();
  }

  /** An open topic by its name, such as `prices:eur`; the same one each time. */
  topic<D = unknown>(name: string): Topic<D> {
    return this.#topics.get(name);
  }

  me(): Promise<User> {
    return this.request("users.me", {});
  }

  #wire(): void {
    const connection = this.#connection;
    connection.on("state", (state) => {
      this.#outbox.setOnline(state.status === "online");
      this.#callbox.setOnline(state.status === "online");
      this.emit("state", state);
    });
    connection.on("opened", (session) => {
      this.#user = session.user;
      this.#ahead = Date.parse(session.server_time) - Date.now() || 0;
      this.#streams.opened(session);
      this.#topics.opened();
      this.emit("opened", session);
    });
    connection.on("event", (event) => this.#streams.accept(event));
    connection.on("heads", (heads) => this.#streams.heads(heads));
    this.#outbox.on("changed", (writes) => this.emit("outbox", writes));
    const network = (globalThis.navigator as { connection?: EventTarget } | undefined)?.connection;
    this.#listen(globalThis, "online", () => {
      connection.connect();
      this.calls.networkChanged();
    });
    if (network) this.#listen(network, "change", () => this.calls.networkChanged());
  }

  #listen(target: Partial<EventTarget>, name: string, listener: () => void): void {
    target.addEventListener?.(name, listener);
    this.#offs.push(() => target.removeEventListener?.(name, listener));
  }

  #deliver(event: WireEvent): void {
    this.calls.take(event);
    this.#topics.take(event);
    this.emit("event", event);
    this.emit(event.type as EventType, event as never);
  }

  #callHost(options: ParleyOptions): CallHost {
    const audio = options.audio === undefined ? new AudioSink() : (options.audio ?? undefined);
    const whoever = () => this.#user;
    return {
      get user() {
        return whoever();
      },
      device: this.device,
      request: (method, params) => this.request(method, params),
      deliver: (call, method, params) => this.#callbox.push(method, params, call),
      microphone: options.microphone ?? defaultMicrophone,
      certificate: () => deviceCertificate(this.device),
      audio,
      keys: { load: loadKeys, save: saveKeys },
    };
  }
}

function keptDevice(storage: OutboxStorage | undefined, user: string): string {
  const key = `parley.device.${user}`;
  const kept = storage?.getItem(key);
  if (kept) return kept;
  const fresh = newId("dev_");
  storage?.setItem(key, fresh);
  return fresh;
}

async function defaultMicrophone(): Promise<MediaStreamTrack> {
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  return stream.getAudioTracks()[0] as MediaStreamTrack;
}

const KEYS = "parley.call.";

function loadKeys(call: string): VerifiedKeys | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(KEYS + call) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

function saveKeys(call: string, keys: VerifiedKeys | undefined): void {
  try {
    if (keys) sessionStorage.setItem(KEYS + call, JSON.stringify(keys));
    else sessionStorage.removeItem(KEYS + call);
  } catch {
    // Without storage a reload runs commit and reveal again, and both confirm again.
  }
}

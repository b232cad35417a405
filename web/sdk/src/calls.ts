import { newId } from "./bytes.ts";
import { Call } from "./call.ts";
import type { CallHost } from "./call_host.ts";
import { Emitter } from "./emitter.ts";
import type { CallGrant, CallRecord, EventData, Page, WireEvent } from "./types.ts";

export interface StartCall {
  to?: string[];
  conversation?: string;
  payment?: string;
  /** Do not show the other side this device's addresses. */
  relayOnly?: boolean;
  /** Through the hub although there are only two. */
  throughHub?: boolean;
}

export interface CallsEvents {
  /** Somebody rings this device. */
  incoming: Call;
  /** A call appeared, changed or ended on this device. */
  changed: Call;
}

/** Signals of one call that came before the call itself was known here. */
const EARLY_LIMIT = 100;

/** The calls of this device. */
export class Calls extends Emitter<CallsEvents> {
  readonly #host: CallHost;
  readonly #calls = new Map<string, Call>();
  readonly #early = new Map<string, WireEvent[]>();

  constructor(host: CallHost) {
    super();
    this.#host = host;
  }

  /** The calls that have not ended, newest last. */
  get live(): Call[] {
    return [...this.#calls.values()].filter((call) => call.phase !== "ended");
  }

  get(id: string): Call | undefined {
    return this.#calls.get(id);
  }

  /**
   * Rings people. When both ring each other at the same moment, the one call
   * that survives is answered here.
   */
  async start(options: StartCall): Promise<Call> {
    const grant = await this.#host.request("calls.start", {
      client_id: newId("cl_"),
      ...(options.to ? { to: options.to } : {}),
      ...(options.conversation ? { conversation: options.conversation } : {}),
      ...(options.payment ? { payment: options.payment } : {}),
      ...(options.relayOnly ? { relay_only: true } : {}),
      ...(options.throughHub ? { media: "sfu" } : {}),
    });
    const call = this.#calls.get(grant.call.id) ?? this.#add(grant);
    if (call.incoming) await call.answerGlare(grant);
    else await this.#begin(call);
    return call;
  }

  /** Finds the call this device was in before a reload, and comes back to it. */
  async rejoin(): Promise<Call | undefined> {
    const { items } = await this.#host.request("calls.list", { active: true });
    const mine = items.find((record) => this.#isMine(record));
    if (!mine || this.#calls.has(mine.id)) return undefined;
    const call = this.#add({ call: mine });
    await call.rejoin();
    return call;
  }

  list(conversation?: string): Promise<Page<CallRecord>> {
    return this.#host.request("calls.list", conversation ? { conversation } : {});
  }

  /** Tells every live call that the network under this device changed. */
  networkChanged(): void {
    for (const call of this.live) call.networkChanged();
  }

  /** Takes an event; those that are not about calls are left alone. */
  take(event: WireEvent): void {
    if (!event.type.startsWith("call.")) return;
    if (event.type === "call.offered") {
      this.#offered((event.data as EventData["call.offered"]) ?? {});
      return;
    }
    const id = callIdOf(event);
    const call = this.#calls.get(id);
    // Log entries are for the conversation: their record leaves devices out.
    if (event.seq) return;
    if (call) this.#route(call, event);
    else this.#keep(id, event);
  }

  async #begin(call: Call): Promise<void> {
    try {
      await call.begin();
    } catch (error) {
      await call.hangup().catch(() => undefined);
      throw error;
    }
  }

  #isMine(record: CallRecord): boolean {
    const { user, device } = this.#host;
    if (record.state === "ended" || record.state === "ringing") return false;
    if (record.from.user === user && record.from.device === device) return true;
    return record.participants.some((p) => p.user === user && p.device === device && p.state !== "left");
  }

  #offered({ call: record, card }: EventData["call.offered"]): void {
    const known = this.#calls.get(record.id);
    if (known) {
      known.update(record);
      return;
    }
    const call = this.#add({ call: { ...record, card: card ?? record.card } });
    if (call.phase !== "incoming") return;
    void this.#host.deliver(record.id, "calls.ringing", { call: record.id }).catch(() => undefined);
    this.emit("incoming", call);
  }

  #add(grant: CallGrant): Call {
    const call = new Call(this.#host, grant);
    this.#calls.set(call.id, call);
    call.on("changed", () => this.emit("changed", call));
    this.emit("changed", call);
    for (const event of this.#early.get(call.id) ?? []) this.#route(call, event);
    this.#early.delete(call.id);
    return call;
  }

  #keep(id: string, event: WireEvent): void {
    const list = this.#early.get(id) ?? [];
    if (list.length < EARLY_LIMIT) list.push(event);
    this.#early.set(id, list);
    const [oldest] = this.#early.keys();
    if (this.#early.size > 16 && oldest) this.#early.delete(oldest);
  }

  #route(call: Call, event: WireEvent): void {
    const handler = handlers[event.type];
    handler?.(call, event.data as never);
  }
}

function callIdOf(event: WireEvent): string {
  const { call } = (event.data ?? {}) as { call?: string | { id: string } };
  return (typeof call === "string" ? call : call?.id) ?? "";
}

type Handler<K extends keyof EventData> = (call: Call, data: EventData[K]) => void;

const handlers: Record<string, Handler<never>> & { [K in keyof EventData]?: Handler<K> } = {
  "call.ringing": (call: Call, data: EventData["call.ringing"]) => call.rings(data.user),
  "call.answered": (call: Call, data: EventData["call.answered"]) => {
    if (!call.incoming) void call.answeredBy(data.call, data.sdp).catch(() => call.hangup());
  },
  "call.updated": (call: Call, data: EventData["call.updated"]) => call.update(data.call),
  "call.signal": (call: Call, data: EventData["call.signal"]) => call.signal(data.kind, data.data),
  "call.ended": (call: Call, data: EventData["call.ended"]) => call.end(data.call),
  "call.slots": (call: Call, data: EventData["call.slots"]) => call.setSlots(data.slots),
  "call.speakers": (call: Call, data: EventData["call.speakers"]) => call.setSpeakers(data.users),
  "call.credentials": (call: Call, data: EventData["call.credentials"]) =>
    call.setIceServers(data.ice_servers),
};

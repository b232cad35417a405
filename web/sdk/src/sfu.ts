import { Emitter } from "./emitter.ts";
import { Leg, type LegState, type MediaReport } from "./leg.ts";
import type { IceServer, JoinAnswer, Slot } from "./types.ts";

export interface SfuOptions {
  iceServers: IceServer[];
  relayOnly: boolean;
  microphone: MediaStreamTrack;
  /** Sends the offer to the hub and brings its answer. */
  join: (sdp: string) => Promise<JoinAnswer>;
}

export interface SfuEvents {
  state: LegState;
  /** This track now carries that user's voice. */
  track: { user: string; track: MediaStreamTrack };
  /** The user's slot was taken away. */
  left: string;
}

/** How many others can be heard at once; their sections are in the first and only offer. */
const SLOTS = 8;
const REJOIN_EVERY_MS = 3_000;

/**
 * Media through the hub: one offer with this device's voice and empty slots.
 * Who speaks in which slot changes by event, never by another offer.
 */
export class Sfu extends Emitter<SfuEvents> {
  readonly #options: SfuOptions;
  #leg: Leg | undefined;
  #latest: Slot[] = [];
  #rejoins: ReturnType<typeof setInterval> | undefined;
  #joining = false;
  #joined: number | undefined;
  #named: number | undefined;
  #closed = false;

  constructor(options: SfuOptions) {
    super();
    this.#options = options;
  }

  get state(): LegState {
    return this.#leg?.state ?? "connecting";
  }

  async report(): Promise<MediaReport> {
    return (await this.#leg?.report()) ?? { alive: false };
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.#leg?.pc.getStats();
  }

  /** Joins, or joins again in place of a connection that broke. */
  async join(): Promise<void> {
    if (this.#joining || this.#closed) return;
    this.#joining = true;
    const { iceServers, relayOnly, microphone } = this.#options;
    const leg = new Leg({ iceServers, relayOnly });
    try {
      const stream = new MediaStream([microphone]);
      leg.pc.addTransceiver(microphone, { direction: "sendrecv", streams: [stream] });
      for (let i = 0; i < SLOTS; i++) leg.pc.addTransceiver("audio", { direction: "recvonly" });
      leg.on("state", (state) => this.#legState(leg, state));
      await leg.pc.setLocalDescription();
      const answer = await this.#options.join(leg.pc.localDescription?.sdp ?? "");
      this.#joined = answer.call.room;
      // Slots may change while the answer is being taken in: the newer ones count.
      const before = this.#latest.map((slot) => ({ ...slot, mid: "" }));
      this.#latest = answer.slots ?? [];
      await leg.setRemote("answer", answer.sdp);
      this.#leg?.close();
      this.#leg = leg;
      if (this.#closed) leg.close();
      this.#show(before, this.#latest);
    } catch (error) {
      leg.close();
      throw error;
    } finally {
      this.#joining = false;
      if (this.#elsewhere) this.#rejoinSoon(); // never at once: the answer may be just as old again
    }
  }

  /** Takes the number of the room that the call's record names: when it has moved to another media server, joins there. */
  named(room: number | undefined): void {
    this.#named = room;
    if (!this.#joining && this.#elsewhere) this.#rejoin();
  }

  /** The room that was joined is not the one that the call's record names. */
  get #elsewhere(): boolean {
    return this.#joined !== undefined && this.#named !== undefined && this.#joined !== this.#named;
  }

  /** Joins again, and again until the new connection stands. */
  #rejoin(): void {
    this.#rejoinSoon();
    void this.join().catch(() => undefined);
  }

  #rejoinSoon(): void {
    if (this.#closed) return;
    clearInterval(this.#rejoins);
    this.#rejoins = setInterval(() => void this.join().catch(() => undefined), REJOIN_EVERY_MS);
  }

  setSlots(slots: Slot[]): void {
    const before = this.#latest;
    this.#latest = slots;
    if (!this.#joining) this.#show(before, slots);
  }

  #show(before: Slot[], slots: Slot[]): void {
    for (const { user } of before) {
      if (user && !slots.some((s) => s.user === user)) this.emit("left", user);
    }
    for (const { mid, user } of slots) {
      if (!user || before.some((s) => s.mid === mid && s.user === user)) continue;
      const track = this.#leg?.pc.getTransceivers().find((t) => t.mid === mid)?.receiver.track;
      if (track) this.emit("track", { user, track });
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#rejoins);
    this.#leg?.close();
  }

  #legState(leg: Leg, state: LegState): void {
    if (this.#closed || state === "closed" || (this.#leg && leg !== this.#leg)) return;
    clearInterval(this.#rejoins);
    if (state === "interrupted") this.#rejoin();
    this.emit("state", state);
  }
}

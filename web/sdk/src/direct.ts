import { equalBytes, toHex } from "./bytes.ts";
import { Emitter } from "./emitter.ts";
import { Leg, type LegState, type MediaReport } from "./leg.ts";
import type { IceServer, Route, SignalKind } from "./types.ts";
import { Verification, type VerifiedKeys } from "./verification.ts";
import { sdpFingerprint } from "./words.ts";

export interface DirectOptions {
  /** "A" called, "B" answered: B makes every offer. */
  role: "A" | "B";
  call: string;
  userA: string;
  userB: string;
  iceServers: IceServer[];
  relayOnly: boolean;
  certificate: RTCCertificate;
  microphone: MediaStreamTrack;
  send: (kind: SignalKind, data: object) => void;
  /** Fresh relay credentials, asked for before every ICE restart. */
  credentials: () => Promise<IceServer[]>;
  /** Keys of an earlier run in this call, kept over a reload. */
  keys?: VerifiedKeys;
}

export interface DirectEvents {
  state: LegState;
  track: MediaStreamTrack;
  keys: VerifiedKeys;
  differ: string;
}

const RESTART_EVERY_MS = 4_000;

/**
 * Media straight between two devices: trickle ICE, ICE restarts, a new
 * connection after the other side's reload, and the commit-and-reveal run
 * whose keys become the words.
 */
export class Direct extends Emitter<DirectEvents> {
  readonly #options: DirectOptions;
  #leg: Leg;
  #verification: Verification | undefined;
  #keys: VerifiedKeys | undefined;
  #iceServers: IceServer[];
  #restarts: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  constructor(options: DirectOptions) {
    super();
    this.#options = options;
    this.#iceServers = options.iceServers;
    this.#keys = options.keys;
    this.#leg = this.#makeLeg();
  }

  get state(): LegState {
    return this.#leg.state;
  }

  report(): Promise<MediaReport> {
    return this.#leg.report();
  }

  stats(): Promise<RTCStatsReport> {
    return this.#leg.pc.getStats();
  }

  route(): Promise<Route> {
    return this.#leg.route();
  }

  /** How loud the other side is right now, 0 to 1. */
  level(): number {
    return Math.max(
      0,
      ...this.#leg.pc
        .getReceivers()
        .flatMap((receiver) => receiver.getSynchronizationSources().map((source) => source.audioLevel ?? 0)),
    );
  }

  /**
   * Makes B's first offer without starting to gather, so that it can travel
   * with the answer to the ring; {@link begin} starts with what that brings.
   */
  async prepareOffer(): Promise<string> {
    this.#addMicrophone();
    const offer = await this.#leg.pc.createOffer();
    this.#prepared = offer;
    return offer.sdp ?? "";
  }

  async begin(iceServers: IceServer[]): Promise<void> {
    this.#iceServers = iceServers;
    this.#leg.setIceServers(iceServers);
    if (this.#prepared) await this.#leg.pc.setLocalDescription(this.#prepared);
    this.#prepared = undefined;
  }

  /** Makes B's first offer and sends it by itself, where the ring was answered without one. */
  async offer(): Promise<void> {
    await this.#offer({ fresh: false });
  }

  /** Comes back to a call after a reload: both sides build new connections with their kept certificates. */
  async rejoin(): Promise<void> {
    await this.#offer({ fresh: true });
  }

  /** Asks for a new path while the old one may still work: the network under it has changed. */
  restart(): void {
    void this.#restart();
  }

  async signal(kind: SignalKind, data: unknown): Promise<void> {
    switch (kind) {
      case "offer":
        await this.#takeOffer(sdpOf(data), (data as { fresh?: boolean }).fresh === true);
        break;
      case "answer":
        await this.#takeAnswer(sdpOf(data));
        break;
      case "candidate":
        for (const candidate of candidatesOf(data)) await this.#leg.addCandidate(candidate);
        break;
      case "restart":
        if (this.#options.role === "B" && this.#leg.pc.signalingState === "stable") {
          await this.#offer({ fresh: false });
        }
        break;
      default:
        await this.#verification?.take(kind, data);
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#restarts);
    this.#leg.close();
  }

  #prepared: RTCSessionDescriptionInit | undefined;

  #makeLeg(): Leg {
    const { relayOnly, certificate, send } = this.#options;
    const leg = new Leg({ iceServers: this.#iceServers, relayOnly, certificate });
    leg.on("candidate", (candidate) => send("candidate", candidate));
    leg.on("track", ({ track }) => this.emit("track", track));
    leg.on("state", (state) => this.#legState(leg, state));
    return leg;
  }

  #addMicrophone(): void {
    const { pc } = this.#leg;
    const { microphone } = this.#options;
    if (pc.getSenders().every((sender) => !sender.track))
      pc.addTrack(microphone, new MediaStream([microphone]));
  }

  #renewLeg(): void {
    const old = this.#leg;
    this.#leg = this.#makeLeg();
    old.close();
  }

  async #takeOffer(sdp: string, fresh: boolean): Promise<void> {
    // Both came back at once: A's offer stands. And an offer for a connection that is gone is late.
    if (this.#leg.pc.signalingState === "have-local-offer" && (this.#options.role === "A" || !fresh)) return;
    if (fresh) this.#renewLeg();
    const { pc } = this.#leg;
    await this.#leg.setRemote("offer", sdp);
    this.#addMicrophone();
    const answer = await pc.createAnswer();
    await pc.setLocalDescription(answer);
    this.#options.send("answer", { sdp: answer.sdp });
    await this.#verify(answer.sdp ?? "", sdp);
  }

  async #takeAnswer(sdp: string): Promise<void> {
    const { pc } = this.#leg;
    if (pc.signalingState !== "have-local-offer") return;
    await this.#leg.setRemote("answer", sdp);
    await this.#verify(pc.localDescription?.sdp ?? "", sdp);
  }

  async #offer({ fresh }: { fresh: boolean }): Promise<void> {
    const { pc } = this.#leg;
    this.#addMicrophone();
    const offer = await pc.createOffer({ iceRestart: true });
    await pc.setLocalDescription(offer);
    this.#options.send("offer", { sdp: offer.sdp, fresh });
  }

  /** Runs commit and reveal for the certificates of these descriptions, unless that was done for the same ones. */
  async #verify(localSdp: string, remoteSdp: string): Promise<void> {
    const { role, call, userA, userB, send } = this.#options;
    let own: ReturnType<typeof sdpFingerprint>;
    let remote: ReturnType<typeof sdpFingerprint>;
    try {
      [own, remote] = [sdpFingerprint(localSdp), sdpFingerprint(remoteSdp)];
    } catch (error) {
      this.emit("differ", String(error));
      return;
    }
    const kept = this.#keys;
    const [keptOwn, keptRemote] = role === "A" ? [kept?.fpA, kept?.fpB] : [kept?.fpB, kept?.fpA];
    if (kept && keptOwn === toHex(own) && keptRemote === toHex(remote)) {
      this.emit("keys", kept);
      return;
    }
    const running = this.#verification;
    if (running && equalBytes(running.own, own) && equalBytes(running.remote, remote)) return;
    this.#verification = new Verification({
      role,
      call,
      userA,
      userB,
      own,
      remote,
      send,
      done: (keys) => {
        this.#keys = keys;
        this.emit("keys", keys);
      },
      differ: (why) => this.emit("differ", why),
    });
    await this.#verification.begin();
  }

  #legState(leg: Leg, state: LegState): void {
    if (leg !== this.#leg || this.#closed) return;
    clearInterval(this.#restarts);
    if (state === "interrupted") {
      void this.#restart();
      this.#restarts = setInterval(() => void this.#restart(), RESTART_EVERY_MS);
    }
    this.emit("state", state);
  }

  async #restart(): Promise<void> {
    try {
      this.#iceServers = await this.#options.credentials();
      this.#leg.setIceServers(this.#iceServers);
    } catch {
      // Old credentials may still do, and without a relay there may be a direct path.
    }
    if (this.#closed) return;
    if (this.#options.role === "A") this.#options.send("restart", {});
    else await this.#offer({ fresh: false });
  }
}

/** An SDP travels as a string or as an object's `sdp`. */
function sdpOf(data: unknown): string {
  const sdp = typeof data === "string" ? data : (data as { sdp?: unknown } | null)?.sdp;
  if (typeof sdp !== "string") throw new TypeError("a description without SDP");
  return sdp;
}

/** Candidates travel alone or in a list, as an object or as their line; null marks the last. */
function candidatesOf(data: unknown): RTCIceCandidateInit[] {
  const list = Array.isArray(data) ? data : [data];
  return list
    .map((item) => (typeof item === "string" ? { candidate: item, sdpMid: "0" } : item))
    .filter((item) => typeof item?.candidate === "string" && item.candidate !== "");
}

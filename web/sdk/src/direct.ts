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

  /** Comes back to a call after a reload: both sides build new connections with their kept certificates. */
  async rejoin(): Promise<void> {
    if (this.#options.role === "A") this.#options.send("restart", { fresh: true });
    else await this.#offer({ fresh: true });
  }

  /** Asks for a new path while the old one may still work: the network under it has changed. */
  restart(): void {
    void this.#restart();
  }

  async signal(kind: SignalKind, data: unknown): Promise<void> {
    const fields = (data ?? {}) as { sdp?: string; fresh?: boolean } & RTCIceCandidateInit;
    switch (kind) {
      case "offer":
        if (typeof fields.sdp === "string") await this.#takeOffer(fields.sdp, fields.fresh === true);
        break;
      case "answer":
        if (typeof fields.sdp === "string") await this.#takeAnswer(fields.sdp);
        break;
      case "candidate":
        if (typeof fields.candidate === "string") await this.#leg.addCandidate(fields);
        break;
      case "restart":
        if (this.#options.role === "B") await this.#offer({ fresh: fields.fresh === true });
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
    const { relayOnly, certificate, microphone, send } = this.#options;
    const leg = new Leg({ iceServers: this.#iceServers, relayOnly, certificate, microphone });
    leg.on("candidate", (candidate) => send("candidate", candidate));
    leg.on("track", ({ track }) => this.emit("track", track));
    leg.on("state", (state) => this.#legState(leg, state));
    if (this.#options.role === "B") leg.pc.addTrack(microphone, new MediaStream([microphone]));
    return leg;
  }

  #renewLeg(): void {
    const old = this.#leg;
    this.#leg = this.#makeLeg();
    old.close();
  }

  async #takeOffer(sdp: string, fresh: boolean): Promise<void> {
    if (this.#options.role !== "A") return;
    if (fresh) this.#renewLeg();
    const { pc } = this.#leg;
    await this.#leg.setRemote("offer", sdp);
    if (pc.getSenders().every((sender) => !sender.track)) {
      const { microphone } = this.#options;
      pc.addTrack(microphone, new MediaStream([microphone]));
    }
    const answer = await pc.createAnswer();
    await pc.setLocalDescription(answer);
    this.#options.send("answer", { sdp: answer.sdp });
    await this.#verify(answer.sdp ?? "", sdp);
  }

  async #takeAnswer(sdp: string): Promise<void> {
    const { pc } = this.#leg;
    if (this.#options.role !== "B" || pc.signalingState !== "have-local-offer") return;
    await this.#leg.setRemote("answer", sdp);
    await this.#verify(pc.localDescription?.sdp ?? "", sdp);
  }

  async #offer({ fresh }: { fresh: boolean }): Promise<void> {
    if (fresh) this.#renewLeg();
    const { pc } = this.#leg;
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
    if (this.#options.role === "A") this.#options.send("restart", { fresh: false });
    else await this.#offer({ fresh: false });
  }
}

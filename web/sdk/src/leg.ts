import { Emitter } from "./emitter.ts";
import type { IceServer, Route } from "./types.ts";

/** Whether media flows on a leg. `interrupted` means: worth an ICE restart now. */
export type LegState = "connecting" | "connected" | "interrupted" | "closed";

export interface LegEvents {
  state: LegState;
  candidate: RTCIceCandidateInit;
  track: { mid: string; track: MediaStreamTrack };
}

export interface LegOptions {
  iceServers: IceServer[];
  relayOnly: boolean;
  certificate?: RTCCertificate;
}

/** What `calls.report` says about the last seconds. */
export interface MediaReport {
  /** RTP arrived within the last 5 s. */
  alive: boolean;
  rtt_ms?: number;
  /** Share of packets lost since the health was last read, 0 to 1. */
  loss?: number;
}

const DISCONNECTED_MS = 2_000;
const ALIVE_MS = 5_000;
const ROUTE_TRIES = 20;

/** One RTCPeerConnection that carries this device's microphone, with its health. */
export class Leg extends Emitter<LegEvents> {
  readonly pc: RTCPeerConnection;
  #state: LegState = "connecting";
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #early: RTCIceCandidateInit[] = [];
  #packets = { received: 0, lost: 0, at: 0 };

  constructor(options: LegOptions) {
    super();
    this.pc = new RTCPeerConnection({
      iceServers: options.iceServers,
      iceTransportPolicy: options.relayOnly ? "relay" : "all",
      bundlePolicy: "max-bundle",
      ...(options.certificate ? { certificates: [options.certificate] } : {}),
    });
    this.pc.addEventListener("iceconnectionstatechange", () => this.#iceState());
    this.pc.addEventListener("connectionstatechange", () => this.#iceState());
    this.pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) this.emit("candidate", candidate.toJSON());
    });
    this.pc.addEventListener("track", ({ track, transceiver }) =>
      this.emit("track", { mid: transceiver.mid ?? "", track }),
    );
  }

  get state(): LegState {
    return this.#state;
  }

  setIceServers(iceServers: IceServer[]): void {
    const { iceTransportPolicy } = this.pc.getConfiguration();
    this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers, iceTransportPolicy });
  }

  async setRemote(type: "offer" | "answer", sdp: string): Promise<void> {
    await this.pc.setRemoteDescription({ type, sdp });
    for (const candidate of this.#early.splice(0)) await this.addCandidate(candidate);
  }

  /** Takes a candidate of the other side, also before its description is there. A bad one is left out. */
  async addCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    if (!this.pc.remoteDescription) {
      if (this.#early.length < 64) this.#early.push(candidate);
      return;
    }
    await this.pc.addIceCandidate(candidate).catch(() => undefined);
  }

  close(): void {
    clearTimeout(this.#doubt);
    this.pc.close();
    this.#set("closed");
  }

  /** Reads the media's health from getStats. */
  async report(): Promise<MediaReport> {
    let received = 0;
    let lost = 0;
    let rtt: number | undefined;
    for (const stat of (await this.pc.getStats()).values()) {
      if (stat.type === "inbound-rtp") {
        received += stat.packetsReceived ?? 0;
        lost += stat.packetsLost ?? 0;
      } else if (
        stat.type === "candidate-pair" &&
        stat.nominated &&
        stat.currentRoundTripTime !== undefined
      ) {
        rtt = stat.currentRoundTripTime;
      }
    }
    const before = this.#packets;
    const fresh = received - before.received;
    const missing = Math.max(0, lost - before.lost);
    this.#packets = { received, lost, at: fresh > 0 ? Date.now() : before.at };
    return {
      alive: Date.now() - this.#packets.at < ALIVE_MS,
      ...(rtt === undefined ? {} : { rtt_ms: Math.round(rtt * 1_000) }),
      ...(fresh + missing > 0 ? { loss: Math.round((missing / (fresh + missing)) * 1_000) / 1_000 } : {}),
    };
  }

  /** Says whether the chosen path goes through a relay. */
  async route(): Promise<Route> {
    for (let tries = 0; tries < ROUTE_TRIES; tries++) {
      const ends = await this.#chosenPath();
      if (ends) return ends.includes("relay") ? "relay" : "direct";
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return "direct";
  }

  /** The candidate types of both ends of the path in use; the statistics may lag behind the connection a little. */
  async #chosenPath(): Promise<string[] | undefined> {
    const stats = await this.pc.getStats();
    const all = [...stats.values()];
    const chosen = all.find((s) => s.type === "transport")?.selectedCandidatePairId;
    const pair =
      stats.get(chosen) ?? all.find((s) => s.type === "candidate-pair" && s.nominated && s.selected);
    if (!pair) return undefined;
    return [pair.localCandidateId, pair.remoteCandidateId].map((id) => stats.get(id)?.candidateType ?? "");
  }

  #iceState(): void {
    const { iceConnectionState: ice, connectionState: whole } = this.pc;
    clearTimeout(this.#doubt);
    if (whole === "failed" || ice === "failed") this.#set("interrupted");
    else if (whole === "connected") this.#set("connected");
    else if (ice === "disconnected")
      this.#doubt = setTimeout(() => this.#set("interrupted"), DISCONNECTED_MS);
  }

  #set(state: LegState): void {
    if (this.#state === state || this.#state === "closed") return;
    this.#state = state;
    this.emit("state", state);
  }
}

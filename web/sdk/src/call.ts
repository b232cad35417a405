import type { CallHost } from "./call_host.ts";
import { Direct } from "./direct.ts";
import { Emitter } from "./emitter.ts";
import { localProblem } from "./errors.ts";
import { HEALTH_MS, Health } from "./health.ts";
import type { LegState } from "./leg.ts";
import { Sfu } from "./sfu.ts";
import type { CallGrant, CallRecord, EndReason, IceServer, Route, SignalKind, Slot } from "./types.ts";
import type { VerifiedKeys } from "./verification.ts";
import { type Words, wordsOf } from "./words.ts";

/** Where a call stands on this device. */
export type CallPhase = "incoming" | "outgoing" | "connecting" | "active" | "reconnecting" | "ended";

export interface CallEvents {
  /** Anything about the call changed: read it again. */
  changed: Call;
  /** A voice can be heard; play `stream` if no audio sink does. */
  stream: { user: string; stream: MediaStream };
  ended: Call;
}

const LEVEL_MS = 250;
const SPEAKING = 0.02;
/** The direct path stays open this long while the hub's path has not brought a voice yet. */
const HANDOVER_MS = 4_000;

/** One call on this device, from ringing to its end. */
export class Call extends Emitter<CallEvents> {
  readonly #host: CallHost;
  readonly incoming: boolean;
  #record: CallRecord;
  #iceServers: IceServer[];
  #direct: Direct | undefined;
  #sfu: Sfu | undefined;
  #microphone: Promise<MediaStreamTrack> | undefined;
  #legState: LegState = "connecting";
  #answered = false;
  #over = false;
  #muted = false;
  #route: Route | undefined;
  #words: Words | undefined;
  #transcript: string | undefined;
  #differs: string | undefined;
  #ringing = new Set<string>();
  #speakers: readonly string[] = [];
  #streams = new Map<string, MediaStream>();
  #timers: ReturnType<typeof setInterval>[] = [];
  #order: Promise<void> = Promise.resolve();

  constructor(host: CallHost, grant: CallGrant) {
    super();
    this.#host = host;
    this.#record = grant.call;
    this.#iceServers = grant.ice_servers ?? [];
    this.incoming = grant.call.from.user !== host.user || grant.call.from.device !== host.device;
  }

  get id(): string {
    return this.#record.id;
  }

  /** The server's record, at its highest version. */
  get record(): CallRecord {
    return this.#record;
  }

  get phase(): CallPhase {
    if (this.#over || this.#record.state === "ended") return "ended";
    if (this.incoming && !this.#answered) return "incoming";
    if (this.#record.state === "ringing") return "outgoing";
    if (this.#legState === "connected") return "active";
    return this.#legState === "interrupted" ? "reconnecting" : "connecting";
  }

  /** Why it ended, as this device was told. */
  get reason(): EndReason | undefined {
    return this.#record.reason;
  }

  /** What both people read out: only in a direct call, and only after commit and reveal. */
  get words(): Words | undefined {
    return this.#record.media === "p2p" ? this.#words : undefined;
  }

  /** Hex; what a live confirmation binds to. */
  get transcript(): string | undefined {
    return this.#record.media === "p2p" ? this.#transcript : undefined;
  }

  /** Set when the keys on the line are not the ones the other side names. */
  get differs(): string | undefined {
    return this.#differs;
  }

  get route(): Route | undefined {
    return this.#route;
  }

  get muted(): boolean {
    return this.#muted;
  }

  get speakers(): readonly string[] {
    return this.#speakers;
  }

  /** Whose device is ringing. */
  get ringing(): ReadonlySet<string> {
    return this.#ringing;
  }

  get streams(): ReadonlyMap<string, MediaStream> {
    return this.#streams;
  }

  /** The other people in the call, whatever their state. */
  get others(): string[] {
    const users = this.#record.participants.map((p) => p.user);
    return [...new Set([this.#record.from.user, ...users])].filter((u) => u !== this.#host.user);
  }

  /** The connection's statistics, as the browser keeps them. */
  async stats(): Promise<RTCStatsReport | undefined> {
    return (this.#sfu ?? this.#direct)?.stats();
  }

  /** Takes the call on this device. Asks for the microphone first, so that nobody hears a silent line. */
  async answer(): Promise<void> {
    if (this.phase !== "incoming") return;
    await this.#listen();
    if (this.phase !== "incoming") return;
    this.#answered = true;
    this.#changed();
    try {
      if (this.#record.media === "p2p") await this.#answerDirect();
      else await this.#answerSfu();
    } catch (error) {
      this.#finish();
      throw error;
    }
  }

  /** Both rang each other: the server let this call survive and answered it for this device already. */
  async answerGlare(grant: CallGrant): Promise<void> {
    this.#answered = true;
    this.#iceServers = grant.ice_servers ?? this.#iceServers;
    this.update(grant.call);
    const direct = await this.#ensureDirect("B");
    await direct.offer();
  }

  decline(): Promise<void> {
    return this.#leave("calls.decline");
  }

  /** Ends the call for this device, whatever its phase. */
  hangup(): Promise<void> {
    if (this.phase === "incoming") return this.decline();
    return this.#leave(this.phase === "outgoing" ? "calls.cancel" : "calls.hangup");
  }

  async mute(muted: boolean): Promise<void> {
    this.#muted = muted;
    this.#changed();
    void this.#microphone?.then((track) => {
      track.enabled = !this.#muted;
    });
    await this.#host.deliver(this.id, "calls.mute", { call: this.id, muted });
  }

  /** Rings another person into the call; two become three through the hub, without hanging up. */
  async invite(user: string): Promise<void> {
    const grant = await this.#host.request("calls.invite", { call: this.id, user });
    this.update(grant.call);
  }

  /** Says whether the words on both screens are the same. "They differ" ends the call. */
  async verify(same: boolean): Promise<void> {
    if (!this.#transcript) throw localProblem("no_words", "There are no words in this call yet.");
    const result: "match" | "differ" = same ? "match" : "differ";
    const params = { call: this.id, transcript: this.#transcript, result };
    const grant = await this.#host.deliver(this.id, "calls.verify", params);
    if (grant?.call) this.update(grant.call);
  }

  /** Takes a newer record from the server. */
  update(record: CallRecord): void {
    if (record.id !== this.id || record.version < this.#record.version) return;
    this.#record = record;
    if (record.state === "ended") this.#finish();
    else if (this.#sfu) this.#sfu.named(record.room);
    else if (record.media === "sfu" && this.#wantsMedia) void this.#toSfu();
    this.#changed();
  }

  /** The caller's side: somebody answered. */
  async answeredBy(record: CallRecord, sdp: string | undefined): Promise<void> {
    this.update(record);
    if (this.#over || record.media !== "p2p") return;
    // Candidates are on their way already: they queue up behind this.
    const ready = this.#order.then(() => this.#ensureDirect("A"));
    this.#order = ready.then(
      () => undefined,
      () => undefined,
    );
    if (sdp) this.signal("offer", { sdp });
    await ready;
  }

  /** The caller's side: the microphone is asked for while it rings. */
  async begin(): Promise<void> {
    this.#answered = true;
    await this.#listen();
    if (this.#record.media === "sfu") await this.#toSfu();
  }

  /** Comes back to a call that this device was in before the page was loaded again. */
  async rejoin(): Promise<void> {
    this.#answered = true;
    await this.#listen();
    this.#iceServers = await this.#credentials();
    this.#changed();
    if (this.#record.media === "sfu") {
      await this.#toSfu();
      return;
    }
    await this.#ensureDirect(this.#record.from.user === this.#host.user ? "A" : "B");
    await this.#direct?.rejoin();
  }

  rings(user: string): void {
    this.#ringing.add(user);
    this.#changed();
  }

  /** Takes a signal of the other device; signals are worked off in their order. */
  signal(kind: SignalKind, data: unknown): void {
    this.#order = this.#order
      .then(() => this.#direct?.signal(kind, data))
      .catch((error) => console.warn("parley: a call signal was not usable", error));
  }

  setSlots(slots: Slot[]): void {
    this.#sfu?.setSlots(slots);
  }

  setSpeakers(users: readonly string[]): void {
    if (users.join() === this.#speakers.join()) return;
    this.#speakers = users;
    this.#changed();
  }

  setIceServers(iceServers: IceServer[]): void {
    this.#iceServers = iceServers;
  }

  /** The network under the device changed: look for a new path before the old one is given up. */
  networkChanged(): void {
    if (this.#legState !== "connecting") this.#direct?.restart();
  }

  /** Ends here because the server says so to this device. */
  end(record: CallRecord): void {
    if (record.version >= this.#record.version) this.#record = record;
    this.#finish();
  }

  get #wantsMedia(): boolean {
    return this.#answered && !this.#over;
  }

  async #answerDirect(): Promise<void> {
    const direct = await this.#ensureDirect("B");
    const sdp = await direct.prepareOffer();
    const begun = this.#takeCall(direct, sdp);
    // The caller's answer may be here before this device has begun: it waits its turn.
    this.#order = begun.catch(() => undefined);
    await begun;
  }

  async #takeCall(direct: Direct, sdp: string): Promise<void> {
    const grant = await this.#host.request("calls.answer", { call: this.id, sdp });
    this.#iceServers = grant.ice_servers ?? this.#iceServers;
    await direct.begin(this.#iceServers);
    this.update(grant.call);
  }

  async #answerSfu(): Promise<void> {
    const grant = await this.#host.request("calls.answer", { call: this.id });
    this.#iceServers = grant.ice_servers ?? this.#iceServers;
    this.update(grant.call);
    await this.#toSfu();
  }

  async #ensureDirect(role: "A" | "B"): Promise<Direct> {
    if (this.#direct) return this.#direct;
    const [microphone, certificate] = await Promise.all([this.#listen(), this.#host.certificate()]);
    if (this.#over) throw localProblem("call_over", "The call is over.");
    const other = this.others[0] ?? "";
    const [userA, userB] = role === "A" ? [this.#host.user, other] : [other, this.#host.user];
    const keys = this.#host.keys.load(this.id);
    const direct = new Direct({
      role,
      call: this.id,
      userA,
      userB,
      iceServers: this.#iceServers,
      relayOnly: this.#record.relay_only === true,
      certificate,
      microphone,
      send: (kind, data) => this.#send(kind, data),
      credentials: () => this.#credentials(),
      ...(keys ? { keys } : {}),
    });
    this.#direct = direct;
    direct.on("track", (track) => {
      if (!this.#sfu) this.#hear(other, track);
    });
    direct.on("keys", (found) => void this.#takeKeys(found));
    direct.on("differ", (why) => this.#takeDifference(why));
    direct.on("state", (state) => {
      if (!this.#sfu) this.#takeLegState(state, () => direct.route());
    });
    this.#watchMedia();
    return direct;
  }

  async #toSfu(): Promise<void> {
    if (this.#sfu || !this.#wantsMedia) return;
    const microphone = await this.#listen();
    if (this.#sfu || this.#over) return;
    const sfu = new Sfu({
      iceServers: this.#iceServers,
      relayOnly: this.#record.relay_only === true,
      microphone,
      join: async (sdp) => {
        const answer = await this.#host.request("calls.join", { call: this.id, sdp });
        this.update(answer.call);
        return answer;
      },
    });
    this.#sfu = sfu;
    sfu.on("track", ({ user, track }) => this.#hearThroughHub(user, track));
    sfu.on("left", (user) => this.#unhear(user));
    sfu.on("state", (state) => {
      this.#takeLegState(state, async () => "sfu");
      if (state === "connected") this.#dropDirectSoon();
    });
    this.#watchMedia();
    await sfu.join();
  }

  /** While a voice still comes straight, the hub's stream takes over with its first packet. */
  #hearThroughHub(user: string, track: MediaStreamTrack): void {
    if (!this.#direct || !track.muted) {
      this.#hear(user, track);
      return;
    }
    const take = () => {
      clearTimeout(late);
      track.removeEventListener("unmute", take);
      this.#hear(user, track);
      this.#dropDirect();
    };
    const late = setTimeout(take, HANDOVER_MS);
    track.addEventListener("unmute", take);
  }

  #dropDirectSoon(): void {
    if (this.#direct) setTimeout(() => this.#dropDirect(), HANDOVER_MS);
  }

  #dropDirect(): void {
    this.#direct?.close();
    this.#direct = undefined;
  }

  #hear(user: string, track: MediaStreamTrack): void {
    if (this.#over) return;
    const stream = new MediaStream([track]);
    this.#streams.set(user, stream);
    this.#host.audio?.play(`${this.id}/${user}`, stream);
    this.emit("stream", { user, stream });
    this.#changed();
  }

  #unhear(user: string): void {
    this.#streams.delete(user);
    this.#host.audio?.stop(`${this.id}/${user}`);
    this.#changed();
  }

  #takeLegState(state: LegState, route: () => Promise<Route>): void {
    if (this.#over || state === "closed") return;
    this.#legState = state;
    this.#changed();
    if (state === "connected") void this.#tellConnected(route);
  }

  async #tellConnected(route: () => Promise<Route>): Promise<void> {
    this.#route = await route().catch((): Route => "direct");
    this.#changed();
    if (this.#over) return;
    const told = this.#host.deliver(this.id, "calls.connected", {
      call: this.id,
      route: this.#route,
    });
    await told.then((grant) => grant?.call && this.update(grant.call)).catch(() => undefined);
  }

  async #takeKeys(keys: VerifiedKeys): Promise<void> {
    this.#transcript = keys.transcript;
    this.#words = await wordsOf(keys.transcript);
    this.#host.keys.save(this.id, keys);
    this.#changed();
  }

  /** Somebody on the way lied about a certificate. Both are told through the server, and the call ends. */
  #takeDifference(why: string): void {
    this.#differs = why;
    const transcript = this.#transcript ?? "0".repeat(64);
    void this.#host
      .deliver(this.id, "calls.verify", { call: this.id, transcript, result: "differ" })
      .catch(() => undefined);
    this.#changed();
  }

  #watchMedia(): void {
    if (this.#timers.length > 0) return;
    const health = new Health(
      () => this.#sfu ?? this.#direct,
      (report) => this.#host.request("calls.report", { call: this.id, ...report }),
    );
    this.#timers.push(setInterval(() => void health.look(), HEALTH_MS));
    this.#timers.push(
      setInterval(() => {
        if (!this.#direct || this.#sfu) return;
        this.setSpeakers(this.#direct.level() > SPEAKING ? this.others.slice(0, 1) : []);
      }, LEVEL_MS),
    );
  }

  #send(kind: SignalKind, data: object): void {
    const params = { call: this.id, kind, data };
    void this.#host.deliver(this.id, "calls.signal", params).catch(() => undefined);
  }

  async #credentials(): Promise<IceServer[]> {
    const grant = await this.#host.request("calls.credentials", {
      call: this.id,
    });
    return grant.ice_servers;
  }

  async #leave(method: "calls.decline" | "calls.cancel" | "calls.hangup"): Promise<void> {
    const id = this.id;
    this.#finish();
    await this.#host.deliver(id, method, { call: id });
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#direct?.close();
    this.#sfu?.close();
    this.#stopMicrophone();
    for (const user of [...this.#streams.keys()]) this.#unhear(user);
    this.#host.keys.save(this.id, undefined);
    this.#changed();
    this.emit("ended", this);
  }

  /** The microphone, asked for once; a call that ended meanwhile lets go of it. */
  #listen(): Promise<MediaStreamTrack> {
    this.#microphone ??= this.#host.microphone();
    return this.#microphone.then((track) => {
      if (this.#over) track.stop();
      track.enabled = !this.#muted;
      return track;
    });
  }

  #stopMicrophone(): void {
    void this.#microphone?.then(
      (track) => track.stop(),
      () => undefined,
    );
    this.#microphone = undefined;
  }

  #changed(): void {
    this.emit("changed", this);
  }
}

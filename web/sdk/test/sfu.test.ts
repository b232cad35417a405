import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Sfu } from "../src/sfu.ts";
import type { JoinAnswer } from "../src/types.ts";

/** As much of a connection as joining a room needs. */
class Connection extends EventTarget {
  static all: Connection[] = [];
  closed = false;
  connectionState = "new";
  iceConnectionState = "new";
  localDescription: { sdp: string } | undefined;
  remoteDescription: { sdp: string } | undefined;
  constructor() {
    super();
    Connection.all.push(this);
  }
  addTransceiver(): void {}
  getTransceivers(): [] {
    return [];
  }
  async setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: "offer" };
  }
  async setRemoteDescription(description: { sdp: string }): Promise<void> {
    this.remoteDescription = description;
  }
  close(): void {
    this.closed = true;
  }
  is(state: string): void {
    this.connectionState = state;
    this.iceConnectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
}

let sfu: Sfu;
let joins: number;
/** What the hub answers: the room, or nothing at all. */
let room: number | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", Connection);
  vi.stubGlobal("MediaStream", class {});
  Connection.all = [];
  joins = 0;
  room = 1;
  sfu = new Sfu({
    iceServers: [],
    relayOnly: false,
    microphone: {} as MediaStreamTrack,
    join: async () => {
      joins++;
      if (room === undefined) throw new Error("no media server");
      return { call: { room }, sdp: "answer", slots: [] } as unknown as JoinAnswer;
    },
  });
});
afterEach(() => {
  sfu.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("joins anew when the room has moved, and lets go of the old connection then", async () => {
  await sfu.join();
  sfu.named(1);
  Connection.all[0]?.is("connected");
  expect(joins).toBe(1);
  room = 2;
  sfu.named(2);
  await vi.advanceTimersByTimeAsync(0);
  expect(joins).toBe(2);
  expect(Connection.all.map((c) => c.closed)).toEqual([true, false]);
  Connection.all[1]?.is("connected");
  sfu.named(2);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(joins).toBe(2);
});

it("tries until the new room takes it, on the old connection meanwhile", async () => {
  await sfu.join();
  Connection.all[0]?.is("connected");
  room = undefined;
  sfu.named(2);
  await vi.advanceTimersByTimeAsync(3_500);
  expect(joins).toBe(3);
  expect(Connection.all[0]?.closed).toBe(false);
  room = 2;
  await vi.advanceTimersByTimeAsync(3_000);
  expect(Connection.all[0]?.closed).toBe(true);
});

it("follows a room that moves while it joins", async () => {
  const joined = sfu.join();
  sfu.named(2);
  await joined;
  room = 2;
  await vi.advanceTimersByTimeAsync(3_000);
  expect(joins).toBeGreaterThan(1);
  Connection.all.at(-1)?.is("connected");
  const before = joins;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(joins).toBe(before);
});

import { beforeEach, describe, expect, it, vi } from "vitest";
import { Streams } from "../src/streams.ts";
import type { WireEvent } from "../src/types.ts";

const entry = (seq: number, conversation = "conv_1"): WireEvent => ({
  type: "message.created",
  conversation,
  seq,
  time: "2026-01-01T00:00:00Z",
  data: {},
});

const opened = (conversations: { id: string; head: number; gap?: boolean }[]) => ({
  session: "ses_1",
  user: "ann",
  device: "dev_a",
  heartbeat_s: 25,
  server_time: "",
  conversations,
});

describe("Streams", () => {
  let log: number[];
  let delivered: number[];
  let pages: number[];
  let streams: Streams;

  beforeEach(() => {
    vi.useFakeTimers();
    log = Array.from({ length: 1_000 }, (_, i) => i + 1);
    delivered = [];
    pages = [];
    streams = new Streams({
      page: async (_conversation, after) => {
        pages.push(after);
        const entries = log.filter((s) => s > after).slice(0, 200);
        return { entries: entries.map((s) => entry(s)), head: log.length, more: after + 200 < log.length };
      },
      deliver: (event) => delivered.push(event.seq ?? 0),
    });
    streams.opened(opened([{ id: "conv_1", head: 10 }]));
  });

  it("starts a conversation it has not read at its head", () => {
    expect(streams.resume()).toEqual({ conv_1: 10 });
  });

  it("delivers in order and drops what comes twice", () => {
    for (const seq of [11, 11, 12, 10, 12, 13]) streams.accept(entry(seq));
    expect(delivered).toEqual([11, 12, 13]);
  });

  it("holds back what came early, without asking when the hole closes by itself", async () => {
    for (const seq of [12, 13, 11]) streams.accept(entry(seq));
    expect(delivered).toEqual([11, 12, 13]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(pages).toEqual([]);
  });

  it("pages back for a hole that stays", async () => {
    log = log.slice(0, 14);
    streams.accept(entry(14));
    expect(delivered).toEqual([]);
    await vi.advanceTimersByTimeAsync(300);
    expect(delivered).toEqual([11, 12, 13, 14]);
    expect(pages).toEqual([10]);
  });

  it("notices by the heads of a heartbeat that the last entry was lost", async () => {
    log = log.slice(0, 12);
    streams.heads({ conv_1: 12 });
    await vi.advanceTimersByTimeAsync(300);
    expect(delivered).toEqual([11, 12]);
  });

  it("pages through a gap at once, however long, with live entries in between", async () => {
    streams.opened(opened([{ id: "conv_1", head: 999, gap: true }]));
    streams.accept(entry(1_000));
    await vi.advanceTimersByTimeAsync(300);
    expect(delivered).toEqual(log.slice(10));
    expect(pages).toEqual([10, 210, 410, 610, 810]);
  });

  it("tries again at the next heartbeat when paging failed", async () => {
    const failed = vi.fn();
    let broken = true;
    const shaky = new Streams({
      page: async (_c, after) => {
        if (broken) throw new Error("down");
        return { entries: [entry(after + 1)], head: after + 1, more: false };
      },
      deliver: (event) => delivered.push(event.seq ?? 0),
      failed,
    });
    shaky.opened(opened([{ id: "conv_1", head: 4 }]));
    shaky.heads({ conv_1: 5 });
    await vi.advanceTimersByTimeAsync(300);
    broken = false;
    shaky.heads({ conv_1: 5 });
    await vi.advanceTimersByTimeAsync(300);
    expect(failed).toHaveBeenCalledOnce();
    expect(delivered).toEqual([5]);
  });

  it("reads a conversation that began after the session from its first entry", async () => {
    log = [1, 2];
    streams.accept(entry(2, "conv_new"));
    await vi.advanceTimersByTimeAsync(300);
    expect(pages).toEqual([0]);
  });

  it("lets signals through unnumbered", () => {
    streams.accept({ type: "typing", conversation: "conv_1", time: "", data: {} });
    expect(delivered).toEqual([0]);
    expect(streams.resume()).toEqual({ conv_1: 10 });
  });
});

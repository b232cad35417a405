import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Parley } from "../src/client.ts";
import { ParleyError } from "../src/errors.ts";
import { FakeSocket, settle } from "./fake_socket.ts";

const TOPIC = "prices:eur";

function message(seq: number, epoch = "e1") {
  return { type: "topic.message", topic: TOPIC, seq, epoch, time: "", data: { n: seq } };
}

function answer(seq: number, more: object = {}) {
  return { topic: TOPIC, seq, epoch: "e1", count: 1, history: [], gap: false, ...more };
}

describe("Topic", () => {
  let parley: Parley;
  let got: string[];

  beforeEach(async () => {
    vi.useFakeTimers();
    FakeSocket.all = [];
    parley = new Parley({
      url: "http://localhost:1",
      token: `h.${btoa(JSON.stringify({ sub: "ann" }))}.s`,
      device: "dev_a",
      storage: null,
      audio: null,
      makeWebSocket: (url, protocol) => new FakeSocket(url, protocol),
      backoff: { random: () => 0 },
    });
    got = [];
    const topic = parley.topic<{ n: number }>(TOPIC);
    topic.on("message", (event) => got.push(`${event.data.n}`));
    topic.on("gap", (place) => got.push(`gap ${place.epoch} ${place.seq}`));
    topic.on("left", ({ reason }) => got.push(`left ${reason}`));
    parley.connect();
    await settle();
  });

  afterEach(() => {
    parley.close();
    vi.useRealTimers();
  });

  async function back(): Promise<void> {
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(10);
    await FakeSocket.last.openSession();
  }

  it("joins once there is a line, and brings the last publications and what follows in order", async () => {
    const joined = parley.topic(TOPIC).join({ last: 2 });
    await FakeSocket.last.openSession();
    expect(FakeSocket.last.asked("topic.join").params).toEqual({ topic: TOPIC, last: 2 });
    FakeSocket.last.answer("topic.join", answer(5, { history: [message(4), message(5)] }));
    FakeSocket.last.event(message(6)); // before the answer's promise has run
    await expect(joined).resolves.toMatchObject({ seq: 5, count: 1 });
    FakeSocket.last.event(message(6));
    FakeSocket.last.event(message(7));
    expect(got).toEqual(["4", "5", "6", "7"]);
    expect(parley.topic(TOPIC).place).toEqual({ topic: TOPIC, epoch: "e1", seq: 7 });
  });

  it("comes back with what was missed", async () => {
    await FakeSocket.last.openSession();
    void parley.topic(TOPIC).join();
    FakeSocket.last.answer("topic.join", answer(5));
    await settle();
    FakeSocket.last.event(message(6));
    await back();
    expect(FakeSocket.last.asked("topic.join").params).toEqual({
      topic: TOPIC,
      resume: { epoch: "e1", seq: 6 },
    });
    FakeSocket.last.answer("topic.join", answer(8, { history: [message(7), message(8)] }));
    await settle();
    expect(got).toEqual(["6", "7", "8"]);
  });

  it("says what is lost for good, after a reconnect and on the line", async () => {
    await FakeSocket.last.openSession();
    void parley.topic(TOPIC).join();
    FakeSocket.last.answer("topic.join", answer(5));
    await settle();
    await back();
    FakeSocket.last.answer("topic.join", answer(9, { gap: true, history: [message(8), message(9)] }));
    await settle();
    FakeSocket.last.event({ ...message(11), type: "topic.gap", data: {} });
    FakeSocket.last.event(message(12));
    FakeSocket.last.event({ ...message(0, "e2"), type: "topic.gap", data: {} });
    FakeSocket.last.event(message(1, "e2"));
    expect(got).toEqual(["gap e1 7", "8", "9", "gap e1 11", "12", "gap e2 0", "1"]);
  });

  it("tries again what the server could not do, and gives up what it refuses", async () => {
    await FakeSocket.last.openSession();
    const joined = parley.topic(TOPIC).join();
    FakeSocket.last.refuse("topic.join", "topics_unavailable", 503);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(FakeSocket.last.sent.filter((m) => m.method === "topic.join")).toHaveLength(2);
    const refused = expect(joined).rejects.toBeInstanceOf(ParleyError);
    FakeSocket.last.refuse("topic.join", "topic_forbidden", 403);
    await refused;
    expect(got).toEqual(["left topic_forbidden"]);
    await back();
    expect(FakeSocket.last.sent.map((m) => m.method)).not.toContain("topic.join");
  });

  it("hears nothing more after leaving or being put out", async () => {
    await FakeSocket.last.openSession();
    void parley.topic(TOPIC).join();
    FakeSocket.last.answer("topic.join", answer(0));
    await settle();
    FakeSocket.last.event({ type: "topic.left", topic: TOPIC, time: "", data: { reason: "token" } });
    FakeSocket.last.event(message(1));
    void parley.topic(TOPIC).join();
    FakeSocket.last.answer("topic.join", answer(1));
    await settle();
    void parley.topic(TOPIC).leave();
    expect(FakeSocket.last.asked("topic.leave").params).toEqual({ topic: TOPIC });
    FakeSocket.last.event(message(2));
    expect(got).toEqual(["left token"]);
  });

  it("publishes once, though the line drops", async () => {
    await FakeSocket.last.openSession();
    const published = parley.topic<{ n: number }>(TOPIC).publish({ n: 1 });
    await settle();
    const { client_id } = FakeSocket.last.asked("topic.publish").params ?? {};
    await back();
    expect(FakeSocket.last.asked("topic.publish").params).toEqual({
      topic: TOPIC,
      data: { n: 1 },
      client_id,
    });
    FakeSocket.last.answer("topic.publish", { topic: TOPIC, epoch: "e1", seq: 1 });
    await expect(published).resolves.toEqual({ topic: TOPIC, epoch: "e1", seq: 1 });
  });
});

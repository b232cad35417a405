import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Parley } from "../src/client.ts";
import { FakeSocket, settle } from "./fake_socket.ts";

function client(options: Partial<ConstructorParameters<typeof Parley>[0]> = {}) {
  return new Parley({
    url: "http://localhost:1",
    token: jwt({ sub: "ann" }),
    device: "dev_a",
    storage: null,
    audio: null,
    makeWebSocket: (url, protocol) => new FakeSocket(url, protocol),
    backoff: { random: () => 0 },
    ...options,
  });
}

function jwt(claims: object): string {
  return `h.${btoa(JSON.stringify(claims))}.s`;
}

describe("Parley", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.all = [];
  });
  afterEach(() => vi.useRealTimers());

  it("opens a session on the socket's protocol and says who it is", async () => {
    const parley = client();
    parley.connect();
    await settle();
    expect(FakeSocket.last.url).toBe("ws://localhost:1/v1/socket");
    expect(FakeSocket.last.protocol).toBe("parley.v1");
    FakeSocket.last.open();
    expect(FakeSocket.last.asked("session.open").params).toMatchObject({ device: "dev_a", resume: {} });
    expect(parley.user).toBe("ann");
    parley.close();
  });

  it("resumes after a drop from what it has seen, and drops what it is sent twice", async () => {
    const parley = client();
    const seqs: (number | undefined)[] = [];
    parley.on("message.created", (event) => seqs.push(event.seq));
    parley.connect();
    await settle();
    await FakeSocket.last.openSession([{ id: "conv_1", head: 4 }]);
    FakeSocket.last.event({ type: "message.created", conversation: "conv_1", seq: 5, time: "", data: {} });
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(10);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.open();
    expect(FakeSocket.last.asked("session.open").params).toMatchObject({ resume: { conv_1: 5 } });
    await FakeSocket.last.openSession([{ id: "conv_1", head: 6 }]);
    for (const seq of [5, 6]) {
      FakeSocket.last.event({ type: "message.created", conversation: "conv_1", seq, time: "", data: {} });
    }
    expect(seqs).toEqual([5, 6]);
    parley.close();
  });

  it("sends a message once more with the same client id when the line dropped", async () => {
    const parley = client();
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    const { client_id, sent } = parley.messages.send("conv_1", "hello");
    await settle();
    expect(FakeSocket.last.asked("messages.send").params).toMatchObject({ client_id, text: "hello" });
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(10);
    await FakeSocket.last.openSession();
    expect(FakeSocket.last.asked("messages.send").params).toMatchObject({ client_id });
    FakeSocket.last.answer("messages.send", { seq: 1 });
    await expect(sent).resolves.toEqual({ seq: 1 });
    expect(parley.unsent).toEqual([]);
    parley.close();
  });

  it("gives every write that moves money a key", async () => {
    const parley = client();
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    void parley.payments.hold("pay_1", 3);
    await settle();
    const { params } = FakeSocket.last.asked("payments.hold");
    expect(params).toMatchObject({ payment: "pay_1", version: 3 });
    expect(params?.idempotency_key).toMatch(/^key_[0-9a-z]{26}$/);
    parley.close();
  });

  it("answers heartbeats and takes a line on which nothing comes for dead", async () => {
    const parley = client();
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    await vi.advanceTimersByTimeAsync(30_000);
    FakeSocket.last.receive({ jsonrpc: "2.0", method: "heartbeat", params: { time: "", heads: {} } });
    expect(FakeSocket.last.asked("heartbeat")).toBeTruthy();
    await vi.advanceTimersByTimeAsync(37_000);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(FakeSocket.all).toHaveLength(2);
    parley.close();
  });

  it("notices a dead line sooner when a request stays without answer in silence", async () => {
    const parley = client();
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    const answer = parley.request("users.me", {});
    answer.catch(() => {});
    await vi.advanceTimersByTimeAsync(10_000);
    expect(FakeSocket.all).toHaveLength(2);
    await expect(answer).rejects.toMatchObject({ name: "ConnectionLost" });
    parley.close();
  });

  it("stops when another socket of the same device took over", async () => {
    const parley = client();
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    FakeSocket.last.drop(4009);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(parley.state).toEqual({ status: "stopped", reason: "replaced" });
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("fetches a new token when the old one expired", async () => {
    const token = vi.fn(async () => jwt({ sub: "ann" }));
    const parley = client({ token });
    parley.connect();
    await settle();
    FakeSocket.last.open();
    await settle();
    FakeSocket.last.drop(4002);
    await vi.advanceTimersByTimeAsync(10);
    expect(token).toHaveBeenCalledTimes(2);
    expect(FakeSocket.all).toHaveLength(2);
    parley.close();
  });

  it("refreshes the session on the open socket before the token expires", async () => {
    const token = vi.fn(async () => jwt({ sub: "ann", exp: Math.floor(Date.now() / 1_000) + 600 }));
    const parley = client({ token });
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    for (let i = 0; i < 27; i++) {
      await vi.advanceTimersByTimeAsync(20_000);
      FakeSocket.last.receive({ jsonrpc: "2.0", method: "heartbeat", params: {} });
    }
    expect(FakeSocket.last.asked("session.refresh").params).toHaveProperty("token");
    FakeSocket.last.answer("session.refresh", { expires: "" });
    await settle();
    expect(token).toHaveBeenCalledTimes(2);
    expect(FakeSocket.all).toHaveLength(1);
    parley.close();
  });

  it("reads batch frames and refusals", async () => {
    const parley = client();
    parley.connect();
    await settle();
    await FakeSocket.last.openSession();
    const typed: string[] = [];
    parley.on("typing", (event) => typed.push(event.data.user));
    const event = { type: "typing", conversation: "conv_1", time: "" };
    FakeSocket.last.receive([
      { jsonrpc: "2.0", method: "event", params: { ...event, data: { user: "bob", typing: true } } },
      { jsonrpc: "2.0", method: "event", params: { ...event, data: { user: "cat", typing: true } } },
    ]);
    expect(typed).toEqual(["bob", "cat"]);
    parley.messages.typing("conv_1", true);
    expect(FakeSocket.last.sent.at(-1)).toEqual({
      jsonrpc: "2.0",
      method: "typing.set",
      params: { conversation: "conv_1", typing: true },
    });
    const answer = parley.request("payments.get", { payment: "pay_x" });
    FakeSocket.last.refuse("payments.get", "payment_unknown", 404);
    await expect(answer).rejects.toMatchObject({ name: "ParleyError", code: "payment_unknown" });
    parley.close();
  });
});

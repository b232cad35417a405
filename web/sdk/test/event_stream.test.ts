import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Connection } from "../src/connection.ts";
import { FakeSocket } from "./fake_socket.ts";

type Message = { id?: number; method: string; params?: Record<string, unknown> };

/** A hub that knows streams only, as far as a client sees of it. */
class StreamHub {
  readonly server = createServer((req, res) => void this.#serve(req, res));
  readonly posts: { path: string; key: string | undefined; messages: Message[] }[] = [];
  stream: ServerResponse | undefined;
  streams = 0;
  url = "";

  async start(): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1/socket`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  down(message: unknown): void {
    this.stream?.write(`data: ${JSON.stringify(message)}\n\n`);
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method === "GET") {
      expect(req.url).toBe(`/v1/events?ticket=ses_${this.streams}.t`);
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write(`:${" ".repeat(2048)}\n\n`);
      this.stream = res;
      this.down({
        jsonrpc: "2.0",
        id: 1,
        result: {
          session: "ses",
          user: "ann",
          device: "dev_a",
          heartbeat_s: 25,
          server_time: "",
          conversations: [],
        },
      });
      return;
    }
    let body = "";
    for await (const part of req) body += part;
    const messages = [JSON.parse(body)].flat() as Message[];
    this.posts.push({ path: req.url ?? "", key: req.headers.authorization, messages });
    if (req.url === "/v1/events/open") {
      this.streams++;
      res.end(JSON.stringify({ session: "ses_1", ticket: `ses_${this.streams}.t`, key: "k" }));
      return;
    }
    res.writeHead(202).end();
    const answers = messages
      .filter((m) => m.id)
      .map(({ id, params }) => ({ jsonrpc: "2.0", id, result: params }));
    if (answers.length > 0) this.down(answers.length > 1 ? answers : answers[0]);
  }
}

describe("a network that blocks WebSocket", () => {
  let hub: StreamHub;
  let connection: Connection;
  let sockets = 0;
  beforeEach(async () => {
    hub = new StreamHub();
    await hub.start();
    sockets = 0;
    connection = new Connection({
      url: hub.url,
      token: "t",
      device: "dev_a",
      resume: () => ({ conv_1: 4 }),
      makeWebSocket: (url, protocol) => {
        sockets++;
        const socket = new FakeSocket(url, protocol);
        queueMicrotask(() => socket.drop(1006));
        return socket;
      },
      backoff: { baseMs: 1, random: () => 0 },
    });
  });
  afterEach(async () => {
    connection.close();
    await hub.stop();
  });

  function until<T>(check: () => T | undefined | false): Promise<T> {
    return expect
      .poll(check, { timeout: 5_000, interval: 5 })
      .toBeTruthy()
      .then(() => check() as T);
  }

  it("gets the same session over server-sent events after two that did not open", async () => {
    connection.connect();
    await until(() => connection.online);
    expect(sockets).toBe(2);
    const opening = hub.posts[0];
    expect(opening?.path).toBe("/v1/events/open");
    expect(opening?.messages[0]).toMatchObject({
      method: "session.open",
      params: { token: "t", resume: { conv_1: 4 } },
    });

    const answers = await Promise.all([1, 2, 3].map((n) => connection.request("echo", { n })));
    expect(answers).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(hub.posts.slice(1).every((p) => p.path === "/v1/events/ses_1" && p.key === "Bearer k")).toBe(true);
    expect(hub.posts.slice(1).flatMap((p) => p.messages.map((m) => m.params?.n))).toEqual([1, 2, 3]);

    hub.down({ jsonrpc: "2.0", method: "heartbeat", params: { time: "", heads: {} } });
    await until(() => hub.posts.at(-1)?.messages[0]?.method === "heartbeat");
  });

  it("puts events together however they are cut", async () => {
    const texts: unknown[] = [];
    connection.on("event", (event) => texts.push(event.data));
    connection.connect();
    await until(() => connection.online);
    const bytes = Buffer.from(
      `data: ${JSON.stringify({ method: "event", params: { type: "x", data: "Grüße 水" } })}\n\n`,
    );
    for (const byte of bytes) {
      hub.stream?.write(Buffer.of(byte));
      await new Promise((next) => setImmediate(next));
    }
    await until(() => texts.length > 0);
    expect(texts).toEqual(["Grüße 水"]);
  });

  it("does what a close says, and comes back on a stream", async () => {
    connection.connect();
    await until(() => connection.online);
    hub.stream?.write('event: close\ndata: {"code":4008,"reason":"slow consumer: resume"}\n\n');
    await until(() => hub.streams === 2 && connection.online);
    expect(sockets).toBe(2);
    hub.stream?.destroy();
    await until(() => hub.streams === 3 && connection.online);
    hub.stream?.end('event: close\ndata: {"code":4009,"reason":""}\n\n');
    await until(() => connection.state.status === "stopped");
    expect(connection.state).toEqual({ status: "stopped", reason: "replaced" });
  });
});

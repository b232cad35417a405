import type { WebSocketLike } from "../src/socket.ts";

type Message = { id?: number; method?: string; params?: Record<string, unknown> };

/** A socket whose other end is the test. */
export class FakeSocket implements WebSocketLike {
  static all: FakeSocket[] = [];
  readyState = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown } & never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: { code: number; reason: string } & never) => void) | null = null;
  sent: Message[] = [];

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    return FakeSocket.all[FakeSocket.all.length - 1] as FakeSocket;
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(code = 1000, reason = ""): void {
    this.drop(code, reason);
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.(undefined as never);
  }

  drop(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason } as never);
  }

  receive(body: unknown): void {
    this.onmessage?.({ data: JSON.stringify(body) } as never);
  }

  event(params: Record<string, unknown>): void {
    this.receive({ jsonrpc: "2.0", method: "event", params });
  }

  /** The last request of that method. */
  asked(method: string): Message {
    const found = this.sent.filter((m) => m.method === method).at(-1);
    if (!found) throw new Error(`no ${method} was sent, only ${this.sent.map((m) => m.method)}`);
    return found;
  }

  answer(method: string, result: unknown): void {
    this.receive({ jsonrpc: "2.0", id: this.asked(method).id, result });
  }

  refuse(method: string, code: string, status = 409): void {
    const data = { type: "about:blank", title: code, status, code };
    this.receive({ jsonrpc: "2.0", id: this.asked(method).id, error: { code: -32000, message: code, data } });
  }

  /** Opens the socket and the session on it. */
  async openSession(conversations: { id: string; head: number; gap?: boolean }[] = []): Promise<void> {
    this.open();
    this.answer("session.open", {
      session: "ses_1",
      user: "ann",
      device: "dev_a",
      heartbeat_s: 25,
      server_time: "2026-01-01T00:00:00Z",
      conversations,
    });
    await settle();
  }
}

/** Lets promises run without letting time pass. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

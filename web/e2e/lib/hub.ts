import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What `parley dev --json` prints when it is ready. */
export interface HubInfo {
  url: string;
  console_link: string;
  keys: { secret: string };
  users: { id: string; name: string; token: string; link: string }[];
  turn: string[];
  turn_spki: string;
}

const binary = process.env.HUB_BINARY ?? fileURLToPath(new URL("../../../bin/parley", import.meta.url));

/** The real binary, fresh and empty, on a free port. */
export class Hub {
  readonly info: HubInfo;
  readonly #process: ChildProcess;

  private constructor(info: HubInfo, child: ChildProcess) {
    this.info = info;
    this.#process = child;
  }

  static async start(...args: string[]): Promise<Hub> {
    const child = spawn(binary, ["dev", "--port", "0", "--ephemeral", "--json", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk) => {
      said = (said + chunk).slice(-4_000);
      if (process.env.HUB_LOG) process.stderr.write(chunk);
    });
    const line = await new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) =>
        reject(new Error(`${binary} ended with ${code} before it was ready: ${said}`)),
      );
      createInterface({ input: child.stdout }).once("line", resolve);
    });
    return new Hub(JSON.parse(line), child);
  }

  user(id: string): HubInfo["users"][number] {
    const user = this.info.users.find((u) => u.id === id);
    if (!user) throw new Error(`no demo user ${id}`);
    return user;
  }

  /** A REST request with the server key, on behalf of nobody. */
  async rest<T>(method: string, path: string, body?: unknown, token = this.info.keys.secret): Promise<T> {
    const answer = await fetch(this.info.url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": crypto.randomUUID(),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  /** The direct conversation of two demo users. */
  async conversation(a: string, b: string): Promise<string> {
    const made = await this.rest<{ id: string }>("POST", "/v1/conversations", {
      kind: "direct",
      members: [a, b],
    });
    return made.id;
  }

  /** Lets the hub fall silent with all its connections open, as a dead network would. */
  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.resume();
    this.#process.kill("SIGTERM");
    await ended;
  }
}

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { expect } from "vitest";
import type { Hub } from "./hub.ts";
import type { Voice } from "./voices.ts";

export const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
};
export const desktop: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };

const out = fileURLToPath(new URL("../out/", import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Which relay addresses a page may use; everything else is taken away from its connections. */
export type OnlyRelay = "udp" | "tcp" | "tls";

interface Options extends BrowserContextOptions {
  onlyRelay?: OnlyRelay;
}

/** A browser process whose microphone speaks with one voice. */
export async function launch(voice: Voice, hub: Hub): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
      "--allow-loopback-in-peer-connection",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-audio-capture=${voice.file}`,
      `--ignore-certificate-errors-spki-list=${hub.info.turn_spki}`,
    ],
  });
}

/** One user in one browser context: a device of theirs. */
export class Person {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly user: string;
  /** What the page complained about in its console. */
  readonly complaints: string[] = [];
  readonly #hub: Hub;

  private constructor(hub: Hub, user: string, context: BrowserContext, page: Page) {
    this.#hub = hub;
    this.user = user;
    this.context = context;
    this.page = page;
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    if (process.env.FRAMES) logFrames(page, user);
    page.on("pageerror", (error) => this.complaints.push(String(error)));
  }

  static async arrive(browser: Browser, hub: Hub, user: string, options: Options = phone): Promise<Person> {
    const { onlyRelay, ...rest } = options;
    const context = await browser.newContext(rest);
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    if (onlyRelay) await page.addInitScript(restrictIce, onlyRelay);
    await addAuthenticator(context, page);
    const person = new Person(hub, user, context, page);
    await page.goto(hub.user(user).link);
    await page.getByRole("navigation", { name: "Conversations" }).waitFor();
    await page.waitForFunction(() => globalThis.parley?.state.status === "online");
    return person;
  }

  /** Somebody who opens a page that is not the demo. */
  static async visit(
    browser: Browser,
    hub: Hub,
    url: string,
    options: BrowserContextOptions,
  ): Promise<Person> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(20_000);
    const person = new Person(hub, "visitor", context, await context.newPage());
    await person.page.goto(url);
    return person;
  }

  async leave(): Promise<void> {
    await this.context.close();
  }

  async openThread(title: string): Promise<void> {
    await this.page.getByRole("link", { name: new RegExp(title) }).click();
    await this.page.getByRole("heading", { level: 2, name: title }).waitFor();
  }

  button(name: string | RegExp) {
    return this.page.getByRole("button", { name });
  }

  /** The name of what has the focus, as it is read out. */
  focused(): Promise<string> {
    return this.page.evaluate(() => {
      const element = document.activeElement as HTMLElement | null;
      if (element === document.body) return "";
      const labels = (element as HTMLInputElement | null)?.labels;
      const label = labels?.[0]?.querySelector("span")?.textContent;
      return (element?.getAttribute("aria-label") ?? label ?? element?.textContent ?? "")
        .replace(/\s+/g, " ")
        .trim();
    });
  }

  /** Walks with the Tab key to what is called `name`, once round the page at most. */
  async focus(name: string | RegExp): Promise<void> {
    const met: string[] = [];
    const deadline = Date.now() + 10_000;
    while (Date.now() < deadline) {
      const here = await this.focused();
      if (typeof name === "string" ? here === name : name.test(here)) return;
      met.push(here);
      await this.page.keyboard.press("Tab");
    }
    throw new Error(`the Tab key did not come to ${name}, only to ${[...new Set(met)].join(" | ")}`);
  }

  /** Walks to a button or link and presses Enter. */
  async press(name: string | RegExp): Promise<void> {
    await this.focus(name);
    await this.page.keyboard.press("Enter");
  }

  call() {
    return this.page.locator(".call");
  }

  /** Waits until sound flows in the call on this device. */
  async talking(): Promise<void> {
    await this.page
      .locator('.call[data-phase="active"][data-route]:not([data-route=""])')
      .waitFor({ timeout: 20_000 });
  }

  async words(): Promise<string> {
    const words = this.page.getByTestId("words");
    await words.waitFor();
    return `${await words.textContent()} ${await this.page.getByTestId("digits").textContent()}`
      .replace(/\s+/g, " ")
      .trim();
  }

  /** What this device hears of `user`: loudness every 10 ms. */
  async hear(user: string, seconds: number): Promise<Float32Array> {
    const values = await this.page.evaluate(recordEnvelope, { user, seconds });
    return Float32Array.from(values);
  }

  /** The chosen path's ends, as getStats names them. */
  async path(): Promise<{ local: string; remote: string; relayProtocol?: string }> {
    return this.page.evaluate(chosenPath);
  }

  async screenshot(name: string): Promise<void> {
    mkdirSync(out, { recursive: true });
    await this.page.waitForTimeout(250);
    await this.page.screenshot({ path: `${out}${name}.png` });
  }

  /** Fails with axe's findings on what is on the screen now. */
  async accessible(screen: string): Promise<void> {
    // Evaluated, not added as a script: the page's own policy would refuse that, rightly.
    await this.page.evaluate(axeSource);
    const findings = await this.page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: AxeViolation[] }> } };
      const { violations } = await axe.run();
      return violations.map(
        (v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("\n  ")}`,
      );
    });
    expect(findings, `axe on ${screen}`).toEqual([]);
  }

  /** A REST request as this person. */
  rest<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#hub.rest<T>(method, path, body, this.#hub.user(this.user).token);
  }
}

/** With FRAMES=1: what goes over the sockets, for looking into a failure. */
function logFrames(page: Page, user: string): void {
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => console.log(`${user} > ${String(payload).slice(0, 600)}`));
    socket.on("framereceived", ({ payload }) => console.log(`${user} < ${String(payload).slice(0, 600)}`));
  });
}

interface AxeViolation {
  id: string;
  help: string;
  nodes: { target: string[]; failureSummary: string }[];
}

async function addAuthenticator(context: BrowserContext, page: Page): Promise<void> {
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
}

/** Runs in the page before its scripts: leaves only the relay's addresses of one kind. Also keeps the connections for the test. */
function restrictIce(kind: string): void {
  const wanted = (url: string) => {
    if (kind === "tls") return url.startsWith("turns:");
    return url.startsWith("turn:") && url.endsWith(`transport=${kind}`);
  };
  const narrow = (config: RTCConfiguration = {}) => ({
    ...config,
    iceServers: (config.iceServers ?? [])
      .map((server) => ({ ...server, urls: [server.urls].flat().filter(wanted) }))
      .filter((server) => server.urls.length > 0),
  });
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(config?: RTCConfiguration) {
      super(narrow(config));
    }
    override setConfiguration(config: RTCConfiguration): void {
      super.setConfiguration(narrow(config));
    }
  };
}

/** Runs in the page: the loudness of a voice every 10 ms. */
async function recordEnvelope({ user, seconds }: { user: string; seconds: number }): Promise<number[]> {
  const call = globalThis.parley?.calls.live[0];
  const deadline = Date.now() + 10_000;
  while (!call?.streams.get(user) && Date.now() < deadline) await new Promise((r) => setTimeout(r, 50));
  const stream = call?.streams.get(user);
  if (!stream) throw new Error(`no stream of ${user}`);
  const context = new AudioContext({ sampleRate: 16_000 });
  const code = `registerProcessor("tap", class extends AudioWorkletProcessor {
    process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
  });`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const tap = new AudioWorkletNode(context, "tap");
  const samples: number[] = [];
  tap.port.onmessage = ({ data }) => samples.push(...data);
  context.createMediaStreamSource(stream).connect(tap);
  const end = Date.now() + seconds * 1_000 + 5_000;
  while (samples.length < seconds * 16_000 && Date.now() < end) await new Promise((r) => setTimeout(r, 50));
  await context.close();
  const out: number[] = [];
  for (let i = 0; i + 160 <= samples.length; i += 160) {
    let sum = 0;
    for (let j = i; j < i + 160; j++) sum += (samples[j] ?? 0) ** 2;
    out.push(Math.sqrt(sum / 160));
  }
  return out;
}

/** Runs in the page: which candidates carry the call. */
async function chosenPath(): Promise<{ local: string; remote: string; relayProtocol?: string }> {
  const stats = await globalThis.parley?.calls.live[0]?.stats();
  const chosen = [...(stats?.values() ?? [])].find((s) => s.type === "transport")?.selectedCandidatePairId;
  const pair = stats?.get(chosen);
  const [local, remote] = [stats?.get(pair?.localCandidateId), stats?.get(pair?.remoteCandidateId)];
  return { local: local?.candidateType, remote: remote?.candidateType, relayProtocol: local?.relayProtocol };
}

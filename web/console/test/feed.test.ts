import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Feed } from "../src/feed.ts";

/** A page that may be hidden, as far as the feed knows one. */
class Page extends EventTarget {
  hidden = false;

  show(shown: boolean): void {
    this.hidden = !shown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

const overview = { counters: { delivered_total: 1 } };

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

describe("the feed", () => {
  let page: Page;
  let answers: (path: string) => Response;
  let asked: string[];
  let feed: Feed;

  beforeEach(() => {
    vi.useFakeTimers();
    page = new Page();
    asked = [];
    answers = (path) => json(path.includes("overview") ? overview : { items: [] });
    vi.stubGlobal("document", page);
    vi.stubGlobal("fetch", async (path: string) => {
      asked.push(path);
      return answers(path);
    });
    feed = new Feed("token", () => undefined);
  });

  afterEach(() => {
    feed.stop();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  const looks = () => asked.filter((path) => path === "/v1/operator/overview").length;

  it("looks every two seconds, and not at all while nobody sees it", async () => {
    feed.start();
    await vi.advanceTimersByTimeAsync(4_100);
    expect(looks()).toBe(3);
    expect(feed.state.status).toBe("live");
    page.show(false);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(looks()).toBe(3);
    page.show(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(looks()).toBe(4);
  });

  it("waits longer and longer while the node fails, and no longer than half a minute", async () => {
    answers = () => json({ title: "broken" }, 500);
    feed.start();
    await vi.advanceTimersByTimeAsync(10);
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      if (feed.state.status !== "waiting") throw new Error(`it is ${feed.state.status}`);
      waits.push(feed.state.retryAt - Date.now());
      await vi.advanceTimersByTimeAsync(waits.at(-1) ?? 0);
    }
    expect(waits[0]).toBeLessThanOrEqual(2_400);
    expect(waits[2]).toBeGreaterThan(waits[0] ?? 0);
    expect(waits[7]).toBeGreaterThan(20_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(36_000);
    answers = (path) => json(path.includes("overview") ? overview : { items: [] });
    await vi.advanceTimersByTimeAsync(40_000);
    expect(feed.state.status).toBe("live");
  });

  it("leaves the node alone for as long as it asks to be", async () => {
    answers = () => json({}, 503, { "retry-after": "60" });
    feed.start();
    await vi.advanceTimersByTimeAsync(59_000);
    expect(looks()).toBe(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(looks()).toBe(2);
  });

  it("stops for good when the token is refused", async () => {
    answers = () => json({}, 401);
    feed.start();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(looks()).toBe(1);
    expect(feed.state.status).toBe("refused");
  });

  it("does without what the node does not offer, and does not ask for it again", async () => {
    answers = (path) =>
      path.includes("overview") ? json(overview) : json({ title: "Unknown operation" }, 404);
    feed.start();
    await vi.advanceTimersByTimeAsync(10_100);
    expect(feed.look?.nodes).toBeUndefined();
    expect(looks()).toBe(6);
    expect(asked.filter((path) => path === "/v1/nodes").length).toBe(1);
  });

  it("stays paused when something was done", async () => {
    feed.start();
    await vi.advanceTimersByTimeAsync(1);
    feed.pause();
    feed.refresh();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks()).toBe(1);
  });
});

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HEALTH_MS, Health } from "../src/health.ts";
import type { LegState, MediaReport } from "../src/leg.ts";

let media: { state: LegState; alive: boolean; report(): Promise<MediaReport> };
let told: MediaReport[];
let health: Health;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  media = {
    state: "connected",
    alive: false,
    report: async () => ({ alive: media.alive }),
  };
  health = new Health(
    () => media,
    async (report) => told.push(report),
  );
});
afterEach(() => vi.useRealTimers());

async function pass(ms: number): Promise<void> {
  for (let t = 0; t < ms; t += HEALTH_MS) {
    await health.look();
    await vi.advanceTimersByTimeAsync(HEALTH_MS);
  }
}

it("tells every two seconds", async () => {
  media.alive = true;
  await pass(10_000);
  expect(told).toHaveLength(5);
});

it("tells at once that a voice began or fell silent", async () => {
  await pass(1_000);
  media.alive = true;
  await pass(500);
  media.alive = false;
  await pass(500);
  expect(told).toEqual([{ alive: false }, { alive: true }, { alive: false }]);
});

it("says nothing before the connection and after its end", async () => {
  media.state = "connecting";
  await pass(3_000);
  media.state = "closed";
  await pass(3_000);
  expect(told).toEqual([]);
});

it("goes on when a report does not get through", async () => {
  const tell = vi.fn(async () => {
    throw new Error("offline");
  });
  health = new Health(() => media, tell);
  await pass(4_000);
  expect(tell).toHaveBeenCalledTimes(2);
});

import { describe, expect, it } from "vitest";
import { Rates } from "../src/rates.ts";

describe("rates", () => {
  it("are what was added a second, over the last looks", () => {
    const rates = new Rates();
    expect(rates.perSecond("in_total")).toBeUndefined();
    for (const [at, n] of [
      [0, 100],
      [2_000, 120],
      [4_000, 180],
    ] as const)
      rates.add(at, { in_total: n, sockets: 3 });
    expect(rates.perSecond("in_total")).toBe(20);
    expect(rates.recent("in_total")).toEqual([10, 20]);
    expect(rates.recent("sockets")).toEqual([]);
  });

  it("forget what was long ago", () => {
    const rates = new Rates();
    for (let i = 0; i <= 20; i++) rates.add(i * 1_000, { in_total: i < 10 ? i * 1_000 : 10_000 });
    expect(rates.perSecond("in_total")).toBe(0);
    for (let i = 21; i < 200; i++) rates.add(i * 1_000, { in_total: 10_000 });
    expect(rates.recent("in_total").length).toBe(60);
  });

  it("begin anew when the node did", () => {
    const rates = new Rates();
    rates.add(0, { in_total: 500 });
    rates.add(1_000, { in_total: 600 });
    rates.add(2_000, { in_total: 5 });
    expect(rates.perSecond("in_total")).toBeUndefined();
    rates.add(3_000, { in_total: 8 });
    expect(rates.perSecond("in_total")).toBe(3);
  });
});

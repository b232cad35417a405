import { describe, expect, it } from "vitest";
import { afterClose, fullJitter } from "../src/backoff.ts";

const top = { random: () => 0.999999 };

describe("fullJitter", () => {
  it("doubles its ceiling up to the cap", () => {
    const ceilings = [0, 1, 2, 3, 10, 1_000].map((n) => fullJitter(n, top));
    expect(ceilings).toEqual([499, 999, 1_999, 3_999, 19_999, 19_999]);
  });

  it("may wait not at all", () => {
    expect(fullJitter(8, { random: () => 0 })).toBe(0);
  });
});

describe("afterClose", () => {
  it.each([
    [4001, false, { do: "stop", reason: "token_refused" }],
    [4001, true, { do: "retry", afterMs: 499, newToken: true }],
    [4002, false, { do: "stop", reason: "token_refused" }],
    [4002, true, { do: "retry", afterMs: 499, newToken: true }],
    [4003, true, { do: "stop", reason: "revoked" }],
    [4009, true, { do: "stop", reason: "replaced" }],
    [4008, true, { do: "retry", afterMs: 0, newToken: false }],
    [4029, true, { do: "retry", afterMs: 5_499, newToken: false }],
    [1006, true, { do: "retry", afterMs: 499, newToken: false }],
  ])("%i with a renewable token %s", (code, canRenew, next) => {
    expect(afterClose(code, "", 0, canRenew, top)).toEqual(next);
  });

  it("gives up on a token that is refused again and again", () => {
    expect(afterClose(4001, "", 2, true, top)).toEqual({ do: "stop", reason: "token_refused" });
  });

  it("waits at least as long as a draining node asks, and spreads out", () => {
    expect(afterClose(4010, "drain retry_ms=3000", 0, false, { random: () => 0 })).toMatchObject({
      afterMs: 3_000,
    });
    expect(afterClose(4010, "retry_ms=3000", 0, false, top)).toMatchObject({ afterMs: 5_999 });
  });

  it("resumes at once as a slow consumer, but not for ever", () => {
    expect(afterClose(4008, "", 3, false, top)).toMatchObject({ afterMs: 3_999 });
  });
});

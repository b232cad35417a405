import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fromBase64url, fromHex, toBase64url } from "../src/bytes.ts";
import { canonicalJSON, snapshotDigest } from "../src/payments.ts";
import type { PaymentSnapshot } from "../src/types.ts";
import { commitment, confirmChallenge, transcript, wordsOf } from "../src/words.ts";

// biome-ignore lint/suspicious/noExplicitAny: a file of strings whose fields the tests name
type Vector = any;

/** The vectors that the hub's own code is held to. */
const vectors: Record<"transcripts" | "snapshots" | "confirmations", Vector[]> = JSON.parse(
  readFileSync(new URL("../../../identity/testdata/vectors.json", import.meta.url), "utf8"),
);

describe("the hub's vectors", () => {
  it.each<Vector>(vectors.transcripts)("transcript $transcript", async (v) => {
    const nonceA = fromHex(v.caller_nonce);
    const fpA = fromHex(v.caller_fingerprint);
    expect(await commitment(nonceA, fpA)).toBe(v.commit);
    const parts = { call: v.call, userA: v.caller, userB: v.callee, fpA, nonceA };
    const full = { ...parts, fpB: fromHex(v.callee_fingerprint), nonceB: fromHex(v.callee_nonce) };
    expect(await transcript(full)).toBe(v.transcript);
    expect(await wordsOf(v.transcript)).toEqual({ words: v.words, digits: v.digits });
  });

  it.each<Vector>(vectors.snapshots)("snapshot $digest", async ({ canonical, digest, ...fields }) => {
    const snapshot = { v: 1, ...fields } as unknown as PaymentSnapshot;
    expect(canonicalJSON(snapshot)).toBe(canonical);
    expect(await snapshotDigest(snapshot)).toBe(digest);
  });

  it.each<Vector>(vectors.confirmations)("challenge $challenge", async (v) => {
    const challenge = await confirmChallenge(
      fromHex(v.digest),
      fromHex(v.transcript),
      fromBase64url(v.nonce),
    );
    expect(toBase64url(challenge)).toBe(v.challenge);
  });
});

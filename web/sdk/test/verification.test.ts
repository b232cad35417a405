import { createHash, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../src/bytes.ts";
import type { SignalKind } from "../src/types.ts";
import { Verification, type VerifiedKeys } from "../src/verification.ts";
import { commitment, sdpFingerprint, transcript, wordsOf } from "../src/words.ts";
import { WORDS_EN } from "../src/words_en.ts";

const bytes = (value: number) => new Uint8Array(32).fill(value);
const parts = {
  call: "call_1",
  userA: "ann",
  userB: "Zoë",
  fpA: bytes(1),
  fpB: bytes(2),
  nonceA: bytes(3),
  nonceB: bytes(4),
};

/** The same by another hand: node's own hashing. */
function transcriptByNode(): string {
  const lp = (text: string) => {
    const body = Buffer.from(text);
    return Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]);
  };
  const hash = createHash("sha256").update("parley/transcript/1");
  for (const text of [parts.call, parts.userA, parts.userB]) hash.update(lp(text));
  for (const part of [parts.fpA, parts.fpB, parts.nonceA, parts.nonceB]) hash.update(part);
  return hash.digest("hex");
}

describe("words", () => {
  it("are those of the product's one list", () => {
    const list = readFileSync(new URL("../../../identity/words_en.txt", import.meta.url), "utf8");
    expect([...WORDS_EN]).toEqual(list.trim().split("\n"));
    expect(new Set(WORDS_EN).size).toBe(256);
  });

  it("follow from the transcript as HKDF says", async () => {
    const hex = await transcript(parts);
    expect(hex).toBe(transcriptByNode());
    const [b0, b1, b2, b3] = new Uint8Array(
      hkdfSync("sha256", fromHex(hex), "", "words", 4),
    ) as unknown as number[];
    const digits = String((((b2 ?? 0) << 8) | (b3 ?? 0)) % 10_000).padStart(4, "0");
    expect(await wordsOf(hex)).toEqual({ words: [WORDS_EN[b0 ?? 0], WORDS_EN[b1 ?? 0]], digits });
  });

  it("change with every part", async () => {
    const base = await transcript(parts);
    const others = [
      { ...parts, call: "call_2" },
      { ...parts, userA: "anna" },
      { ...parts, userA: "an", userB: "nZoë" },
      { ...parts, fpA: bytes(9) },
      { ...parts, fpB: bytes(9) },
      { ...parts, nonceA: bytes(9) },
      { ...parts, nonceB: bytes(9) },
    ];
    const all = await Promise.all(others.map(transcript));
    expect(new Set([base, ...all]).size).toBe(8);
  });

  it("refuse keys of another length", async () => {
    await expect(transcript({ ...parts, fpA: new Uint8Array(20) })).rejects.toThrow(RangeError);
  });
});

describe("sdpFingerprint", () => {
  const line = `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => "AB").join(":")}`;

  it("reads the one fingerprint, in every section the same", () => {
    expect(toHex(sdpFingerprint(`v=0\r\n${line}\r\nm=audio\r\n${line}\r\n`))).toBe("ab".repeat(32));
  });

  it.each([
    ["none", "v=0\r\n"],
    ["two different", `v=0\r\n${line}\r\n${line.replace("AB", "CD")}\r\n`],
    ["a weaker one beside it", `v=0\r\n${line}\r\na=fingerprint:sha-1 AB:CD\r\n`],
    ["a short one", "v=0\r\na=fingerprint:sha-256 AB:CD\r\n"],
  ])("refuses %s", (_what, sdp) => {
    expect(() => sdpFingerprint(sdp)).toThrow();
  });
});

type Line = (kind: SignalKind, data: Record<string, string>) => Record<string, string>;

/** Runs both sides against each other; `line` may change what passes. */
async function run(line: Line = (_kind, data) => data, seen = { a: bytes(2), b: bytes(1) }) {
  const keys: { A?: VerifiedKeys; B?: VerifiedKeys } = {};
  const differs: string[] = [];
  const queue: [Verification, SignalKind, object][] = [];
  const side = (role: "A" | "B", own: Uint8Array, remote: Uint8Array, other: () => Verification) =>
    new Verification({
      role,
      call: "call_1",
      userA: "ann",
      userB: "bob",
      own: own as Uint8Array<ArrayBuffer>,
      remote: remote as Uint8Array<ArrayBuffer>,
      send: (kind, data) => queue.push([other(), kind, line(kind, { ...(data as Record<string, string>) })]),
      done: (found) => {
        keys[role] = found;
      },
      differ: (why) => differs.push(`${role}: ${why}`),
    });
  const a: Verification = side("A", bytes(1), seen.a, () => b);
  const b: Verification = side("B", bytes(2), seen.b, () => a);
  await a.begin();
  for (let next = queue.shift(); next; next = queue.shift()) await next[0].take(next[1], next[2]);
  return { keys, differs, a, b };
}

describe("Verification", () => {
  it("ends with the same transcript on both sides, another one each time", async () => {
    const first = await run();
    const second = await run();
    expect(first.keys.A?.transcript).toMatch(/^[0-9a-f]{64}$/);
    expect(first.keys.A).toEqual(first.keys.B);
    expect(first.differs).toEqual([]);
    expect(second.keys.A?.transcript).not.toBe(first.keys.A?.transcript);
  });

  it("notices a middleman who shows each side a certificate of its own", async () => {
    const { differs } = await run((_kind, data) => data, { a: bytes(8), b: bytes(9) });
    expect(differs).toEqual(["A: the other side names another certificate than the one on the line"]);
  });

  it("cannot be steered: a nonce chosen after seeing the other's breaks the commitment", async () => {
    const { differs, keys } = await run((kind, data) =>
      kind === "reveal" ? { ...data, nonce: "ff".repeat(32) } : data,
    );
    expect(differs).toEqual(["B: the reveal does not fit the commitment"]);
    expect(keys.B).toBeUndefined();
  });

  it("shows different words when the middleman replaces B's nonce", async () => {
    const { keys } = await run((kind, data) =>
      kind === "nonce" ? { ...data, nonce: "ff".repeat(32) } : data,
    );
    expect(keys.A?.transcript).not.toBe(keys.B?.transcript);
  });

  it("takes a second commitment for an attack", async () => {
    const { b, differs } = await run((kind, data) => (kind === "nonce" ? { nonce: "", fp: "" } : data));
    await b.take("commit", { commit: await commitment(bytes(7), bytes(1)) });
    expect(differs.at(-1)).toBe("B: a commitment out of turn");
  });

  it("refuses what is not 32 bytes of hex", async () => {
    const { differs } = await run((kind, data) => (kind === "commit" ? { commit: "zz" } : data));
    expect(differs).toEqual(["B: not hex"]);
  });
});

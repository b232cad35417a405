import { type Bytes, concat, equalBytes, fromHex, sha256, toHex, utf8 } from "./bytes.ts";
import { WORDS_EN } from "./words_en.ts";

/** What two people read to each other: two words and four digits. */
export interface Words {
  words: [string, string];
  digits: string;
}

/** All that goes into the transcript of a direct call; A called, B answered. */
export interface TranscriptParts {
  call: string;
  userA: string;
  userB: string;
  /** SHA-256 DTLS fingerprints, 32 bytes. */
  fpA: Uint8Array;
  fpB: Uint8Array;
  /** 32 random bytes of each side; A commits to its own before it sees B's. */
  nonceA: Uint8Array;
  nonceB: Uint8Array;
}

/** Hex SHA-256 over the call, its people, both certificates and both nonces. */
export async function transcript(parts: TranscriptParts): Promise<string> {
  const { call, userA, userB, fpA, fpB, nonceA, nonceB } = parts;
  for (const bytes of [fpA, fpB, nonceA, nonceB]) {
    if (bytes.length !== 32) throw new RangeError("fingerprints and nonces have 32 bytes");
  }
  const head = [
    utf8("parley/transcript/1"),
    lengthPrefixed(call),
    lengthPrefixed(userA),
    lengthPrefixed(userB),
  ];
  return toHex(await sha256(...head, fpA, fpB, nonceA, nonceB));
}

/** A's promise of its nonce and certificate, hex: sent before B's nonce is known. */
export async function commitment(nonceA: Uint8Array, fpA: Uint8Array): Promise<string> {
  return toHex(await sha256(utf8("parley/commit/1"), nonceA, fpA));
}

/** The words of a transcript (hex): HKDF-SHA256, no salt, info "words", 4 bytes. */
export async function wordsOf(transcriptHex: string): Promise<Words> {
  const key = await crypto.subtle.importKey("raw", fromHex(transcriptHex), "HKDF", false, ["deriveBits"]);
  const params = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8("words") };
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0] = new Uint8Array(await crypto.subtle.deriveBits(params, key, 32));
  return {
    words: [WORDS_EN[b0] as string, WORDS_EN[b1] as string],
    digits: String(((b2 << 8) | b3) % 10_000).padStart(4, "0"),
  };
}

/** What a passkey signs: the payment's digest, this call's transcript and the server's nonce, 32 bytes each. */
export function confirmChallenge(
  digest: Uint8Array,
  transcriptBytes: Uint8Array,
  nonce: Uint8Array,
): Promise<Bytes> {
  return sha256(utf8("parley/confirm/1"), digest, transcriptBytes, nonce);
}

/**
 * The one SHA-256 fingerprint of an SDP. Throws when there is none or when
 * sections disagree: DTLS is held to this one by the browser.
 */
export function sdpFingerprint(sdp: string): Bytes {
  const found = [...sdp.matchAll(/^a=fingerprint:sha-256 ([0-9a-f:]+)\s*$/gim)].map((m) =>
    fromHex(m[1] as string),
  );
  const others = /^a=fingerprint:(?!sha-256 )/im.test(sdp);
  const [first] = found;
  if (first?.length !== 32 || others || !found.every((fp) => equalBytes(fp, first))) {
    throw new Error("an SDP must carry exactly one sha-256 fingerprint");
  }
  return first;
}

function lengthPrefixed(text: string): Bytes {
  const bytes = utf8(text);
  return concat(new Uint8Array([bytes.length >> 8, bytes.length & 255]), bytes);
}

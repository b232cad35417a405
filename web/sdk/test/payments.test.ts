import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fromHex, toBase64url } from "../src/bytes.ts";
import { canonicalJSON, checkConfirmation, snapshotDigest } from "../src/payments.ts";
import type { ConfirmationOpened, Payment, PaymentSnapshot } from "../src/types.ts";
import { creationOptions, requestOptions } from "../src/webauthn.ts";

const payment = {
  id: "pay_1",
  version: 2,
  amount: 12_000,
  total: 12_000,
  currency: "EUR",
  payee: "seller",
  payee_name: "V. Seller",
} as Payment;

const snapshot: PaymentSnapshot = {
  v: 1,
  payment: "pay_1",
  version: 2,
  amount: 12_000,
  currency: "EUR",
  payee_id: "seller",
  payee_name_shown: "V. Seller",
  purpose: "Bike “Zoë”",
  expires: "2026-01-02T00:00:00Z",
};

async function opened(change: Partial<ConfirmationOpened> = {}): Promise<ConfirmationOpened> {
  const digest = await snapshotDigest(change.snapshot ?? snapshot);
  const transcript = "aa".repeat(32);
  const nonce = fromHex("bb".repeat(32));
  const hash = createHash("sha256").update("parley/confirm/1").update(fromHex(digest));
  const challenge = hash.update(fromHex(transcript)).update(nonce).digest("base64url");
  return {
    payment: "pay_1",
    version: 2,
    digest,
    snapshot,
    call: "call_1",
    transcript,
    nonce: toBase64url(nonce),
    challenge,
    method: "passkey_words",
    text: "",
    locale: "en",
    deadline: "",
    options: { publicKey: { challenge, allowCredentials: [] } },
    ...change,
  };
}

const direct = { id: "call_1", record: { media: "p2p" as const }, transcript: "aa".repeat(32) };

describe("canonicalJSON", () => {
  it("sorts keys and leaves text as it is", () => {
    const text = canonicalJSON({ b: 1, a: ["ü", null, true], c: { z: "\u20ac", y: "\n" } });
    expect(text).toBe('{"a":["ü",null,true],"b":1,"c":{"y":"\\n","z":"€"}}');
  });
});

describe("checkConfirmation", () => {
  it("accepts what the screen shows", async () => {
    await expect(checkConfirmation(await opened(), payment, direct)).resolves.toBeUndefined();
  });

  it.each([
    ["another amount", { amount: 13_000 }],
    ["a fee that is not asked for", { total: 12_150 }],
    ["another version", { version: 3 }],
    ["another payee", { payee: "mallory" }],
    ["another name of the payee", { payee_name: "V. Seiler" }],
  ])("refuses when the screen shows %s", async (_what, change) => {
    const check = checkConfirmation(await opened(), { ...payment, ...change }, direct);
    await expect(check).rejects.toMatchObject({ code: "payment_version_stale" });
  });

  it("holds a fee on top to what is shown", async () => {
    const shown = { ...payment, total: 12_150 };
    const asked = (change: object) =>
      opened({ snapshot: { ...snapshot, fee: 150, total: 12_150, ...change } });
    await expect(checkConfirmation(await asked({}), shown, direct)).resolves.toBeUndefined();
    for (const change of [{ fee: 200 }, { total: 12_200 }, { fee: 200, total: 12_200 }]) {
      const check = checkConfirmation(await asked(change), shown, direct);
      await expect(check).rejects.toMatchObject({ code: "payment_version_stale" });
    }
    const silent = checkConfirmation(await asked({}), payment, direct);
    await expect(silent).rejects.toMatchObject({ code: "payment_version_stale" });
  });

  it("refuses another call and another line", async () => {
    const ours = await opened();
    const lines = [
      { ...direct, id: "call_2" },
      { ...direct, transcript: "cc".repeat(32) },
      { ...direct, transcript: undefined },
    ];
    for (const line of lines) {
      const check = checkConfirmation(ours, payment, line);
      await expect(check).rejects.toMatchObject({ code: "transcript_mismatch" });
    }
  });

  it("never takes the way without words in a direct call, and no other through the hub", async () => {
    const weak = await opened({ method: "passkey_sfu_not_e2e" });
    await expect(checkConfirmation(weak, payment, direct)).rejects.toMatchObject({
      code: "transcript_mismatch",
    });
    const hub = { id: "call_1", record: { media: "sfu" as const } };
    await expect(checkConfirmation(weak, payment, hub)).resolves.toBeUndefined();
    await expect(checkConfirmation(await opened(), payment, hub)).rejects.toMatchObject({
      code: "transcript_mismatch",
    });
  });

  it("refuses to sign anything but the challenge that follows from it", async () => {
    const other = toBase64url(fromHex("dd".repeat(32)));
    const wrong = [{ challenge: other }, { options: { challenge: other } }, { digest: "dd".repeat(32) }];
    for (const change of wrong) {
      const check = checkConfirmation(await opened(change), payment, direct);
      await expect(check).rejects.toMatchObject({ code: "challenge_mismatch" });
    }
  });
});

describe("WebAuthn options", () => {
  it("turn base64url into bytes, bare or wrapped", () => {
    const creation = {
      challenge: "AQID",
      user: { id: "BAU", name: "ann", displayName: "Ann" },
      rp: { name: "P" },
    };
    const excluded = { ...creation, excludeCredentials: [{ type: "public-key", id: "Bg" }] };
    for (const json of [excluded, { publicKey: excluded }]) {
      const options = creationOptions(json);
      expect(options.challenge).toEqual(new Uint8Array([1, 2, 3]));
      expect(options.user.id).toEqual(new Uint8Array([4, 5]));
      expect(options.excludeCredentials?.[0]?.id).toEqual(new Uint8Array([6]));
    }
    expect(requestOptions({ publicKey: { challenge: "_-8" } }).challenge).toEqual(new Uint8Array([255, 239]));
  });
});

import { equalBytes, fromBase64url, fromHex, sha256, toHex, utf8 } from "./bytes.ts";
import type { Call } from "./call.ts";
import type { Door, MoneyMethod, Params, Result } from "./door.ts";
import { localProblem, ParleyError } from "./errors.ts";
import type {
  Balance,
  ConfirmationOpened,
  Page,
  Passkey,
  Payment,
  PaymentSheet,
  PaymentSnapshot,
} from "./types.ts";
import { creationOptions, credentialJSON, requestOptions } from "./webauthn.ts";
import { confirmChallenge } from "./words.ts";

export interface NewPayment {
  payer?: string;
  payee?: string;
  /** Minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
  conversation?: string;
  order?: string;
  memo?: string;
  /** Seconds. */
  expires_in?: number;
}

/** Why a request is declined: a code, so that a no carries no text between strangers. */
export type DeclineReason = NonNullable<Payment["decline_reason"]>;

/** What a hold can bring along. */
export interface HoldOptions {
  /** Answers to what the sheet or the refusal asked; `decision` is its `id`. */
  acknowledge?: { decision: string; answers?: Record<string, string> };
  /** Pressure that the device notices: screen_sharing, remote_control, external_call, payee_led. */
  signals?: string[];
  /** Where the money comes from; `rail` names a payment method outside in `account`. */
  source?: "balance" | "rail";
  account?: string;
}

/** Requests, holds, captures and refunds. Every write carries a key made before it is first sent. */
export class Payments {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Asks to be paid (name the payer), or offers to pay (name the payee). */
  create(payment: NewPayment): Promise<Payment> {
    return this.#door.money("payments.create", { ...payment }, payment.conversation ?? "payments");
  }

  get(payment: string): Promise<Payment> {
    return this.#door.request("payments.get", { payment });
  }

  list(filter: Params<"payments.list"> = {}): Promise<Page<Payment>> {
    return this.#door.request("payments.list", filter);
  }

  /** Who gets the money, what the policy asks for, and what can be done now. */
  sheet(payment: string): Promise<PaymentSheet> {
    return this.#door.request("payments.sheet", { payment });
  }

  async balances(): Promise<Balance[]> {
    return (await this.#door.request("balances.get", {})).items;
  }

  /**
   * Sets the money aside. It only moves the payer's own money and undoes itself
   * at the hold's end. A refusal that `safetyStop` knows says what to answer, or
   * how long to wait, before the same is tried again.
   */
  hold(payment: string, version: number, more: HoldOptions = {}): Promise<Payment> {
    return this.#write("payments.hold", payment, { version, ...more });
  }

  edit(payment: string, version: number, change: { amount?: number; memo?: string }): Promise<Payment> {
    return this.#write("payments.edit", payment, { version, ...change });
  }

  /** Pays what is on hold, or a part. The rest goes back unless `final` is false. */
  capture(payment: string, amount?: number, final?: boolean): Promise<Payment> {
    const part = amount === undefined ? {} : { amount };
    return this.#write("payments.capture", payment, final === undefined ? part : { ...part, final });
  }

  /** Lets the hold last longer: seconds from now. */
  extend(payment: string, expires_in: number): Promise<Payment> {
    return this.#write("payments.extend", payment, { expires_in });
  }

  /** The payee gives a part of the hold back: `amount` can still be captured afterwards. */
  reduce(payment: string, amount: number): Promise<Payment> {
    return this.#write("payments.reduce", payment, { amount });
  }

  void(payment: string): Promise<Payment> {
    return this.#write("payments.void", payment, {});
  }

  decline(payment: string, reason?: DeclineReason): Promise<Payment> {
    return this.#write("payments.decline", payment, reason ? { reason } : {});
  }

  cancel(payment: string): Promise<Payment> {
    return this.#write("payments.cancel", payment, {});
  }

  refund(payment: string, amount?: number): Promise<Payment> {
    return this.#write("payments.refund", payment, amount === undefined ? {} : { amount });
  }

  report(payment: string): Promise<Payment> {
    return this.#write("payments.report", payment, {});
  }

  /** The payee's answer to a dispute, once and before `dispute.answer_by`. */
  answer(payment: string, text: string): Promise<Payment> {
    return this.#write("payments.answer", payment, { text });
  }

  evidence(payment: string): Promise<unknown> {
    return this.#door.request("evidence.get", { payment });
  }

  #write<M extends PaymentMethod>(
    method: M,
    payment: string,
    more: Omit<Params<M>, "payment" | "idempotency_key">,
  ): Promise<Result<M>> {
    const params = { payment, ...more } as unknown as Omit<Params<M>, "idempotency_key">;
    return this.#door.money(method, params, payment);
  }
}

/** Writes to one payment. */
type PaymentMethod = Extract<MoneyMethod, `payments.${string}`>;

/** Passkeys of this person, and what they are for: confirming a payment in a call. */
export class Passkeys {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  async list(): Promise<Passkey[]> {
    return (await this.#door.request("passkeys.list", {})).items;
  }

  /** Makes a passkey on this device. The browser asks the person; a refusal throws its DOMException. */
  async register(): Promise<Passkey> {
    const begun = await this.#door.request("passkeys.register_begin", {});
    const publicKey = creationOptions(begun.options);
    const credential = await navigator.credentials.create({ publicKey });
    return this.#door.request("passkeys.register_finish", {
      session: begun.session,
      credential: credentialJSON(credential as PublicKeyCredential),
    });
  }

  async remove(passkey: string): Promise<void> {
    await this.#door.request("passkeys.remove", { passkey });
  }

  /**
   * Confirms a payment live, in a call whose words both people have compared.
   * Before the passkey signs, everything the server says is recomputed here:
   * the digest from the snapshot, the challenge from the digest, this call's
   * own transcript and the nonce. What is signed is what the screen shows.
   * `screen` is what it says in words, kept as evidence.
   */
  async confirm(
    payment: Payment,
    call: Call,
    screen: { text?: string; locale?: string } = {},
  ): Promise<Payment> {
    const opened = (await this.#door.request("confirmations.open", {
      payment: payment.id,
      version: payment.version,
    })) as ConfirmationOpened;
    await checkConfirmation(opened, payment, call);
    const publicKey = requestOptions(opened.options);
    const assertion = await navigator.credentials.get({ publicKey });
    return this.#submit(payment.id, {
      payment: payment.id,
      version: opened.version,
      transcript: opened.transcript,
      // Through the hub there are no words that could match.
      sas: opened.method === "passkey_words" ? "match" : "none",
      nonce: opened.nonce,
      assertion: credentialJSON(assertion as PublicKeyCredential),
      ...screen,
    });
  }

  /** A side that cannot be heard just now mostly can a moment later, with the same assertion. */
  async #submit(
    payment: string,
    params: Omit<Params<"confirmations.submit">, "idempotency_key">,
  ): Promise<Payment> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#door.money("confirmations.submit", params, payment);
      } catch (error) {
        const unheard = error instanceof ParleyError && error.code === "media_not_alive";
        if (!unheard || tries === HEARD_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, (error.problem.retry_after ?? 1) * 1_000));
      }
    }
  }
}

const HEARD_TRIES = 5;

/** The line that a confirmation is made on. */
export interface ConfirmationLine {
  id: string;
  record: { media: "p2p" | "sfu" };
  /** What this device computed from the keys of the call; absent through the hub. */
  transcript?: string | undefined;
}

/** Throws unless the server asks for exactly what this screen shows, on exactly this line. */
export async function checkConfirmation(
  opened: ConfirmationOpened,
  shown: Payment,
  line: ConfirmationLine,
): Promise<void> {
  const { snapshot } = opened;
  const same =
    snapshot.payment === shown.id &&
    snapshot.version === shown.version &&
    snapshot.amount === shown.amount &&
    // A fee on top is left out where there is none.
    (snapshot.fee ?? 0) === shown.total - shown.amount &&
    (snapshot.total ?? snapshot.amount) === shown.total &&
    snapshot.currency === shown.currency &&
    snapshot.payee_id === shown.payee &&
    snapshot.payee_name_shown === shown.payee_name;
  if (!same) throw localProblem("payment_version_stale", "The payment has changed since it was shown.");
  const direct = line.record.media === "p2p";
  const sameLine = direct
    ? opened.method === "passkey_words" && opened.transcript === line.transcript
    : opened.method === "passkey_sfu_not_e2e";
  if (opened.call !== line.id || !sameLine) {
    throw localProblem("transcript_mismatch", "The confirmation belongs to another line than this call.");
  }
  const digest = await snapshotDigest(snapshot);
  const nonce = /^[0-9a-f]{64}$/.test(opened.nonce) ? fromHex(opened.nonce) : fromBase64url(opened.nonce);
  const challenge = await confirmChallenge(fromHex(digest), fromHex(opened.transcript), nonce);
  const asked = requestOptions(opened.options).challenge as BufferSource & Uint8Array;
  const sound = digest === opened.digest && equalBytes(challenge, fromBase64url(opened.challenge));
  if (!sound || !equalBytes(challenge, asked)) {
    throw localProblem("challenge_mismatch", "The server asks to sign something else than what is shown.");
  }
}

/** Hex SHA-256 of the snapshot's canonical JSON (RFC 8785). */
export async function snapshotDigest(snapshot: PaymentSnapshot): Promise<string> {
  return toHex(await sha256(utf8(canonicalJSON(snapshot))));
}

/** RFC 8785 for what snapshots hold: objects, arrays, strings, integers, booleans and null. */
export function canonicalJSON(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJSON).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJSON(v)}`).join(",")}}`;
}

import { equalBytes, fromBase64url, fromHex, sha256, toHex, utf8 } from "./bytes.ts";
import type { Call } from "./call.ts";
import { localProblem, ParleyError } from "./errors.ts";
import type {
  Balance,
  ConfirmationOpened,
  List,
  Passkey,
  Payment,
  PaymentSheet,
  PaymentSnapshot,
} from "./types.ts";
import { creationOptions, credentialJSON, requestOptions } from "./webauthn.ts";
import { confirmChallenge } from "./words.ts";

/** What the features need of the client around them. */
export interface Door {
  request<T>(method: string, params: object): Promise<T>;
  /** A write with an idempotency key that is sent until answered; `lane` orders writes to one thing. */
  money<T>(method: string, params: Record<string, unknown>, lane: string): Promise<T>;
}

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

  list(
    filter: { conversation?: string; state?: string; cursor?: string; limit?: number } = {},
  ): Promise<List<Payment>> {
    return this.#door.request("payments.list", filter);
  }

  /** Who gets the money, what the policy asks for, and what can be done now. */
  sheet(payment: string): Promise<PaymentSheet> {
    return this.#door.request("payments.sheet", { payment });
  }

  async balances(): Promise<Balance[]> {
    return (await this.#door.request<List<Balance>>("balances.get", {})).items;
  }

  /** Sets the money aside. It only moves the payer's own money and undoes itself at the hold's end. */
  hold(payment: string, version: number): Promise<Payment> {
    return this.#write("payments.hold", payment, { version });
  }

  edit(payment: string, version: number, change: { amount?: number; memo?: string }): Promise<Payment> {
    return this.#write("payments.edit", payment, { version, ...change });
  }

  capture(payment: string, amount?: number): Promise<Payment> {
    return this.#write("payments.capture", payment, amount === undefined ? {} : { amount });
  }

  void(payment: string): Promise<Payment> {
    return this.#write("payments.void", payment);
  }

  decline(payment: string): Promise<Payment> {
    return this.#write("payments.decline", payment);
  }

  cancel(payment: string): Promise<Payment> {
    return this.#write("payments.cancel", payment);
  }

  refund(payment: string, amount?: number): Promise<Payment> {
    return this.#write("payments.refund", payment, amount === undefined ? {} : { amount });
  }

  report(payment: string): Promise<Payment> {
    return this.#write("payments.report", payment);
  }

  evidence(payment: string): Promise<unknown> {
    return this.#door.request("evidence.get", { payment });
  }

  #write(method: string, payment: string, more: Record<string, unknown> = {}): Promise<Payment> {
    return this.#door.money(method, { payment, ...more }, payment);
  }
}

/** Passkeys of this person, and what they are for: confirming a payment in a call. */
export class Passkeys {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  async list(): Promise<Passkey[]> {
    return (await this.#door.request<List<Passkey>>("passkeys.list", {})).items;
  }

  /** Makes a passkey on this device. The browser asks the person; a refusal throws its DOMException. */
  async register(): Promise<Passkey> {
    const begun = await this.#door.request<{ options: unknown; session: string }>(
      "passkeys.register_begin",
      {},
    );
    const publicKey = creationOptions(begun.options);
    const credential = await navigator.credentials.create({ publicKey });
    return this.#door.request("passkeys.register_finish", {
      session: begun.session,
      credential: credentialJSON(credential as PublicKeyCredential),
    });
  }

  remove(passkey: string): Promise<void> {
    return this.#door.request("passkeys.remove", { passkey });
  }

  /**
   * Confirms a payment live, in a call whose words both people have compared.
   * Before the passkey signs, everything the server says is recomputed here:
   * the digest from the snapshot, the challenge from the digest, this call's
   * own transcript and the nonce. What is signed is what the screen shows.
   */
  async confirm(payment: Payment, call: Call): Promise<Payment> {
    const opened = await this.#door.request<ConfirmationOpened>("confirmations.open", {
      payment: payment.id,
      version: payment.version,
    });
    await checkConfirmation(opened, payment, call.id, call.transcript);
    const publicKey = requestOptions(opened.options);
    const assertion = await navigator.credentials.get({ publicKey });
    return this.#submit(payment.id, {
      payment: payment.id,
      version: opened.version,
      transcript: opened.transcript,
      sas: "match",
      nonce: opened.nonce,
      assertion: credentialJSON(assertion as PublicKeyCredential),
    });
  }

  /** A side that cannot be heard just now mostly can a moment later, with the same assertion. */
  async #submit(payment: string, params: Record<string, unknown>): Promise<Payment> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#door.money<Payment>("confirmations.submit", params, payment);
      } catch (error) {
        const unheard = error instanceof ParleyError && error.code === "media_not_alive";
        if (!unheard || tries === HEARD_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, (error.problem.retry_after ?? 1) * 1_000));
      }
    }
  }
}

const HEARD_TRIES = 5;

/** Throws unless the server asks for exactly what this screen shows, on exactly this line. */
export async function checkConfirmation(
  opened: ConfirmationOpened,
  shown: Payment,
  call: string,
  transcript: string | undefined,
): Promise<void> {
  const { snapshot } = opened;
  const same =
    snapshot.payment === shown.id &&
    snapshot.version === shown.version &&
    snapshot.amount === shown.amount &&
    snapshot.currency === shown.currency &&
    snapshot.payee_id === shown.payee &&
    snapshot.payee_name_shown === shown.payee_name;
  if (!same) throw localProblem("payment_version_stale", "The payment has changed since it was shown.");
  if (opened.call !== call || !transcript || opened.transcript !== transcript) {
    throw localProblem("transcript_mismatch", "The confirmation belongs to another line than this call.");
  }
  const digest = await snapshotDigest(snapshot);
  const nonce = /^[0-9a-f]{64}$/.test(opened.nonce) ? fromHex(opened.nonce) : fromBase64url(opened.nonce);
  const challenge = await confirmChallenge(fromHex(digest), fromHex(transcript), nonce);
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

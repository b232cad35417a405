import { type Bytes, equalBytes, fromHex, randomBytes, toHex } from "./bytes.ts";
import type { SignalKind } from "./types.ts";
import { commitment, transcript } from "./words.ts";

/** What a device keeps of a finished run, so that a reload in the call keeps the words. */
export interface VerifiedKeys {
  fpA: string;
  fpB: string;
  nonceA: string;
  nonceB: string;
  transcript: string;
}

export interface VerificationOptions {
  /** "A" called, "B" answered. */
  role: "A" | "B";
  call: string;
  userA: string;
  userB: string;
  /** The fingerprint of this device's certificate. */
  own: Bytes;
  /** The fingerprint in the other's SDP, to which the browser holds the DTLS handshake. */
  remote: Bytes;
  send: (kind: SignalKind, data: object) => void;
  done: (keys: VerifiedKeys) => void;
  /** Somebody on the way lied: end the call. */
  differ: (why: string) => void;
}

/**
 * One run of commit and reveal over a direct call. A commits to its nonce, B
 * shows its own, A reveals: so nobody in between can search for a certificate
 * that gives both ends the same words.
 */
export class Verification {
  readonly #options: VerificationOptions;
  readonly #nonce = randomBytes(32);
  #commit: string | undefined;
  #over = false;

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  get own(): Bytes {
    return this.#options.own;
  }

  get remote(): Bytes {
    return this.#options.remote;
  }

  /** A begins; B waits for the commitment. */
  async begin(): Promise<void> {
    if (this.#options.role !== "A") return;
    this.#options.send("commit", { commit: await commitment(this.#nonce, this.#options.own) });
  }

  /** Takes a signal of the other side; anything out of turn counts as a difference. */
  async take(kind: SignalKind, data: unknown): Promise<void> {
    if (this.#over) return;
    try {
      if (kind === "commit") this.#takeCommit(data);
      else if (kind === "nonce") await this.#takeNonce(data);
      else if (kind === "reveal") await this.#takeReveal(data);
    } catch (error) {
      this.#over = true;
      this.#options.differ(error instanceof Error ? error.message : String(error));
    }
  }

  #takeCommit(data: unknown): void {
    if (this.#options.role !== "B" || this.#commit) throw new Error("a commitment out of turn");
    this.#commit = toHex(field(data, "commit"));
    this.#options.send("nonce", { nonce: toHex(this.#nonce), fp: toHex(this.#options.own) });
  }

  async #takeNonce(data: unknown): Promise<void> {
    if (this.#options.role !== "A") throw new Error("a nonce out of turn");
    this.#over = true;
    this.#checkRemote(field(data, "fp"));
    this.#options.send("reveal", { nonce: toHex(this.#nonce), fp: toHex(this.#options.own) });
    await this.#finish(this.#nonce, field(data, "nonce"));
  }

  async #takeReveal(data: unknown): Promise<void> {
    if (this.#options.role !== "B" || !this.#commit) throw new Error("a reveal without a commitment");
    this.#over = true;
    const [nonce, fp] = [field(data, "nonce"), field(data, "fp")];
    if ((await commitment(nonce, fp)) !== this.#commit)
      throw new Error("the reveal does not fit the commitment");
    this.#checkRemote(fp);
    await this.#finish(nonce, this.#nonce);
  }

  #checkRemote(claimed: Bytes): void {
    if (!equalBytes(claimed, this.#options.remote)) {
      throw new Error("the other side names another certificate than the one on the line");
    }
  }

  async #finish(nonceA: Bytes, nonceB: Bytes): Promise<void> {
    const { role, call, userA, userB, own, remote, done } = this.#options;
    const [fpA, fpB] = role === "A" ? [own, remote] : [remote, own];
    const result = await transcript({ call, userA, userB, fpA, fpB, nonceA, nonceB });
    done({
      fpA: toHex(fpA),
      fpB: toHex(fpB),
      nonceA: toHex(nonceA),
      nonceB: toHex(nonceB),
      transcript: result,
    });
  }
}

function field(data: unknown, name: string): Bytes {
  const value = (data as Record<string, unknown> | null)?.[name];
  const bytes = typeof value === "string" ? fromHex(value) : undefined;
  if (bytes?.length !== 32) throw new Error(`${name} must be 32 bytes in hex`);
  return bytes;
}

import type { Door } from "./door.ts";
import { ParleyError } from "./errors.ts";
import type { Approval, Block, Page, Policy, SafetyStatus, Trusted } from "./types.ts";

/** Why the hub does not let money go on, and what would help. */
export type StopReason = "denied" | "limit" | "acknowledge" | "pause" | "approval" | "cooling_off";

export interface SafetyStop {
  reason: StopReason;
  /** What is asked, in the form of a payment sheet's `policy`; absent from what a payee hears. */
  policy?: Policy;
  /** When trying again is worth it, by the server's clock; absent when waiting does not help. */
  until?: string;
}

/** What a refusal of `payments.hold`, `payments.capture` or a confirmation says; undefined for any other error. */
export function safetyStop(error: unknown): SafetyStop | undefined {
  if (!(error instanceof ParleyError)) return undefined;
  const reason = /^safety_(denied|limit|acknowledge|pause|approval|cooling_off)$/.exec(error.code)?.[1];
  if (!reason) return undefined;
  const { details, until } = error.problem;
  return {
    reason: reason as StopReason,
    ...(details ? { policy: details as Policy } : {}),
    ...(until ? { until } : {}),
  };
}

/** The questions before a payment, the person who approves payments, and who is kept away. */
export class Safety {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Answers what is asked about money that is on hold already; before that, send the answers with the hold. */
  acknowledge(
    payment: string,
    version: number,
    decision: string,
    answers: Record<string, string> = {},
  ): Promise<SafetyStatus> {
    return this.#door.request("safety.acknowledge", { payment, version, decision, answers });
  }

  /** The trusted person's yes to this version of somebody's payment. */
  approve(payment: string, version: number): Promise<Approval> {
    return this.#door.request("safety.approve", { payment, version });
  }

  /** The trusted person's no, for good. */
  refuse(payment: string, version: number): Promise<Approval> {
    return this.#door.request("safety.refuse", { payment, version });
  }

  /** Who approves this person's payments; `next` and `next_at` tell of a change that waits. */
  trusted(): Promise<Trusted> {
    return this.#door.request("trusted.get", {});
  }

  /** The first one holds at once, another one after the cooling-off. */
  setTrusted(trusted: string): Promise<Trusted> {
    return this.#door.request("trusted.set", { trusted });
  }

  removeTrusted(): Promise<Trusted> {
    return this.#door.request("trusted.remove", {});
  }

  /** Keeps a person from asking, ringing and writing first. They are not told. */
  block(user: string): Promise<Block> {
    return this.#door.request("users.block", { user });
  }

  async unblock(user: string): Promise<void> {
    await this.#door.request("users.unblock", { user });
  }

  blocks(page: { cursor?: string; limit?: number } = {}): Promise<Page<Block>> {
    return this.#door.request("users.blocks", page);
  }
}

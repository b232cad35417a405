import type { Door, Params } from "./door.ts";
import type { GroupRequest, Page, Payment } from "./types.ts";

/** Asking several people at once: one payment for each, added up. */
export class Requests {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /**
   * Asks 2 to 50 people, all or none. Every payer has an amount, or `split:
   * "equal"` divides `amount`. Amounts are minor units.
   */
  create(request: Omit<Params<"requests.create">, "idempotency_key">): Promise<GroupRequest> {
    return this.#door.money("requests.create", request, request.conversation ?? "requests");
  }

  /** The payee sees all shares and what is collected; a payer the own share. */
  get(request: string): Promise<GroupRequest> {
    return this.#door.request("requests.get", { request });
  }

  /** Those this person made or is asked by, newest first. */
  list(page: Params<"requests.list"> = {}): Promise<Page<GroupRequest>> {
    return this.#door.request("requests.list", page);
  }

  /** Withdraws what is not paid yet; paid shares stay. */
  cancel(request: string): Promise<GroupRequest> {
    return this.#door.money("requests.cancel", { request }, request);
  }

  /** Reminds the payer of one request or share, once a day. */
  remind(payment: string): Promise<Payment> {
    return this.#door.money("payments.remind", { payment }, payment);
  }
}

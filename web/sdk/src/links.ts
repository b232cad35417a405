import type { Door, Params } from "./door.ts";
import type { Page, Payment, PaymentLink } from "./types.ts";

/** Payment links: whoever opens one can pay, without being asked first. */
export class Links {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Without `amount` the payer says how much; `uses: 0` takes any number of payments. Minor units, seconds. */
  create(link: Omit<Params<"links.create">, "idempotency_key">): Promise<PaymentLink> {
    return this.#door.money("links.create", link, "links");
  }

  /** What it asks for; only its owner sees how often it was used. */
  get(link: string): Promise<PaymentLink> {
    return this.#door.request("links.get", { link });
  }

  /** This person's own, newest first. */
  list(page: Params<"links.list"> = {}): Promise<Page<PaymentLink>> {
    return this.#door.request("links.list", page);
  }

  /** Makes the payment, in the state `requested`; `amount` only where the link leaves it open. */
  pay(link: string, amount?: number): Promise<Payment> {
    return this.#door.money("links.pay", { link, ...(amount === undefined ? {} : { amount }) }, link);
  }

  /** Takes no further payment; those made through it go on. */
  cancel(link: string): Promise<PaymentLink> {
    return this.#door.money("links.cancel", { link }, link);
  }
}

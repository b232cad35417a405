import type { Door, Params } from "./door.ts";
import type { Conversion, ExchangeRate, NameCheck, Page, Transfer } from "./types.ts";

/** Money that leaves to an account outside. Each change comes as `payout.updated`. */
export class Payouts {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Takes the amount from the balance at once; what is refused or returned comes back. Minor units. */
  create(payout: Omit<Params<"payouts.create">, "idempotency_key" | "user">): Promise<Transfer> {
    return this.#door.money("payouts.create", payout, "payouts");
  }

  /** Whether an account belongs to a name; a close match tells the registered one. */
  check(destination: string, holder: string): Promise<NameCheck> {
    return this.#door.request("payouts.check", { destination, holder });
  }

  get(payout: string): Promise<Transfer> {
    return this.#door.request("payouts.get", { payout });
  }

  list(page: Params<"payouts.list"> = {}): Promise<Page<Transfer>> {
    return this.#door.request("payouts.list", page);
  }
}

/** Money that came in from outside. Your backend starts it; each change comes as `topup.updated`. */
export class TopUps {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  get(topup: string): Promise<Transfer> {
    return this.#door.request("topups.get", { topup });
  }

  list(page: Params<"topups.list"> = {}): Promise<Page<Transfer>> {
    return this.#door.request("topups.list", page);
  }
}

/** Changing one's money into another currency: first a quote, then the acceptance. */
export class Conversions {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Give `source` or `target`, in minor units. Nothing moves; the quote is good until `expires_at`. */
  quote(wanted: Omit<Params<"conversions.quote">, "idempotency_key" | "user">): Promise<Conversion> {
    return this.#door.money("conversions.quote", wanted, "conversions");
  }

  /** Converts as quoted, once. */
  accept(conversion: string): Promise<Conversion> {
    return this.#door.money("conversions.accept", { conversion }, conversion);
  }

  get(conversion: string): Promise<Conversion> {
    return this.#door.request("conversions.get", { conversion });
  }

  async rates(): Promise<ExchangeRate[]> {
    return (await this.#door.request("rates.list", {})).items;
  }
}

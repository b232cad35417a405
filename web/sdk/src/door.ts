import type { Operations } from "./types.ts";

/** The name of an operation, for example `payments.hold`. */
export type Method = Extract<keyof Operations, string>;
export type Params<M extends Method> = Operations[M]["params"];
export type Result<M extends Method> = Operations[M]["result"];

/** Operations that move money: they need an idempotency key, which is made for them. */
export type MoneyMethod = {
  [M in Method]: Params<M> extends { idempotency_key: string } ? M : never;
}[Method];

/** What the features need of the client around them. */
export interface Door {
  request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>>;
  /** Sends what is worth nothing later, without an answer; given up while there is no line. */
  notify<M extends Method>(method: M, params: Params<M>): void;
  /** A write with an idempotency key that is sent until answered; `lane` orders writes to one thing. */
  money<M extends MoneyMethod>(
    method: M,
    params: Omit<Params<M>, "idempotency_key">,
    lane: string,
  ): Promise<Result<M>>;
}

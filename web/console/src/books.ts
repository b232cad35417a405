import type { Account } from "./overview.ts";

/** An overview lists so many accounts at most; sums need all of them. */
export const LISTED_MAX = 100;

/** The sum over the accounts of one currency: 0 in books that are right. */
export interface Sum {
  currency: string;
  posted: number;
}

/** Adds up in whole minor units, so nothing is lost to fractions. */
export function sums(accounts: Account[]): Sum[] {
  const byCurrency = new Map<string, bigint>();
  for (const a of accounts) {
    byCurrency.set(a.currency, (byCurrency.get(a.currency) ?? 0n) + BigInt(a.posted));
  }
  return [...byCurrency].map(([currency, posted]) => ({ currency, posted: Number(posted) }));
}

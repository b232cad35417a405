import type { Parley, Payment } from "@parley/client";

/** A payment link as the person who opened it may see it. Amounts are minor units. */
export interface PaymentLink {
  id: string;
  state: "open" | "used" | "cancelled" | "expired";
  payee: string;
  payee_name: string;
  name_check: "match" | "close" | "none" | "unavailable";
  /** Absent where the payer says how much. */
  amount?: number;
  amount_min?: number;
  amount_max?: number;
  currency: string;
  memo?: string;
  expires_at?: string;
  owned_by_you: boolean;
}

const PARAM = "link";

/** The link this page was opened through (/l/… leads to ?link=…), if any. */
export function openedLink(): string | null {
  return new URLSearchParams(location.search).get(PARAM);
}

/** Takes the link out of the address, so that a reload does not open it again. */
export function forgetLink(): void {
  const url = new URL(location.href);
  url.searchParams.delete(PARAM);
  history.replaceState(null, "", url);
}

type Ask = (method: string, params: object) => Promise<unknown>;
const ask = (parley: Parley): Ask => parley.request.bind(parley) as unknown as Ask;

export async function getLink(parley: Parley, link: string): Promise<PaymentLink> {
  return (await ask(parley)("links.get", { link })) as PaymentLink;
}

/** The key stays in this tab, so that pressing again after a lost answer finds the same payment. */
export async function payLink(parley: Parley, link: string, amount?: number): Promise<Payment> {
  const name = `parley.demo.link.${link}.${amount ?? ""}`;
  const key = sessionStorage.getItem(name) ?? crypto.randomUUID();
  sessionStorage.setItem(name, key);
  const params = { link, ...(amount === undefined ? {} : { amount }), idempotency_key: key };
  return (await ask(parley)("links.pay", params)) as Payment;
}

/** A request to several people, as its conversation sees it. */
export interface GroupRequest {
  id: string;
  state: "open" | "complete" | "cancelled";
  payee: string;
  payee_name: string;
  amount?: number;
  currency: string;
  memo?: string;
  payers: { user: string }[];
}

/** The payment that this person is asked for. */
export async function myShare(parley: Parley, request: string): Promise<Payment | undefined> {
  const { items } = (await ask(parley)("requests.get", { request })) as { items: Payment[] };
  return items.find((p) => p.payer === parley.user);
}

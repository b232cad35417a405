import type { Parley, Payment } from "@parley/client";

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

/** The key stays in this tab, so that pressing again after a lost answer finds the same payment. */
export function payLink(parley: Parley, link: string, amount?: number): Promise<Payment> {
  const name = `parley.demo.link.${link}.${amount ?? ""}`;
  const idempotency_key = sessionStorage.getItem(name) ?? crypto.randomUUID();
  sessionStorage.setItem(name, idempotency_key);
  return parley.request("links.pay", { link, ...(amount === undefined ? {} : { amount }), idempotency_key });
}

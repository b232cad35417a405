import type { CallRecord, Payment } from "@parley/client";

const locale = typeof navigator === "undefined" ? "en" : navigator.language;

function currencyFormat(currency: string): Intl.NumberFormat {
  return new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
}

/** How many minor units' digits a currency has: 2 for EUR, 0 for JPY. */
export function minorDigits(currency: string): number {
  return currencyFormat(currency).resolvedOptions().maximumFractionDigits ?? 2;
}

/** Minor units as people write them: 12000 EUR is €120.00. */
export function money(amount: number, currency: string): string {
  return currencyFormat(currency).format(amount / 10 ** minorDigits(currency));
}

/** Minor units as a person would type them: 120.50. */
export function plainMoney(amount: number, currency: string): string {
  return (amount / 10 ** minorDigits(currency)).toFixed(minorDigits(currency));
}

/** Reads what a person typed ("120", "120.5", "1 200,50") into minor units; NaN when it is not an amount. */
export function parseMoney(text: string, currency: string): number {
  const digits = minorDigits(currency);
  const match = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.replace(/[\s\u00a0']/g, ""));
  const fraction = match?.[2] ?? "";
  if (!match || fraction.length > digits) return Number.NaN;
  return Number(match[1] + fraction.padEnd(digits, "0"));
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A moment to come in words: "tomorrow", "in 3 hours". */
export function until(iso: string, now = Date.now()): string {
  const ms = new Date(iso).getTime() - now;
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (ms < HOUR) return relative.format(Math.max(1, Math.round(ms / MINUTE)), "minute");
  const days = Math.round((startOfDay(now + ms) - startOfDay(now)) / DAY);
  return days === 0 ? relative.format(Math.round(ms / HOUR), "hour") : relative.format(days, "day");
}

function startOfDay(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}

export function clock(iso: string): string {
  return new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" }).format(new Date(iso));
}

/** The heading of a day in a conversation. */
export function day(iso: string, now = Date.now()): string {
  const days = Math.round((startOfDay(new Date(iso).getTime()) - startOfDay(now)) / DAY);
  if (days > -2) return capital(new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(days, "day"));
  return new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" }).format(
    new Date(iso),
  );
}

/** The time of a list's row: the hour today, else the date. */
export function shortTime(iso: string, now = Date.now()): string {
  if (startOfDay(new Date(iso).getTime()) === startOfDay(now)) return clock(iso);
  return date(iso);
}

/** A day of this year: Nov 29. */
export function date(iso: string): string {
  return new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" }).format(new Date(iso));
}

/** Seconds as 0:07 or 1:02:03. */
export function duration(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1_000));
  const [h, m, s] = [Math.floor(total / 3_600), Math.floor(total / 60) % 60, total % 60];
  const tail = `${h ? String(m).padStart(2, "0") : m}:${String(s).padStart(2, "0")}`;
  return h ? `${h}:${tail}` : tail;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** An order's number without the prefix that some shops write. */
export function orderName(order: string): string {
  return `order ${order.replace(/^ord(er)?[_-]?/i, "")}`;
}

/** A moment to come or gone with its hour: tomorrow, 14:03. */
export function moment(iso: string, now = Date.now()): string {
  const days = Math.round((startOfDay(new Date(iso).getTime()) - startOfDay(now)) / DAY);
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  return `${Math.abs(days) < 2 ? relative.format(days, "day") : date(iso)}, ${clock(iso)}`;
}

/** A length of time in words: 30 seconds, 5 minutes, 1 day. */
export function lasting(seconds: number): string {
  const [n, unit] =
    seconds < 120
      ? [seconds, "second"]
      : seconds < 7_200
        ? [Math.round(seconds / 60), "minute"]
        : seconds < 86_400
          ? [Math.round(seconds / 3_600), "hour"]
          : [Math.round(seconds / 86_400), "day"];
  return `${n} ${unit}${n === 1 ? "" : "s"}`;
}

/** The line under a payment's amount: order and memo; what a stranger wrote is a quotation. */
export function paymentFacts(payment: Payment, quote = false): string[] {
  const facts: string[] = [];
  if (payment.order) facts.push(orderName(payment.order));
  if (payment.memo) facts.push(quote ? `“${payment.memo}”` : payment.memo);
  return facts;
}

/** What the log says about a call, seen by `me`. The reason of a refusal is never told. */
export function callSummary(call: CallRecord, me: string, name: (user: string) => string): string {
  const outgoing = call.from.user === me;
  if (call.active_at) {
    const length = call.duration_ms ?? spanMs(call.active_at, call.ended_at);
    return `${call.kind === "group" ? "Group call" : "Call"} · ${duration(length)}`;
  }
  if (!outgoing) return `You missed a call from ${name(call.from.user)}`;
  return call.reason === "cancelled" ? "Call cancelled" : "Not reached";
}

function spanMs(from: string, to: string | undefined): number {
  return (to ? new Date(to).getTime() : Date.now()) - new Date(from).getTime();
}

const locale = navigator.language;

const currencies = new Map<string, Intl.NumberFormat>();

function currencyFormat(currency: string): Intl.NumberFormat {
  let format = currencies.get(currency);
  if (!format) {
    format = new Intl.NumberFormat(locale, { style: "currency", currency });
    currencies.set(currency, format);
  }
  return format;
}

/** Minor units as people write them: 12000 EUR is €120.00. */
export function money(amount: number, currency: string): string {
  const format = currencyFormat(currency);
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

const numbers = new Intl.NumberFormat(locale);

export function count(n: number): string {
  return numbers.format(n);
}

const small = new Intl.NumberFormat(locale, { maximumSignificantDigits: 2 });

/** A rate: two digits while it is small, whole numbers when not. */
export function perSecond(n: number): string {
  return n < 10 ? small.format(n) : count(Math.round(n));
}

const percents = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });

export function percent(n: number): string {
  return percents.format(n);
}

const megabytes = unit("megabyte", { maximumFractionDigits: 1 });
const kilobytes = unit("kilobyte", { maximumFractionDigits: 1 });

export function bytes(n: number): string {
  return n < 1_000_000 ? kilobytes.format(n / 1_000) : megabytes.format(n / 1_000_000);
}

const units = [
  { format: unit("day"), seconds: 86_400 },
  { format: unit("hour"), seconds: 3_600 },
  { format: unit("minute"), seconds: 60 },
  { format: unit("second"), seconds: 1 },
];
const parts = new Intl.ListFormat("en", { type: "unit", style: "narrow" });

function unit(name: string, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  return new Intl.NumberFormat("en", { style: "unit", unit: name, unitDisplay: "short", ...options });
}

/** A span by its two largest units: "3 min 12 sec". */
export function span(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1_000));
  const first = Math.max(
    0,
    units.findIndex((u) => left >= u.seconds),
  );
  if (left === 0) return unit("second").format(0);
  const words = units.slice(first, first + 2).flatMap(({ format, seconds }) => {
    const whole = Math.floor(left / seconds);
    left -= whole * seconds;
    return whole ? [format.format(whole)] : [];
  });
  return parts.format(words);
}

/** How long ago `from` was. */
export function age(from: string, now: number): string {
  return span(now - Date.parse(from));
}

const timeOfDay = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const dayAndTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

/** The time of day of what happened today, else with its date. */
export function moment(iso: string, now: number): string {
  const at = new Date(iso);
  return (at.toDateString() === new Date(now).toDateString() ? timeOfDay : dayAndTime).format(at);
}

const counting = new Intl.PluralRules("en");

/** "1 call", "2 calls". */
export function many(n: number, noun: string): string {
  return `${count(n)} ${noun}${counting.select(n) === "one" ? "" : "s"}`;
}

/** A name of the protocol in words: words_match is "words match". */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

/** The end of a long id, enough to tell it from its neighbours when read aloud. */
export function shortId(id: string): string {
  return id.slice(-6);
}

/** What to do after a socket closed. */
export type Next =
  | { do: "retry"; afterMs: number; newToken: boolean }
  | { do: "stop"; reason: "token_refused" | "revoked" | "replaced" };

export interface BackoffOptions {
  /** First ceiling of the random wait; it doubles with every failure in a row. */
  baseMs?: number;
  capMs?: number;
  random?: () => number;
}

/** Full jitter: a random wait below a ceiling that doubles up to `capMs`, so that a crowd spreads out. */
export function fullJitter(failures: number, options: BackoffOptions = {}): number {
  const { baseMs = 500, capMs = 20_000, random = Math.random } = options;
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 16)));
}

/**
 * Reads a close code. `failures` counts the closes in a row without a session
 * in between; `canRenew` says that a new token can be asked for.
 */
export function afterClose(
  code: number,
  reason: string,
  failures: number,
  canRenew: boolean,
  options: BackoffOptions = {},
): Next {
  const random = options.random ?? Math.random;
  const retry = (afterMs: number, newToken = false): Next => ({ do: "retry", afterMs, newToken });
  switch (code) {
    case 4001:
      return canRenew && failures < 2
        ? retry(fullJitter(failures, options), true)
        : { do: "stop", reason: "token_refused" };
    case 4002:
      return canRenew ? retry(fullJitter(failures, options), true) : { do: "stop", reason: "token_refused" };
    case 4003:
      return { do: "stop", reason: "revoked" };
    case 4009:
      return { do: "stop", reason: "replaced" };
    case 4008:
      return retry(failures === 0 ? 0 : fullJitter(failures, options));
    case 4010: {
      const ms = Number(/retry_ms=(\d+)/.exec(reason)?.[1] ?? 0);
      return retry(Math.floor(ms + random() * Math.max(ms, options.baseMs ?? 500)));
    }
    case 4029:
      return retry(5_000 + fullJitter(failures, options));
    default:
      return retry(fullJitter(failures, options));
  }
}

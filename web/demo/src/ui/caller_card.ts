/** What the hub's signed card says about a caller. The hub sends it over the session that it vouches for. */
export interface CallerCard {
  name?: string;
  reason?: string;
}

/** Reads the claims of a PASSporT with rich call data (RFC 8225, RFC 9795); an unreadable card says nothing. */
export function readCard(jws: unknown): CallerCard {
  if (typeof jws !== "string") return {};
  try {
    const body = (jws.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return { name: text(claims.rcd?.nam), reason: text(claims.crn) };
  } catch {
    return {};
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

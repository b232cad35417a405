const TOKEN = "parley.console.token";

/** The token comes once in the link's fragment, which no server sees; a reload finds it in this tab. */
export function takeToken(): string {
  const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromLink) {
    keepToken(fromLink);
    history.replaceState(null, "", location.pathname);
  }
  return fromLink ?? sessionStorage.getItem(TOKEN) ?? "";
}

export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

export function dropToken(): void {
  sessionStorage.removeItem(TOKEN);
}

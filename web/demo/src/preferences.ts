const RELAY_ONLY = "parley.demo.relay_only";

/** Whether this person's calls hide the device's address from the other side. */
export function hidesAddress(): boolean {
  return localStorage.getItem(RELAY_ONLY) === "yes";
}

export function hideAddress(hide: boolean): void {
  localStorage.setItem(RELAY_ONLY, hide ? "yes" : "no");
}

import { ConnectionLost, ParleyError } from "@parley/client";

const texts: Record<string, string> = {
  payment_version_stale: "The payment has changed. Look at it again before you go on.",
  payment_state: "That is no longer possible for this payment.",
  insufficient_funds: "There is not enough money on your balance.",
  live_confirmation_required: "This payment must be confirmed in a call.",
  hold_expired: "The time to confirm is over. The money is back on your balance.",
  confirmation_expired: "The time to confirm ran out. You can start again.",
  call_not_active: "Confirming needs a running call.",
  call_not_e2e: "Confirming needs a direct call of just you two.",
  media_not_alive: "One of you cannot be heard right now. Try again in a moment.",
  transcript_mismatch: "The line has changed. Compare the words again.",
  assertion_invalid: "The passkey's answer was not accepted.",
  passkey_unknown: "This passkey is not known here. Make a new one.",
  no_relation: "They do not know you yet. Write to them first, and wait for their answer.",
  request_limited: "That was too often. Try again later.",
  requests_stopped: "People reported your requests. Asking for money waits until that is looked into.",
  memo_refused:
    "To somebody who never paid you, write no addresses, no long numbers and no amounts: just what it is for.",
  link_unknown: "There is no such payment link.",
  link_used: "Somebody else was faster: this link is used up.",
  link_closed: "This link takes no payment any more.",
  sensitive_data: "That looks like a card number. Card numbers do not belong in a chat.",
  challenge_mismatch: "The hub asked to sign something else than what is shown. Nothing was signed.",
  ledger_unavailable: "The ledger does not answer right now. Nothing was moved.",
};

/** What a person should read about an error. */
export function explain(error: unknown): string {
  if (error instanceof ParleyError) return texts[error.code] ?? error.message;
  if (error instanceof ConnectionLost) return "The connection was lost. Try again when you are back online.";
  if (error instanceof DOMException) return domText(error);
  return "Something went wrong. Try again.";
}

function domText(error: DOMException): string {
  switch (error.name) {
    case "NotAllowedError":
      return "It was not allowed, or took too long.";
    case "NotFoundError":
      return "No microphone was found.";
    case "InvalidStateError":
      return "This device has a passkey already.";
    default:
      return error.message;
  }
}

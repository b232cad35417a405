import { ConnectionLost, ParleyError } from "@parley/client";

const texts: Record<string, string> = {
  // Payments.
  payment_version_stale: "The payment has changed. Look at it again before you go on.",
  payment_state: "That is no longer possible for this payment.",
  payment_unknown: "There is no such payment.",
  payment_to_self: "You cannot pay yourself.",
  not_party: "This payment is between other people.",
  not_member: "Both of you must be in the conversation that shows the payment.",
  insufficient_funds: "There is not enough money on your balance.",
  amount_invalid: "This amount is not possible here.",
  currency_unknown: "There is no such currency.",
  account_ceiling: "The account would hold more than it may.",
  account_closed: "An account of this payment is closed.",
  live_confirmation_required: "This payment must be confirmed in a call.",
  hold_expired: "The time to confirm is over. The money is back on your balance.",
  ledger_unavailable: "The ledger does not answer right now. Try again: nothing moves twice.",
  ledger_busy: "Too much is going on right now. Try again in a moment.",
  idempotency_key_reused: "This was sent before with something else in it. Try again.",
  idempotency_in_progress: "The first try is still running. Wait a moment.",
  rail_refused: "The bank refused.",
  rail_unavailable: "There is no way to a bank here.",
  // Confirming in a call.
  confirmation_expired: "The time to confirm ran out. You can start again.",
  call_not_active: "Confirming needs a running call.",
  call_not_e2e: "Confirming needs a direct call of just you two.",
  media_not_alive: "One of you cannot be heard right now. Try again in a moment.",
  transcript_mismatch: "The line has changed. Compare the words again.",
  challenge_mismatch: "The hub asked to sign something else than what is shown. Nothing was signed.",
  assertion_invalid: "The passkey's answer was not accepted.",
  passkey_unknown: "This passkey is not known here. Make a new one.",
  passkey_limit: "You have as many passkeys as there may be. Remove one first.",
  registration_expired: "That took too long. Make the passkey again.",
  credential_invalid: "The passkey was not accepted. Try again.",
  // What stands before a payment; the sheet says more.
  safety_denied: "This payment is not possible.",
  safety_limit: "This payment is above a limit.",
  safety_pause: "There is a pause before this payment. Look at the payment: it counts down there.",
  safety_acknowledge: "Something has to be read or answered first. Look at the payment.",
  safety_approval: "The person you trust has to say yes first.",
  safety_cooling_off: "The money may not move yet. Until then it can be taken back.",
  safety_answers: "Answer every question first.",
  safety_unknown: "Nothing is asked about this payment any more.",
  safety_not_yours: "This is for somebody else to decide.",
  safety_stale: "The payment has changed since you were asked. You are asked again if it still matters.",
  safety_decided: "You have decided this already, and it stays so.",
  trusted_person_invalid: "It must be somebody else, with whom you share a conversation or a payment.",
  // Asking for money.
  no_relation: "They do not know you yet. Write to them first, and wait for their answer.",
  request_limited: "That was too often. Try again later.",
  requests_stopped: "People reported your requests. Asking for money waits until that is looked into.",
  request_unknown: "There is no such request.",
  memo_refused:
    "To somebody who never paid you, write no addresses, no long numbers and no amounts: just what it is for.",
  link_unknown: "There is no such payment link.",
  link_used: "Somebody else was faster: this link is used up.",
  link_closed: "This link takes no payment any more.",
  block_limit: "You have blocked as many people as you can. Let somebody in again first.",
  // Money to and from outside.
  transfer_unknown: "There is no such payout.",
  payout_name_mismatch: "The account belongs to somebody of another name.",
  conversion_unknown: "There is no such offer.",
  quote_expired: "The offer has expired. Ask for a new one.",
  exchange_empty: "There is not enough of this currency right now. Try less, or later.",
  rate_unknown: "There is no exchange rate between these currencies.",
  // Conversations and calls.
  conversation_unknown: "There is no such conversation.",
  conversation_full: "There are as many people in this conversation as there may be.",
  conversation_kind: "That is not possible in this kind of conversation.",
  member_unknown: "This person is not in the conversation.",
  message_unknown: "There is no such message.",
  message_deleted: "This message was deleted.",
  not_author: "Only who wrote a message can change it.",
  not_owner: "Only an owner of the conversation can do this.",
  user_unknown: "There is no such person.",
  sensitive_data: "That looks like a card number. Card numbers do not belong in a chat.",
  name_invalid: "This name cannot be used.",
  call_unknown: "There is no such call any more.",
  call_state: "That is not possible in this call now.",
  call_taken: "Another device of yours has the call.",
  not_participant: "You are not in this call.",
  room_full: "There are as many people in this call as there may be.",
  sfu_unavailable: "Calls of several people are not possible right now. Try again in a moment.",
  sdp_invalid: "The call could not be set up. Call again.",
  signal_invalid: "The call could not be set up. Call again.",
  // The way to the hub.
  rate_limited: "That was too fast. Wait a moment.",
  outbox_full: "Too much is waiting to be sent. Wait until you are online.",
  unauthenticated: "You are not signed in. Ask for a new link.",
  token_expired: "Your link has expired. Ask for a new one.",
  token_revoked: "You were signed out.",
  forbidden: "You may not do this.",
  scope_missing: "Your link does not allow this.",
  invalid_params: "Something in it is not possible. Check what you wrote.",
  body_too_large: "That is too large.",
  database_unavailable: "The hub cannot save anything right now. Try again: nothing happens twice.",
  timeout: "That took too long. Try again: nothing happens twice.",
  auth_unavailable: "The hub cannot check who you are right now. Try again in a moment.",
  internal: "Something went wrong at the hub. Try again.",
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

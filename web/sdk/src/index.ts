/**
 * Parley in the browser: conversations, payments, calls and live confirmation
 * over one socket. Start with {@link Parley}.
 */
export { AudioSink } from "./audio.ts";
export { Call, type CallPhase } from "./call.ts";
export { Calls, type StartCall } from "./calls.ts";
export { Parley, type ParleyEvents, type ParleyOptions, type TypedEvent } from "./client.ts";
export { type ConnectionState, type TokenSource, tokenClaims } from "./connection.ts";
export type { NewConversation } from "./conversations.ts";
export type { Method, Params, Result } from "./door.ts";
export { ConnectionLost, ParleyError } from "./errors.ts";
export type { OutboxStorage, OutgoingWrite } from "./outbox.ts";
export type { DeclineReason, HoldOptions, NewPayment } from "./payments.ts";
export { type SafetyStop, type StopReason, safetyStop } from "./safety.ts";
export {
  Topic,
  type TopicEvent,
  type TopicEvents,
  type TopicHistory,
  type TopicJoined,
  type TopicPlace,
} from "./topics.ts";
export type * from "./types.ts";
export type { Words } from "./words.ts";

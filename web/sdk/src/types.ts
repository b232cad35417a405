/**
 * The shapes that travel between Parley and its clients. Most are made from the
 * OpenAPI document (`npm run gen:types`); here are their names in the SDK, and
 * what that document does not tell: events and the socket's own messages.
 */
import type * as api from "./generated/api.ts";

export type {
  Approval,
  Block,
  Conversation,
  Conversion,
  Dispute,
  Endpoint,
  GroupRequest,
  Member,
  Operations,
  Passkey,
  Payment,
  Presence,
  Problem,
  SafetyQuestion,
  SafetyStatus,
  Slot,
  Transfer,
  Trusted,
  User,
} from "./generated/api.ts";

/** One thing that happened. With `seq` it is a numbered log entry, without it a signal. */
export type WireEvent<D = unknown> = Omit<api.Event, "data"> & {
  /** The absolute state, never a delta alone. */
  data: D;
};

export type ConversationKind = api.Conversation["kind"];
export type EntryPage = api.EntriesOut;
export type ReceiptState = api.Receipt;
export type PresenceState = api.Presence["state"];
export type PaymentState = api.Payment["state"];
export type PaymentSheet = api.Sheet;
export type Balance = api.BalanceItem;
/** What has to happen before money moves, and what of it is open. */
export type Policy = api.Decision;
export type PaymentLink = api.Link;
export type NameCheck = api.PayoutCheckOutput;
export type ExchangeRate = api.RateItem;
export type CallRecord = api.CallView;
export type CallGrant = { call: CallRecord; ice_servers?: IceServer[] };
export type JoinAnswer = api.Joined;
export type Participant = api.ParticipantView;
export type ParticipantState = Participant["state"];
export type IceServer = api.ICEServer;
export type EndReason = NonNullable<CallRecord["reason"]>;
export type Route = NonNullable<CallRecord["route"]>;
export type SignalKind = api.CallSignalIn["kind"];
export type Page<T> = { items: T[]; next?: string };

export interface ConversationHead {
  id: string;
  head: number;
  /** The first seq that follows as an event. */
  from?: number;
  /** More is missing than the server sends by itself: page back. */
  gap?: boolean;
}

export interface SessionOpened {
  session: string;
  user: string;
  device: string;
  heartbeat_s: number;
  server_time: string;
  conversations: ConversationHead[];
}

export interface Message {
  id: string;
  /** Absent once deleted. */
  text?: string;
  client_id?: string;
  reply_to?: string;
  version?: number;
  /** In an edit or deletion: the seq of the message it is about. */
  created?: number;
  deleted?: boolean;
}

export interface PaymentUpdate {
  payment: api.Payment;
  change: string;
}

/** What both confirm, in the form that is hashed. */
export interface PaymentSnapshot {
  v: number;
  payment: string;
  version: number;
  amount: number;
  /** What the payer pays on top; absent when that is nothing. */
  fee?: number;
  /** Amount and fee; absent without a fee on top. */
  total?: number;
  currency: string;
  payee_id: string;
  payee_name_shown: string;
  purpose: string;
  expires: string;
}

export type ConfirmationOpened = Omit<api.Opened, "snapshot"> & { snapshot: PaymentSnapshot };

/** Events by type; `data` has this shape. */
export interface EventData {
  "message.created": Message;
  "message.edited": Message;
  "message.deleted": Message;
  "member.joined": { user: string; name?: string };
  "member.left": { user: string };
  "conversation.updated": { title: string };
  "payment.updated": PaymentUpdate;
  "request.updated": { request: api.GroupRequest; change: string };
  "link.updated": { link: api.Link; change: string };
  "payout.updated": { transfer: api.Transfer; change: string };
  "topup.updated": { transfer: api.Transfer; change: string };
  "conversion.accepted": { conversion: api.Conversion };
  /** To the trusted person: somebody's payment waits for their word. */
  "safety.approval_requested": api.Approval;
  /** To the payer: what the trusted person said. */
  "safety.approval": api.Approval;
  "call.started": { call: CallRecord };
  note: { code: string; text: string };
  "receipt.updated": { user: string; delivered: number; read: number };
  typing: { user: string; typing: boolean };
  "presence.updated": api.Presence;
  "confirmation.opened": { payment: string; version: number; by: string; deadline: string };
  "call.offered": { call: CallRecord; card?: string; ring_s?: number };
  "call.ringing": { call: string; user: string };
  "call.answered": { call: CallRecord; by: { user: string; device: string }; sdp?: string };
  "call.updated": { call: CallRecord };
  "call.signal": {
    call: string;
    from: { user: string; device: string };
    kind: SignalKind;
    data: unknown;
  };
  "call.ended": { call: CallRecord };
  "call.slots": { call: string; slots: api.Slot[] };
  "call.speakers": { call: string; users: string[] };
  "call.credentials": { call: string; ice_servers: IceServer[] };
}

export type EventType = keyof EventData;

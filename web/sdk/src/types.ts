/**
 * The shapes that travel between Parley and its clients. Times are RFC 3339
 * UTC strings, amounts are integers of minor units with an ISO 4217 code.
 */

/** An RFC 9457 problem: the one shape of every error the server answers. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  /** Stable and machine-readable, for example `payment_version_stale`. */
  code: string;
  detail?: string;
  instance?: string;
  request_id?: string;
  /** Seconds. */
  retry_after?: number;
  errors?: { location: string; message: string }[];
}

/** One thing that happened. With `seq` it is a numbered log entry, without it a signal. */
export interface WireEvent<D = unknown> {
  id?: string;
  type: string;
  conversation?: string;
  seq?: number;
  time: string;
  /** Who caused it; absent for the server's own. */
  author?: string;
  /** The absolute state, never a delta alone. */
  data: D;
}

export interface User {
  id: string;
  name: string;
  verified_name?: string;
  created_at: string;
  restricted?: boolean;
}

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

export interface Member {
  user: string;
  name: string;
  role: "owner" | "member";
  joined_at: string;
  /** Highest seq that reached a device of this member. */
  delivered: number;
  /** Highest seq this member has read. */
  read: number;
}

export type ConversationKind = "direct" | "group" | "payment" | "self";

export interface Conversation {
  id: string;
  kind: ConversationKind;
  title?: string;
  payment?: string;
  members: Member[];
  head: number;
  unread: number;
  last?: WireEvent;
  created_at: string;
  updated_at: string;
}

export interface EntryPage {
  entries: WireEvent[];
  head: number;
  more: boolean;
}

export interface List<T> {
  items: T[];
  next?: string;
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

export interface ReceiptState {
  delivered: number;
  read: number;
  unread: number;
}

export type PresenceState = "online" | "away" | "in_call" | "offline";

export interface Presence {
  user: string;
  state: PresenceState;
  last_seen?: string;
}

export type PaymentState =
  | "requested"
  | "held"
  | "confirming"
  | "confirmed"
  | "captured"
  | "part_refunded"
  | "refunded"
  | "declined"
  | "expired"
  | "cancelled"
  | "voided"
  | "review"
  | "disputed";

export interface Payment {
  id: string;
  state: PaymentState;
  version: number;
  /** Hex SHA-256 of the canonical snapshot that both sides confirm. */
  digest: string;
  payer: string;
  payee: string;
  /** The server's own word for the payee; show this one. */
  payee_name: string;
  amount: number;
  currency: string;
  captured: number;
  refunded: number;
  fee: number;
  order?: string;
  memo?: string;
  conversation?: string;
  confirm: "live" | "none";
  confirmed_by?: ("payer" | "payee")[];
  deadline?: string;
  hold_expires?: string;
  confirm_deadline?: string;
  created_at: string;
  updated_at: string;
}

export interface PaymentUpdate {
  payment: Payment;
  change: string;
}

export interface PaymentSheet {
  payment: Payment;
  payee: {
    shown_name: string;
    name_check: "match" | "close" | "none" | "unavailable";
    account_age_days: number;
    relation: "first_payment" | "known";
  };
  policy: { decision: string; what: string[]; rules: string[]; explain: string };
  actions: string[];
  balance?: { available: number; currency: string };
}

export interface Balance {
  currency: string;
  available: number;
  held: number;
}

export interface PaymentSnapshot {
  v: number;
  payment: string;
  version: number;
  amount: number;
  currency: string;
  payee_id: string;
  payee_name_shown: string;
  purpose: string;
  expires: string | number;
}

export interface ConfirmationOpened {
  payment: string;
  version: number;
  digest: string;
  snapshot: PaymentSnapshot;
  call: string;
  transcript: string;
  nonce: string;
  challenge: string;
  deadline: string;
  options: unknown;
}

export interface Passkey {
  id: string;
  device?: string;
  created_at: string;
  last_used_at?: string;
  backed_up?: boolean;
}

export type ParticipantState =
  | "ringing"
  | "answered"
  | "connected"
  | "reconnecting"
  | "left"
  | "declined"
  | "missed"
  | "busy";

export interface Participant {
  user: string;
  device?: string;
  state: ParticipantState;
  muted?: boolean;
}

export type EndReason =
  | "completed"
  | "declined"
  | "busy"
  | "no_answer"
  | "cancelled"
  | "answered_elsewhere"
  | "unreachable"
  | "policy"
  | "failed"
  | "media_timeout";

export type Route = "direct" | "relay" | "sfu";

export interface CallRecord {
  id: string;
  conversation?: string;
  payment?: string;
  kind: "direct" | "group";
  media: "p2p" | "sfu";
  state: "ringing" | "connecting" | "active" | "ended";
  version: number;
  from: { user: string; device: string };
  participants: Participant[];
  relay_only?: boolean;
  /** Direct media, and both ends compared the same words. */
  e2e: boolean;
  route?: Route;
  transcript?: string;
  verified: "none" | "words_match" | "words_differ";
  created_at: string;
  answered_at?: string;
  active_at?: string;
  ended_at?: string;
  reason?: EndReason;
  duration_ms?: number;
  ring_deadline?: string;
  /** More about the reason, for example `no_media_path` or `verification_failed`. */
  detail?: string;
  /** The end in neutral words fit to be shown. */
  text?: string;
  /** Who rings and why, signed by the server (JWS), for the person called. */
  card?: string;
}

export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

export interface CallGrant {
  call: CallRecord;
  ice_servers?: IceServer[];
}

export interface Slot {
  mid: string;
  user: string;
}

export interface JoinAnswer {
  call: CallRecord;
  sdp: string;
  slots: Slot[];
}

export type SignalKind = "offer" | "answer" | "candidate" | "commit" | "nonce" | "reveal" | "restart";

/** Events by type; `data` has this shape. */
export interface EventData {
  "message.created": Message;
  "message.edited": Message;
  "message.deleted": Message;
  "member.joined": { user: string; name?: string };
  "member.left": { user: string };
  "conversation.updated": { title: string };
  "payment.updated": PaymentUpdate;
  "call.started": { call: CallRecord };
  note: { code: string; text: string };
  "receipt.updated": { user: string; delivered: number; read: number };
  typing: { user: string; typing: boolean };
  "presence.updated": Presence;
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
  "call.slots": { call: string; slots: Slot[] };
  "call.speakers": { call: string; users: string[] };
  "call.credentials": { call: string; ice_servers: IceServer[] };
}

export type EventType = keyof EventData;

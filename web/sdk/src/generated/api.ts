// Made from docs/openapi.json by `make generate`; do not edit.
/* biome-ignore-all format: generated */

export interface AccountInfo {
  currency: string;
  id: string;
  /** reserved to leave */
  pending: number;
  posted: number;
}

export interface Attempt {
  at: string;
  error?: "timeout" | "address" | "tls" | "connection" | "redirect" | "status";
  /** how long it took */
  ms: number;
  /** counts from 1 */
  n: number;
  /** of the answer; 0 when there was none */
  status: number;
}

export interface BalanceItem {
  available: number;
  currency: string;
  /** on hold for payments that are not captured yet */
  held: number;
}

export interface BalancesInput {
  /** whose; a server key names one */
  user?: string;
}

export interface BalancesOutput {
  items: BalanceItem[];
}

export interface Bundle {
  calls: unknown[];
  /** SHA-256, hex, over the RFC 8785 form of everything else but made_at */
  hash: string;
  /** hash of the last row */
  head: string;
  made_at: string;
  payment: unknown;
  /** snapshots and confirmations, chained by hash */
  rows: Row[];
  transfers: unknown[];
  /** format, 1 */
  v: number;
}

export interface CallAnswerIn {
  call: string;
  /** the device's offer, which travels to the caller with the news of the answer */
  sdp?: string;
}

export interface CallConnectedIn {
  call: string;
  /** how the media travels */
  route: "direct" | "relay" | "sfu";
}

export interface CallCredentialsOut {
  ice_servers: ICEServer[];
}

export interface CallDeclineIn {
  call: string;
  /** why, for your own eyes: the other end learns no reason */
  note?: string;
}

export interface CallIn {
  /** the call's id */
  call: string;
}

export interface CallInviteIn {
  call: string;
  user: string;
}

export interface CallJoinIn {
  call: string;
  /** the device's one offer, with an audio section to send and several to receive */
  sdp: string;
}

export interface CallListIn {
  /** only calls that have not ended */
  active?: boolean;
  conversation?: string;
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  payment?: string;
}

export interface CallMuteIn {
  call: string;
  muted: boolean;
}

export interface CallOut {
  call: CallView;
}

export interface CallPromptIn {
  call: string;
  /** name of the prompt */
  prompt: string;
}

export interface CallReportIn {
  /** media arrived within the last five seconds */
  alive: boolean;
  call: string;
  /** share of packets lost */
  loss?: number;
  /** round trip time */
  rtt_ms?: number;
}

export interface CallSignalIn {
  call: string;
  /** at most 64 KiB; {sdp} for offer and answer, an RTCIceCandidateInit for candidate */
  data?: unknown;
  kind: "offer" | "answer" | "candidate" | "commit" | "nonce" | "reveal" | "restart";
  /** the receiver; may be left out between two */
  to?: CallSignalTo;
}

export interface CallSignalTo {
  device?: string;
  user: string;
}

export interface CallStartIn {
  /** made once per intended call; a resend answers the same call */
  client_id: string;
  /** rings its other members, or those of them that to names */
  conversation?: string;
  /** sfu asks for the media server even between two people, who then are not end-to-end encrypted */
  media?: "p2p" | "sfu";
  /** what the call is about; rings its other party */
  payment?: string;
  /** pass on relayed candidates only, so that neither end learns the other's address */
  relay_only?: boolean;
  /** whom to ring; may be left out with conversation or payment */
  to?: string[];
}

export interface CallVerifyIn {
  call: string;
  /** what the person said about the words */
  result: "match" | "differ";
  /** hex SHA-256 that the words were made of */
  transcript: string;
}

export interface CallView {
  active_at?: string;
  answered_at?: string;
  /** signed caller card (JWS), for the person called */
  card?: string;
  /** whose log has the call's record */
  conversation?: string;
  created_at: string;
  /** more about the reason: no_media_path, verification_failed */
  detail?: string;
  /** from active to ended */
  duration_ms?: number;
  /** verified to be end-to-end encrypted: direct media, and both ends compared the same words */
  e2e: boolean;
  ended_at?: string;
  from: Endpoint;
  id: string;
  kind: "direct" | "group";
  media: "p2p" | "sfu";
  /** your own note on why you declined; nobody else sees it */
  note?: string;
  participants: ParticipantView[];
  /** what the call is about */
  payment?: string;
  reason?: "completed" | "declined" | "busy" | "no_answer" | "cancelled" | "answered_elsewhere" | "unreachable" | "policy" | "failed" | "media_timeout";
  /** only relayed candidates are passed on, so that neither end learns the other's address */
  relay_only: boolean;
  /** when it stops ringing for you */
  ring_deadline: string;
  route?: "direct" | "relay" | "sfu";
  state: "ringing" | "connecting" | "active" | "ended";
  /** the end in neutral words fit to be shown */
  text?: string;
  /** what the verification words were made of; present once both ends agree */
  transcript?: string;
  verified: "none" | "words_match" | "words_differ";
  /** grows with every change; drop what is older than what you have */
  version: number;
}

export interface CallsOut {
  items: CallView[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface ConfirmOpenIn {
  payment: string;
  /** the version that is on the screen; refused when the payment has changed since; 0 or absent takes the current one */
  version?: number;
}

export interface ConfirmSubmitIn {
  /** the PublicKeyCredential as its toJSON() gives it */
  assertion: unknown;
  /** language of text (BCP 47) */
  locale?: string;
  /** from confirmations.open */
  nonce: string;
  payment: string;
  /** match: the person heard the same words as on the screen; none: the call goes through the server and has no words that prove anything */
  sas: "match" | "none";
  /** what the screen said, if not the text of confirmations.open; it is kept as evidence */
  text?: string;
  /** as this device computed it from the call's keys; in a call through the server, as confirmations.open gave it */
  transcript: string;
  version: number;
}

export interface Conversation {
  created_at: string;
  /** number of the last log entry, 0 when there is none */
  head: number;
  id: string;
  kind: "direct" | "group" | "payment" | "self";
  /** the last log entry */
  last?: Event;
  members: Member[];
  /** the payment it is about */
  payment?: string;
  title: string;
  /** messages of others after the read mark, counted at most 1,000 entries back */
  unread: number;
  /** time of the last entry */
  updated_at: string;
}

export interface ConversationIn {
  /** conv_… or self_… */
  conversation: string;
}

export interface ConversationsCreateIn {
  /** made once per conversation and repeated on resends */
  client_id?: string;
  kind: "direct" | "group" | "payment";
  /** user ids; a user who creates is a member anyway */
  members: string[];
  /** the payment it is about; server keys only */
  payment?: string;
  /** group and payment only */
  title?: string;
}

export interface ConversationsOut {
  items: Conversation[];
  /** cursor of the following page; empty on the last one */
  next: string;
}

export interface ConversationsUpdateIn {
  /** conv_… or self_… */
  conversation: string;
  title: string;
}

export interface Decision {
  /** require: what must happen before money moves */
  decision: "allow" | "require";
  /** for people */
  explain: string;
  /** the rules that led to it */
  rules: string[];
  /** what is required, for example live_confirmation */
  what: string[];
}

export interface Delivery {
  /** the last 20, the oldest first */
  attempts: Attempt[];
  created_at: string;
  /** of a pending delivery: the next attempt, once the earlier events of the object are through */
  due?: string;
  /** the webhook-id header */
  event: string;
  id: string;
  object: string;
  /** counts the object's events */
  seq: number;
  state: "pending" | "succeeded" | "dead";
  type: string;
  updated_at: string;
  webhook: string;
}

export interface DeliveryListInput {
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  state?: "pending" | "succeeded" | "dead";
  /** webhook id */
  webhook: string;
}

export interface DeliveryListOutput {
  items: Delivery[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface DeliveryReplayInput {
  /** leave out what has succeeded */
  dead_only?: boolean;
  /** one delivery */
  delivery?: string;
  /** or all deliveries made since then */
  since?: string;
  /** webhook id */
  webhook: string;
}

export interface DeliveryReplayOutput {
  replayed: number;
}

export interface Endpoint {
  device?: string;
  user: string;
}

export interface EntriesIn {
  /** entries after this number, oldest first */
  after?: number;
  /** the last entries before this number; with after, the end of the range */
  before?: number;
  /** conv_… or self_… */
  conversation: string;
  /** default 50 */
  limit?: number;
}

export interface EntriesOut {
  /** in ascending order of seq */
  entries: Event[];
  /** number of the last entry of the log */
  head: number;
  /** there are further entries in the direction of paging */
  more: boolean;
}

export interface Event {
  /** who caused it; absent for the server's own */
  author?: string;
  conversation?: string;
  /** the absolute state, never a delta alone */
  data: unknown;
  id?: string;
  /** position in the conversation's log, from 1, without gaps; absent for signals */
  seq?: number;
  time: string;
  /** for example message.created */
  type: string;
}

export interface FieldError {
  /** for example amount */
  location: string;
  message: string;
}

export interface ICEServer {
  credential?: string;
  /** stun:, turn: and turns: URLs */
  urls: string[];
  username?: string;
}

export interface Joined {
  call: CallView;
  /** the SFU's answer */
  sdp: string;
  /** which media section carries whom */
  slots: Slot[];
}

export interface Joining {
  call: CallView;
  ice_servers: ICEServer[];
}

export interface Member {
  /** entries up to this number have reached a device */
  delivered: number;
  joined_at: string;
  name: string;
  /** entries up to this number have been read */
  read: number;
  role: "owner" | "member";
  user: string;
}

export interface MemberIn {
  /** conv_… or self_… */
  conversation: string;
  user: string;
}

export interface MessageEditIn {
  /** conv_… or self_… */
  conversation: string;
  /** msg_… */
  message: string;
  text: string;
}

export interface MessageIn {
  /** conv_… or self_… */
  conversation: string;
  /** msg_… */
  message: string;
}

export interface MessageSendIn {
  /** made once per message and repeated on resends: same id, same answer, no second message */
  client_id: string;
  /** conv_… or self_… */
  conversation: string;
  /** a message of this conversation */
  reply_to?: string;
  text: string;
}

export interface NodeInfo {
  database: "sqlite3" | "postgres";
  goroutines: number;
  heap_bytes: number;
  uptime_s: number;
  version: string;
}

export type None = Record<string, unknown>;

export interface ObsProblem {
  code: string;
  operation: string;
  request_id: string;
  status: number;
  time: string;
}

export interface Opened {
  call: string;
  /** SHA-256 of "parley/confirm/1", digest, transcript and nonce, base64url */
  challenge: string;
  /** for both parties, from the first open at this version */
  deadline: string;
  /** SHA-256 of snapshot, hex */
  digest: string;
  /** language of text */
  locale: string;
  method: "passkey_words" | "passkey_sfu_not_e2e";
  /** 32 bytes, base64url */
  nonce: string;
  /** PublicKeyCredentialRequestOptions, for PublicKeyCredential.parseRequestOptionsFromJSON */
  options: unknown;
  payment: string;
  /** RFC 8785 canonical JSON of what is agreed to */
  snapshot: unknown;
  /** the same in words, for this party; show it */
  text: string;
  transcript: string;
  version: number;
}

export interface Overview {
  accounts: AccountInfo[];
  calls: CallView[];
  /** totals of this node since its start, and how many there are of each list */
  counters: Record<string, number>;
  node: NodeInfo;
  payments: Payment[];
  problems: ObsProblem[];
  sockets: SocketInfo[];
}

export interface PageIn {
  /** next of the page before */
  cursor?: string;
  /** default 50 */
  limit?: number;
}

export interface ParticipantView {
  /** the device that has the call; absent before the answer */
  device?: string;
  muted?: boolean;
  state: "ringing" | "answered" | "connected" | "reconnecting" | "left" | "declined" | "missed" | "busy";
  user: string;
}

export interface Passkey {
  /** the provider keeps a copy, so that it may be on other devices too */
  backed_up: boolean;
  created_at: string;
  /** the installation that registered it */
  device?: string;
  id: string;
  last_used_at?: string;
}

export interface PasskeyIn {
  /** id of the passkey */
  passkey: string;
}

export interface PasskeysOut {
  items: Passkey[];
  /** always empty: a person has few passkeys */
  next: string;
}

export interface Payment {
  /** minor units */
  amount: number;
  captured: number;
  confirm: "live" | "none";
  confirm_deadline?: string;
  /** payer, payee or both */
  confirmed_by: string[];
  conversation?: string;
  created_at: string;
  /** ISO 4217 */
  currency: string;
  /** when the request expires */
  deadline?: string;
  /** hex SHA-256 of the canonical snapshot of this version */
  digest: string;
  /** part of captured that the payee does not get */
  fee: number;
  hold_expires?: string;
  id: string;
  memo?: string;
  order?: string;
  payee: string;
  /** as shown to the payer */
  payee_name: string;
  payer: string;
  refunded: number;
  state: "requested" | "held" | "confirming" | "confirmed" | "captured" | "part_refunded" | "refunded" | "declined" | "expired" | "cancelled" | "voided" | "review" | "disputed";
  updated_at: string;
  /** of what the parties agree on; every edit makes the next one */
  version: number;
}

export interface PaymentAmountInput {
  /** minor units; all there is if left out */
  amount?: number;
  /** payment id */
  payment: string;
}

export interface PaymentCreateInput {
  /** minor units */
  amount: number;
  /** none only with a server key; the policy decides if left out */
  confirm?: "live" | "none";
  /** whose log shows the payment */
  conversation?: string;
  /** ISO 4217 */
  currency: string;
  /** seconds until the request expires; a day if left out */
  expires_in?: number;
  memo?: string;
  /** the app's own reference */
  order?: string;
  /** who is paid; a user who leaves it out asks to be paid */
  payee?: string;
  /** who pays; a user who leaves it out and names the payee offers to pay */
  payer?: string;
}

export interface PaymentEditInput {
  /** minor units; as it is if left out */
  amount?: number;
  /** as it is if left out */
  memo?: string;
  /** payment id */
  payment: string;
  /** what the edit is based on */
  version?: number;
}

export interface PaymentHoldInput {
  /** payment id */
  payment: string;
  /** what the payer has seen */
  version?: number;
}

export interface PaymentIDIn {
  payment: string;
}

export interface PaymentInput {
  /** payment id */
  payment: string;
}

export interface PaymentListInput {
  conversation?: string;
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  state?: "requested" | "held" | "confirming" | "confirmed" | "captured" | "part_refunded" | "refunded" | "declined" | "expired" | "cancelled" | "voided" | "review" | "disputed";
}

export interface PaymentListOutput {
  items: Payment[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface PaymentResolveInput {
  /** payer: the money goes back; payee: a review goes on, a dispute's reserve is released */
  outcome: "payer" | "payee";
  /** payment id */
  payment: string;
}

export interface Presence {
  /** when the last device left; only when offline */
  last_seen?: string;
  state: "online" | "away" | "in_call" | "offline";
  user: string;
}

export interface PresenceGetIn {
  /** user ids; with commas in a query string */
  users: string[];
}

export interface PresenceGetOut {
  /** of those asked for, the ones who share a conversation with the caller */
  users: Presence[];
}

export interface PresenceSetIn {
  /** whether this device is in use */
  state: "online" | "away";
}

export interface Problem {
  /** stable, machine-readable */
  code: string;
  /** what went wrong this time and what to do */
  detail?: string;
  errors?: FieldError[];
  instance?: string;
  request_id?: string;
  /** seconds */
  retry_after?: number;
  status: number;
  title: string;
  /** URL of a page that explains the code */
  type: string;
}

export interface Receipt {
  delivered: number;
  read: number;
  unread: number;
}

export interface ReceiptsMarkIn {
  /** conv_… or self_… */
  conversation: string;
  /** number of the last entry that reached this device */
  delivered?: number;
  /** number of the last entry that was read; counts as delivered too */
  read?: number;
}

export interface RegisterFinishIn {
  /** the new PublicKeyCredential as its toJSON() gives it */
  credential: unknown;
  /** from passkeys.register_begin */
  session: string;
}

export interface Registration {
  /** PublicKeyCredentialCreationOptions, for PublicKeyCredential.parseCreationOptionsFromJSON */
  options: unknown;
  /** give it back to passkeys.register_finish; good once */
  session: string;
}

export interface Row {
  at: string;
  /** RFC 8785 canonical JSON */
  body: unknown;
  /** SHA-256, hex, over label, payment, seq, id, kind, time in ms, body and prev */
  hash: string;
  id: string;
  kind: "snapshot" | "confirmation";
  /** hash of the row before, empty for the first */
  prev: string;
  /** from 1, without gaps, per payment */
  seq: number;
}

export interface SandboxFundInput {
  /** minor units */
  amount: number;
  /** ISO 4217 */
  currency: string;
  user: string;
}

export interface Sheet {
  /** what the one who asks may do now, in the order to offer it */
  actions: string[];
  balance: SheetBalance;
  payee: SheetPayee;
  payment: Payment;
  policy: Decision;
}

export interface SheetBalance {
  available: number;
  currency: string;
}

export interface SheetPayee {
  account_age_days: number;
  name_check: "match" | "close" | "none" | "unavailable";
  relation: "first_payment" | "known";
  shown_name: string;
}

export interface Slot {
  /** media section of the answer */
  mid: string;
  /** who is heard there; absent while free */
  user?: string;
}

export interface SocketInfo {
  addr: string;
  device: string;
  queued_bytes: number;
  session: string;
  since: string;
  user: string;
}

export interface TypingIn {
  /** conv_… or self_… */
  conversation: string;
  typing: boolean;
}

export interface User {
  /** ISO 3166-1 alpha-2 */
  country?: string;
  /** when Parley first saw the person */
  created_at: string;
  id: string;
  /** as the app calls the person; not checked */
  name: string;
  /** the app has restricted the account */
  restricted: boolean;
  /** checked by the app, for example from an identity document; empty when not checked */
  verified_name: string;
}

export interface UserIn {
  /** the app's id of the person */
  user: string;
}

export interface UserPutIn {
  /** ISO 3166-1 alpha-2 */
  country?: string;
  /** as the person calls themselves */
  name: string;
  /** whether the account is restricted */
  restricted?: boolean;
  /** the app's id of the person */
  user: string;
  /** checked by you, for example from an identity document; it is what payments and calls show; empty takes it away */
  verified_name?: string;
}

export interface WebhookCreateInput {
  description?: string;
  /** types such as payment.held, or payment.*; all if left out */
  events?: string[];
  /** https; http and private addresses in dev mode only */
  url: string;
}

export interface WebhookEndpoint {
  created_at: string;
  description?: string;
  disabled: boolean;
  /** types such as payment.held, or payment.*; empty: all */
  events: string[];
  id: string;
  /** until then the previous keys sign as well */
  previous_until?: string;
  /** for v1a signatures (Ed25519) */
  public_key: string;
  /** why it is disabled; gone: it answered 410 */
  reason?: "gone" | "requested";
  /** for v1 signatures; only in the answers of create and rotate */
  secret?: string;
  updated_at: string;
  url: string;
}

export interface WebhookInput {
  /** webhook id */
  webhook: string;
}

export interface WebhookListOutput {
  items: WebhookEndpoint[];
}

export interface WebhookRotateInput {
  /** seconds for which the previous keys sign as well; a day if left out */
  keep_s?: number;
  /** webhook id */
  webhook: string;
}

export interface WebhookTestInput {
  /** webhook.test if left out */
  type?: string;
  /** webhook id */
  webhook: string;
}

export interface WebhookUpdateInput {
  description?: string;
  /** false enables again, also after an answer of 410 */
  disabled?: boolean;
  /** for events from now on */
  events?: string[];
  url?: string;
  /** webhook id */
  webhook: string;
}

/** Every operation: what it takes and what it answers. */
export interface Operations {
  "balances.get": { params: { user?: string; }; result: BalancesOutput };
  "calls.answer": { params: { call: string; sdp?: string; }; result: Joining };
  "calls.cancel": { params: { call: string; }; result: CallOut };
  "calls.connected": { params: { call: string; route: "direct" | "relay" | "sfu"; }; result: CallOut };
  "calls.credentials": { params: { call: string; }; result: CallCredentialsOut };
  "calls.decline": { params: { call: string; note?: string; }; result: CallOut };
  "calls.get": { params: { call: string; }; result: CallView };
  "calls.hangup": { params: { call: string; }; result: CallOut };
  "calls.invite": { params: { call: string; user: string; }; result: CallOut };
  "calls.join": { params: { call: string; sdp: string; }; result: Joined };
  "calls.leave": { params: { call: string; }; result: CallOut };
  "calls.list": { params: { active?: boolean; conversation?: string; cursor?: string; limit?: number; payment?: string; }; result: CallsOut };
  "calls.mute": { params: { call: string; muted: boolean; }; result: CallOut };
  "calls.prompt": { params: { call: string; prompt: string; }; result: None };
  "calls.report": { params: { call: string; alive: boolean; loss?: number; rtt_ms?: number; }; result: None };
  "calls.ringing": { params: { call: string; }; result: CallOut };
  "calls.signal": { params: { call: string; data?: unknown; kind: "offer" | "answer" | "candidate" | "commit" | "nonce" | "reveal" | "restart"; to?: CallSignalTo; }; result: None };
  "calls.start": { params: { client_id: string; conversation?: string; media?: "p2p" | "sfu"; payment?: string; relay_only?: boolean; to?: string[]; }; result: Joining };
  "calls.verify": { params: { call: string; result: "match" | "differ"; transcript: string; }; result: CallOut };
  "confirmations.open": { params: { payment: string; version?: number; }; result: Opened };
  "confirmations.submit": { params: { payment: string; assertion: unknown; locale?: string; nonce: string; sas: "match" | "none"; text?: string; transcript: string; version: number; idempotency_key: string; }; result: Payment };
  "conversations.create": { params: { client_id?: string; kind: "direct" | "group" | "payment"; members: string[]; payment?: string; title?: string; }; result: Conversation };
  "conversations.get": { params: { conversation: string; }; result: Conversation };
  "conversations.list": { params: { cursor?: string; limit?: number; }; result: ConversationsOut };
  "conversations.update": { params: { conversation: string; title: string; }; result: Conversation };
  "deliveries.list": { params: { cursor?: string; limit?: number; state?: "pending" | "succeeded" | "dead"; webhook: string; }; result: DeliveryListOutput };
  "deliveries.replay": { params: { webhook: string; dead_only?: boolean; delivery?: string; since?: string; }; result: DeliveryReplayOutput };
  "entries.list": { params: { after?: number; before?: number; conversation: string; limit?: number; }; result: EntriesOut };
  "evidence.get": { params: { payment: string; }; result: Bundle };
  "members.add": { params: { conversation: string; user: string; }; result: Conversation };
  "members.remove": { params: { conversation: string; user: string; }; result: None };
  "messages.delete": { params: { conversation: string; message: string; }; result: Event };
  "messages.edit": { params: { conversation: string; message: string; text: string; }; result: Event };
  "messages.send": { params: { conversation: string; client_id: string; reply_to?: string; text: string; }; result: Event };
  "operator.overview": { params: Record<string, never>; result: Overview };
  "passkeys.list": { params: Record<string, never>; result: PasskeysOut };
  "passkeys.register_begin": { params: Record<string, never>; result: Registration };
  "passkeys.register_finish": { params: { credential: unknown; session: string; }; result: Passkey };
  "passkeys.remove": { params: { passkey: string; }; result: None };
  "payments.cancel": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payments.capture": { params: { payment: string; amount?: number; idempotency_key: string; }; result: Payment };
  "payments.create": { params: { amount: number; confirm?: "live" | "none"; conversation?: string; currency: string; expires_in?: number; memo?: string; order?: string; payee?: string; payer?: string; idempotency_key: string; }; result: Payment };
  "payments.decline": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payments.edit": { params: { payment: string; amount?: number; memo?: string; version?: number; idempotency_key: string; }; result: Payment };
  "payments.get": { params: { payment: string; }; result: Payment };
  "payments.hold": { params: { payment: string; version?: number; idempotency_key: string; }; result: Payment };
  "payments.list": { params: { conversation?: string; cursor?: string; limit?: number; state?: "requested" | "held" | "confirming" | "confirmed" | "captured" | "part_refunded" | "refunded" | "declined" | "expired" | "cancelled" | "voided" | "review" | "disputed"; }; result: PaymentListOutput };
  "payments.refund": { params: { payment: string; amount?: number; idempotency_key: string; }; result: Payment };
  "payments.report": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payments.resolve": { params: { payment: string; outcome: "payer" | "payee"; idempotency_key: string; }; result: Payment };
  "payments.sheet": { params: { payment: string; }; result: Sheet };
  "payments.void": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "presence.get": { params: { users: string[]; }; result: PresenceGetOut };
  "presence.set": { params: PresenceSetIn; result: None };
  "receipts.mark": { params: { conversation: string; delivered?: number; read?: number; }; result: Receipt };
  "sandbox.fund": { params: { amount: number; currency: string; user: string; idempotency_key: string; }; result: BalanceItem };
  "typing.set": { params: TypingIn; result: None };
  "users.get": { params: { user: string; }; result: User };
  "users.me": { params: Record<string, never>; result: User };
  "users.put": { params: { user: string; country?: string; name: string; restricted?: boolean; verified_name?: string; }; result: User };
  "webhooks.create": { params: { description?: string; events?: string[]; url: string; }; result: WebhookEndpoint };
  "webhooks.delete": { params: { webhook: string; }; result: None };
  "webhooks.get": { params: { webhook: string; }; result: WebhookEndpoint };
  "webhooks.list": { params: Record<string, never>; result: WebhookListOutput };
  "webhooks.rotate": { params: { webhook: string; keep_s?: number; }; result: WebhookEndpoint };
  "webhooks.test": { params: { webhook: string; type?: string; }; result: Delivery };
  "webhooks.update": { params: { webhook: string; description?: string; disabled?: boolean; events?: string[]; url?: string; }; result: WebhookEndpoint };
}

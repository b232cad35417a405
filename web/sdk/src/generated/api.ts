// Made from docs/openapi.json by `make generate`; do not edit.
/* biome-ignore-all format: generated */

export interface AccountInfo {
  currency: string;
  id: string;
  /** reserved to leave */
  pending: number;
  posted: number;
}

export interface AcknowledgeIn {
  /** the id of the chosen option by question */
  answers?: Record<string, string>;
  /** from the refusal or the payment sheet */
  decision: string;
}

export interface Approval {
  /** minor units */
  amount: number;
  approval: "asked" | "approved" | "refused";
  currency: string;
  /** why it is asked */
  explain?: string;
  payee: string;
  /** as the payer sees it */
  payee_name?: string;
  payer: string;
  payment: string;
  version: number;
}

export interface AskingReview {
  /** different payers who reported requests of this user since the last review */
  reporters: number;
  /** the user can make no requests until a review clears the reports */
  stopped: boolean;
  user: string;
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

export interface Block {
  blocked_at: string;
  user: string;
}

export interface BlockIn {
  /** whom */
  user: string;
}

export interface BlocksIn {
  /** next of the page before */
  cursor?: string;
  /** 100 if left out */
  limit?: number;
}

export interface BlocksOut {
  items: Block[];
  /** cursor of the next page; empty on the last */
  next: string;
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
  /** which room of the media servers has the call: when it differs from that of your calls.join, join again */
  room?: number;
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

export interface ClockAdvanceInput {
  /** how far, such as 90s, 15m or 24h */
  by: string;
}

export interface ClockOutput {
  /** the node's time after the step */
  now: string;
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

export interface Conversion {
  accepted_at?: string;
  created_at: string;
  expires_at: string;
  from: string;
  id: string;
  /** the rate as it was set, in whole units; 1/x when it was set for the opposite direction */
  price: string;
  rate: Rate;
  /** target_down: source was given, target = floor(source * numerator / denominator); source_up: target was given, source = ceil(target * denominator / numerator) */
  rounding: "target_down" | "source_up";
  /** minor units of from that are taken */
  source: number;
  state: "quoted" | "accepted" | "expired";
  /** minor units of to that are given */
  target: number;
  to: string;
  user: string;
}

export interface ConversionInput {
  /** conversion id */
  conversion: string;
}

export interface ConversionQuoteInput {
  /** ISO 4217 */
  from: string;
  /** minor units of from to give; this or target */
  source?: number;
  /** minor units of to that are wanted; this or source */
  target?: number;
  /** ISO 4217 */
  to: string;
  /** whose money; a server key names one */
  user?: string;
}

export interface Counted {
  payer_count_24h: number;
  payer_sum_24h: number;
  payer_sum_30d: number;
  requests_by_payee_24h: number;
}

export interface Decision {
  /** the strictest thing asked for */
  action?: "allow" | "warn" | "ask" | "pause" | "require" | "hold_until" | "limit" | "deny";
  /** the trusted person who is asked */
  approver?: string;
  /** how many seconds after the hold nothing is captured */
  cooling_off_s?: number;
  /** before this the held money is not captured */
  cooling_off_until?: string;
  /** require: what must happen before money moves */
  decision: "allow" | "require";
  /** for people */
  explain: string;
  /** when a limit leaves enough again */
  frees?: string;
  /** of the stored decision, to acknowledge it */
  id?: string;
  /** what a limit leaves: minor units, or a number of payments */
  left?: number;
  /** how many seconds a pause lasts from the first try */
  pause_s?: number;
  /** what the payer must answer */
  questions?: SafetyQuestion[];
  /** the rules that led to it */
  rules: string[];
  /** when the pause is over */
  until?: string;
  /** what the payer must have seen */
  warnings?: SafetyWarning[];
  /** what is required: live_confirmation, trusted_person, pause, acknowledge, cooling_off; limit when it leaves too little */
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

export interface DeviceIn {
  device: string;
  /** whose; a user's own if left out, and no other's */
  user?: string;
}

export interface DeviceInfo {
  device: string;
  /** newest session, to within ten minutes */
  last: string;
  /** first session */
  since: string;
}

export interface DevicesIn {
  /** whose; a user's own if left out, and no other's */
  user?: string;
}

export interface DevicesOut {
  items: DeviceInfo[];
}

export interface Dispute {
  /** what the payee said */
  answer?: string;
  /** until when the payee can answer; no deadline if left out */
  answer_by?: string;
  answered_at?: string;
  closed_at?: string;
  /** until when an answered dispute is decided; no deadline if left out */
  decide_by?: string;
  /** who gets the money when the payee does not answer in time */
  if_unanswered: "payer" | "payee" | "wait";
  /** who gets the money when nobody decides in time */
  if_undecided: "payer" | "payee" | "wait";
  opened_at: string;
  /** in whose favour it ended */
  outcome?: "payer" | "payee";
  /** minor units that the payer should have got back but the payee no longer had */
  uncollected?: number;
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

export interface Entry {
  effective_at: string;
  /** of a pending one: from then on it can only be voided */
  expires_at?: string;
  hash: string;
  id: string;
  kind: "posted" | "pending" | "post" | "void";
  note?: string;
  postings: Posting[];
  recorded_at: string;
  reference?: string;
  /** what posted, voided or reversed it */
  resolved_by?: string;
  /** the pending transfer that it posts or voids, or the one that it reverses */
  resolves?: string;
  seq: number;
}

export interface Event {
  /** who caused it; absent for the server's own */
  author?: string;
  conversation?: string;
  /** the absolute state, never a delta alone */
  data: unknown;
  /** of a topic: numbers of another epoch say nothing about this one's */
  epoch?: string;
  id?: string;
  /** position in the conversation's log, from 1, without gaps; in a topic: position within epoch; absent for signals */
  seq?: number;
  time: string;
  /** open topic that it was published to */
  topic?: string;
  /** for example message.created */
  type: string;
}

export interface ExchangeStockInput {
  /** minor units into the exchange; negative: out of it */
  amount: number;
  currency: string;
  /** the operator's own user whose balance gives or takes */
  user: string;
}

export interface Facts {
  amount: number;
  call_active: boolean;
  counted?: Counted;
  currency: string;
  device?: string;
  digits: number;
  name_check: string;
  new_device: boolean;
  payee: string;
  payee_account_age_days?: number;
  payee_country?: string;
  payee_name?: string;
  payer: string;
  payer_account_age_days?: number;
  payer_country?: string;
  payment?: string;
  relation: string;
  signals?: string[];
  since_edit?: number;
  stranger: boolean;
  version?: number;
}

export interface FeeRule {
  /** hundredths of a percent of what is captured, rounded down */
  basis_points?: number;
  /** minor units, once for a payment */
  fixed?: number;
  /** minor units; at most this much; no bound if left out */
  max?: number;
  /** minor units; at least this much */
  min?: number;
  /** share: a refund gives its share of the fee back; keep: the fee stays */
  on_refund: "share" | "keep";
  /** payee: out of what is captured; payer: on top of the amount */
  paid_by: "payee" | "payer";
}

export interface FieldError {
  /** for example amount */
  location: string;
  message: string;
}

export interface GroupRequest {
  /** total of the shares */
  amount?: number;
  /** captured less refunded; for the payee */
  collected?: number;
  conversation?: string;
  created_at: string;
  /** ISO 4217 */
  currency: string;
  id: string;
  /** the shares that the one who asks may see */
  items: Payment[];
  memo?: string;
  payee: string;
  payee_name: string;
  /** who was asked */
  payers: SharePayer[];
  state: "open" | "complete" | "cancelled";
  updated_at: string;
  version: number;
}

export interface Headline {
  /** how much the payee's name is worth; for translations */
  code: "pay" | "pay_close_name" | "pay_name_mismatch" | "pay_name_unchecked";
  text: string;
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

export interface LedgerAccount {
  /** posted less pending_out */
  available: number;
  /** the most it may hold; 0: no bound */
  ceiling: number;
  closed: boolean;
  /** ISO 4217 */
  currency: string;
  id: string;
  /** app for the app's own; user, rail, fees and others are Parley's */
  kind: string;
  may_go_negative: boolean;
  metadata: Record<string, string>;
  opened_at: string;
  /** what pending transfers will bring */
  pending_in: number;
  /** what pending transfers will take */
  pending_out: number;
  posted: number;
}

export interface LedgerAccountInput {
  /** account id */
  account: string;
  /** ISO 4217 */
  currency: string;
}

export interface LedgerAccountListInput {
  /** one account in all its currencies */
  account?: string;
  currency?: string;
  /** next of the page before */
  cursor?: string;
  kind?: string;
  /** 50 if left out */
  limit?: number;
}

export interface LedgerAccountListOutput {
  items: LedgerAccount[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface LedgerBalanceInput {
  /** account id */
  account: string;
  /** now if left out */
  as_of?: string;
  /** recorded (if left out): what was in the journal by then; effective: what counts from then or before, whenever it was recorded */
  by?: "recorded" | "effective";
  /** ISO 4217 */
  currency: string;
}

export interface LedgerBalanceOutput {
  account: string;
  as_of?: string;
  available: number;
  by: "recorded" | "effective";
  currency: string;
  pending_in: number;
  /** 0 by effective time, which knows nothing pending */
  pending_out: number;
  /** minor units */
  posted: number;
}

export interface LedgerMetadataInput {
  /** account id */
  account: string;
  /** ISO 4217 */
  currency: string;
  /** replaces what there is; up to 20 keys of 64 bytes, values of 500 */
  metadata: Record<string, string>;
}

export interface LedgerMove {
  /** when it counts; now if left out */
  effective_at?: string;
  /** of a pending one: seconds until it is voided; 7 days if left out */
  expires_in?: number;
  /** sum 0 for each currency; each account once */
  legs: Posting[];
  note?: string;
  /** only reserve; post or void it later */
  pending?: boolean;
  /** the app's own name for it, unique; shown with app/ before it */
  reference?: string;
}

export interface LedgerOpenInput {
  /** app: and up to 120 letters, digits, . _ - : behind it */
  account: string;
  /** the most it may hold; no bound if left out */
  ceiling?: number;
  /** ISO 4217 */
  currency: string;
  /** for accounts that stand for the world outside */
  may_go_negative?: boolean;
  /** up to 20 keys of the app's own */
  metadata?: Record<string, string>;
}

export interface LedgerPostInput {
  /** what is posted, no more than was reserved for each account; all if left out. The rest is released */
  legs?: Posting[];
  note?: string;
  /** transfer id */
  transfer: string;
}

export interface LedgerResolveInput {
  note?: string;
  /** transfer id */
  transfer: string;
}

export interface LedgerStatementInput {
  /** account id */
  account: string;
  /** ISO 4217 */
  currency: string;
  /** next of the page before */
  cursor?: string;
  /** recorded at or after */
  from?: string;
  /** 50 if left out */
  limit?: number;
  /** recorded before */
  until?: string;
}

export interface LedgerStatementOutput {
  items: Line[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface LedgerTransferCreateInput {
  /** one, or several that happen all or none */
  transfers: LedgerMove[];
}

export interface LedgerTransferInput {
  /** transfer id */
  transfer: string;
}

export interface LedgerTransferListInput {
  /** with a leg on this account */
  account?: string;
  /** of that leg */
  currency?: string;
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  /** exactly; app/order-17 for the app's order-17 */
  reference?: string;
}

export interface LedgerTransferListOutput {
  items: Entry[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface LedgerTransfersOutput {
  items: Entry[];
}

export interface Limit {
  amount?: number;
  count?: number;
  per_payee?: boolean;
  rule: string;
  window: number;
}

export interface Line {
  /** minor units; negative leaves the account */
  amount: number;
  /** posted, after this line */
  balance: number;
  effective_at: string;
  kind: "posted" | "pending" | "post";
  note?: string;
  recorded_at: string;
  reference?: string;
  seq: number;
  transfer: string;
}

export interface Link {
  /** minor units; absent where the payer says how much */
  amount?: number;
  /** of an open amount */
  amount_max?: number;
  /** of an open amount */
  amount_min?: number;
  confirm?: "live" | "none";
  created_at: string;
  /** ISO 4217 */
  currency: string;
  expires_at?: string;
  /** what to tell the payer; only where the amount is fixed */
  headline?: Headline;
  id: string;
  memo?: string;
  name_check: "match" | "close" | "none" | "unavailable";
  order?: string;
  /** the one who asks would be paid */
  owned_by_you: boolean;
  payee: string;
  /** as shown to the payer */
  payee_name: string;
  state: "open" | "used" | "cancelled" | "expired";
  updated_at: string;
  /** what to give to the payer */
  url: string;
  /** payments made through it that did not end without money having moved */
  used: number;
  /** how many payments it takes; absent: any number */
  uses?: number;
  version: number;
}

export interface LinkCreateInput {
  /** minor units; left out: the payer says how much */
  amount?: number;
  /** most of an open amount */
  amount_max?: number;
  /** least of an open amount */
  amount_min?: number;
  /** none only with a server key; the policy decides if left out */
  confirm?: "live" | "none";
  /** ISO 4217 */
  currency: string;
  /** seconds until it takes no payment any more; 30 days if left out */
  expires_in?: number;
  memo?: string;
  /** the app's own reference */
  order?: string;
  /** who is paid; a server key names one */
  payee?: string;
  /** how many payments it takes; 0: any number; 1 if left out */
  uses?: number;
}

export interface LinkInput {
  /** link id */
  link: string;
}

export interface LinkListInput {
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  /** whose; server keys only */
  payee?: string;
}

export interface LinkListOutput {
  items: Link[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface LinkPayInput {
  /** minor units; needed where the amount is open, otherwise refused unless it is the link's */
  amount?: number;
  /** link id */
  link: string;
}

export interface Load {
  /** processor seconds per second since the last beat */
  cpu: number;
  /** takes no new sockets */
  draining: boolean;
  /** with a device connected to it */
  people: number;
  /** allocations on its relay */
  relays: number;
  /** calls on its SFU */
  rooms: number;
  sockets: number;
}

export interface Member {
  /** opened the conversation, wrote in it or accepted it, or the app made it; until then the others can neither ring this member nor ask for money */
  accepted: boolean;
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

export interface Next {
  at: string;
  /** the change that happens then: a request expires, a hold goes back (voided), confirmations become void, the rest of a hold goes back (released), a dispute is decided for the payer (refunded) or the payee (resolved) */
  outcome: "expired" | "voided" | "confirmations_void" | "released" | "refunded" | "resolved";
}

export interface Node {
  /** where clients reach it */
  address: string;
  id: string;
  load: Load;
  /** its machine and port, which it keeps over restarts */
  name: string;
  /** what it does: hub, turn, media */
  roles: string[];
  started: string;
  version: string;
}

export interface NodeDrainIn {
  /** id or name */
  node: string;
  /** seconds over which its sockets are closed, spread evenly */
  within_s?: number;
}

export interface NodeIn {
  /** id or name */
  node: string;
}

export interface NodeInfo {
  database: "sqlite3" | "postgres";
  goroutines: number;
  heap_bytes: number;
  uptime_s: number;
  version: string;
}

export interface NodesOut {
  items: Node[];
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

export interface Outcome {
  action: string;
  ask?: string[];
  deny?: string[];
  hold_for?: number;
  limits?: Limit[];
  live?: boolean;
  pause?: number;
  rules: string[];
  trusted?: boolean;
  warn?: string[];
}

export interface Overview {
  accounts: AccountInfo[];
  calls: CallView[];
  /** how many there are of each list; names that end in _total count since the start of this node */
  counters: Record<string, number>;
  node: NodeInfo;
  payments: Payment[];
  problems: ObsProblem[];
  sockets: SocketInfo[];
  /** open topics, the fullest first */
  topics: TopicInfo[];
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
  /** payer: an offer or a link; payee: a request */
  asked_by?: "payer" | "payee" | "server";
  /** how much of the amount can still be captured */
  capturable: number;
  /** automatic: captured as soon as what confirm asks for is there */
  capture: "automatic" | "manual";
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
  decline_reason?: "not_mine" | "wrong_amount" | "already_paid" | "unknown_sender" | "not_now" | "other";
  /** hex SHA-256 of the canonical snapshot of this version */
  digest: string;
  dispute?: Dispute;
  /** what captured has cost so far: a part of it that the payee does not get, or on top of it when the payer pays the fee */
  fee: number;
  /** the fee if all of the amount is captured */
  fee_expected: number;
  /** part of the fee that refunds gave back */
  fee_refunded: number;
  /** what the payment costs */
  fee_rule: FeeRule;
  /** what to tell the payer, in the server's words; show the memo only as a quotation */
  headline: Headline;
  /** on hold now, with the fee when the payer pays it */
  held: number;
  hold_expires?: string;
  id: string;
  /** the payment link it was paid through */
  link?: string;
  memo?: string;
  /** what happens if nobody does anything */
  next?: Next;
  order?: string;
  payee: string;
  /** as shown to the payer */
  payee_name: string;
  payer: string;
  refunded: number;
  /** the request to several people it is a share of */
  request?: string;
  /** kept from the payee for an open dispute */
  reserved: number;
  /** a request of somebody the payer never paid: show it, but do not push, ring or buzz for it */
  silent: boolean;
  state: "requested" | "held" | "confirming" | "confirmed" | "part_captured" | "captured" | "part_refunded" | "refunded" | "declined" | "expired" | "cancelled" | "voided" | "review" | "disputed";
  /** what the payer pays if all of the amount is captured, and what a hold reserves: the amount, with the fee when the payer pays it */
  total: number;
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

export interface PaymentAnswerInput {
  /** payment id */
  payment: string;
  /** what the payee says to it */
  text: string;
}

export interface PaymentCaptureInput {
  /** minor units; all that can be captured if left out */
  amount?: number;
  /** false leaves the rest on hold for captures that follow; true, or left out, gives it back */
  final?: boolean;
  /** payment id */
  payment: string;
}

export interface PaymentCreateInput {
  /** minor units */
  amount: number;
  /** automatic: all of the hold is captured as soon as what confirm asks for is there, with none right after the hold; manual: by payments.capture. Automatic for live and manual for none if left out */
  capture?: "automatic" | "manual";
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

export interface PaymentDeclineInput {
  /** payment id */
  payment: string;
  /** a code, so that a no carries no text between strangers */
  reason?: "not_mine" | "wrong_amount" | "already_paid" | "unknown_sender" | "not_now" | "other";
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

export interface PaymentExtendInput {
  /** seconds from now until the hold expires; later than it does already */
  expires_in: number;
  /** payment id */
  payment: string;
}

export interface PaymentHoldInput {
  /** the payment method, in the rail's words, for source rail */
  account?: string;
  /** answers to a hold that was refused with safety_acknowledge */
  acknowledge?: AcknowledgeIn;
  /** payment id */
  payment: string;
  /** pressure that the device notices: screen_sharing, remote_control, external_call, payee_led */
  signals?: string[];
  /** where the money comes from; rail: the outside payment system authorises it first, so that the answer may still be requested. balance if left out */
  source?: "balance" | "rail";
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
  state?: "requested" | "held" | "confirming" | "confirmed" | "part_captured" | "captured" | "part_refunded" | "refunded" | "declined" | "expired" | "cancelled" | "voided" | "review" | "disputed";
}

export interface PaymentListOutput {
  items: Payment[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface PaymentReduceInput {
  /** minor units that can still be captured afterwards */
  amount: number;
  /** payment id */
  payment: string;
}

export interface PaymentResolveInput {
  /** payer: the money goes back; payee: a review goes on, a dispute's reserve is released */
  outcome: "payer" | "payee";
  /** payment id */
  payment: string;
}

export interface PayoutCheckInput {
  /** the account, in the rail's words */
  destination: string;
  /** name the account should belong to */
  holder: string;
}

export interface PayoutCheckOutput {
  /** the registered name, for a close match only */
  name?: string;
  name_check: "match" | "close_match" | "no_match" | "unavailable";
}

export interface PayoutCreateInput {
  /** go on although the name does not match */
  accept_name?: boolean;
  /** minor units */
  amount: number;
  /** ISO 4217 */
  currency: string;
  /** the account to pay to, in the rail's words */
  destination: string;
  /** name the account should belong to; it is checked where the rail can */
  holder?: string;
  /** whose balance; a server key names one */
  user?: string;
}

export interface PayoutInput {
  /** payout id */
  payout: string;
}

export interface Posting {
  account: string;
  /** minor units; negative leaves the account */
  amount: number;
  currency: string;
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
  /** what a client needs to go on; its form depends on the code */
  details?: unknown;
  errors?: FieldError[];
  instance?: string;
  request_id?: string;
  /** seconds */
  retry_after?: number;
  status: number;
  title: string;
  /** URL of a page that explains the code */
  type: string;
  /** when it is worth trying again, by the server's clock */
  until?: string;
}

export interface Rate {
  /** … for this many minor units of from */
  denominator: number;
  /** minor units of to … */
  numerator: number;
}

export interface RateItem {
  from: string;
  /** whole units of to for one whole unit of from */
  price: string;
  set_at: string;
  to: string;
}

export interface RatePutInput {
  from: string;
  /** whole units of to for one whole unit of from; at most 12 digits, 9 behind the point */
  price: string;
  to: string;
}

export interface RatesOutput {
  items: RateItem[];
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

export interface RequestCreateInput {
  /** total in minor units; needed to split it, otherwise the sum of the shares */
  amount?: number;
  /** that payee and payers share; its log shows the request, and its members who was asked and the total */
  conversation?: string;
  /** ISO 4217 */
  currency: string;
  /** seconds until the shares expire; a day if left out */
  expires_in?: number;
  memo?: string;
  /** who is paid; a server key names one */
  payee?: string;
  payers: RequestShare[];
  /** equal: everyone the same; units that are left go one each to those whose ids come first in byte order */
  split?: "equal";
}

export interface RequestInput {
  /** request id */
  request: string;
}

export interface RequestListInput {
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
}

export interface RequestListOutput {
  items: GroupRequest[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface RequestReviewInput {
  /** the reports count no more, and the user may ask again */
  clear?: boolean;
  user: string;
}

export interface RequestShare {
  /** minor units; left out where the whole is split */
  amount?: number;
  user: string;
}

export interface Row {
  at: string;
  /** RFC 8785 canonical JSON */
  body: unknown;
  /** SHA-256, hex, over label, payment, seq, id, kind, time in ms, body and prev */
  hash: string;
  id: string;
  kind: "snapshot" | "confirmation" | "decision";
  /** hash of the row before, empty for the first */
  prev: string;
  /** from 1, without gaps, per payment */
  seq: number;
}

export interface SafetyAcknowledgeIn {
  /** the id of the chosen option by question */
  answers?: Record<string, string>;
  /** from the refusal or the payment sheet */
  decision: string;
  /** payment id */
  payment: string;
  /** of the payment, as the payer sees it */
  version: number;
}

export interface SafetyApproveIn {
  /** payment id */
  payment: string;
  /** of the payment, from the request for approval */
  version: number;
}

export interface SafetyDecision {
  /** who acted: a user, or server */
  actor: string;
  /** the payer's answers by question */
  answers: Record<string, string>;
  /** of the trusted person */
  approval?: "asked" | "approved" | "refused";
  at: string;
  /** what the rules saw */
  facts: Facts;
  id: string;
  outcome: Outcome;
  payer: string;
  payment: string;
  result: "go" | "denied" | "limit" | "acknowledge" | "pause" | "approval" | "cooling_off";
  /** SHA-256, hex, of the rule file */
  rules: string;
  /** when it was made */
  step: "hold" | "edit" | "acknowledge" | "approval";
  /** of the payment */
  version: number;
  /** what a server key insisted on doing without */
  waived: string[];
}

export interface SafetyDecisionIn {
  decision: string;
}

export interface SafetyDecisionsIn {
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  payer?: string;
  payment?: string;
}

export interface SafetyDecisionsOut {
  items: SafetyDecision[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface SafetyOption {
  id: string;
  text: string;
}

export interface SafetyQuestion {
  id: string;
  options: SafetyOption[];
  text: string;
}

export interface SafetyStatus {
  payment: string;
  policy: Decision;
  /** what stands in the way now */
  result: "go" | "denied" | "limit" | "acknowledge" | "pause" | "approval" | "cooling_off";
}

export interface SafetyWarning {
  rule: string;
  text: string;
}

export interface SandboxFundInput {
  /** minor units */
  amount: number;
  /** ISO 4217 */
  currency: string;
  user: string;
}

export interface SharePayer {
  /** as shown to the others; absent in events */
  name?: string;
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

export interface SignOutIn {
  user: string;
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

export interface TokenRevokeIn {
  /** when the token expires by itself: it need not be remembered longer */
  expires: string;
  /** the token's jti */
  token_id: string;
}

export interface TopUpCreateInput {
  /** the user's payment method, in the rail's words */
  account?: string;
  /** minor units */
  amount: number;
  /** ISO 4217 */
  currency: string;
  user: string;
}

export interface TopUpInput {
  /** top-up id */
  topup: string;
}

export interface TopicHistoryIn {
  /** publications after this number; without it the last ones */
  after?: number;
  /** default 50 */
  limit?: number;
  /** segments of letters, digits and . _ @ - with colons between them */
  topic: string;
}

export interface TopicHistoryOut {
  /** in which seq counts; another epoch begins anew */
  epoch: string;
  /** some after after are not kept any more */
  gap: boolean;
  /** in order; less than asked for when they are more than 512 KiB */
  items: Event[];
  /** later ones are kept, too */
  more: boolean;
  /** of the last publication; 0 when there is none in this epoch */
  seq: number;
  topic: string;
}

export interface TopicIn {
  /** segments of letters, digits and . _ @ - with colons between them */
  topic: string;
}

export interface TopicInfo {
  /** sessions of this node */
  joined: number;
  topic: string;
}

export interface TopicJoinIn {
  /** without resume: how many of the last publications to send */
  last?: number;
  /** where the client was; what it missed is in history */
  resume?: TopicResume;
  /** segments of letters, digits and . _ @ - with colons between them */
  topic: string;
}

export interface TopicJoinOut {
  /** sessions that have joined, on all nodes; up to a few seconds old */
  count: number;
  /** in which seq counts; another epoch begins anew */
  epoch: string;
  /** publications since resume are missing before history */
  gap: boolean;
  /** what was missed, or the last publications asked for, in order; the topic's last is the last of them */
  history: Event[];
  /** of the last publication; 0 when there is none in this epoch */
  seq: number;
  topic: string;
}

export interface TopicPlace {
  /** in which seq counts; another epoch begins anew */
  epoch: string;
  /** of the last publication; 0 when there is none in this epoch */
  seq: number;
  topic: string;
}

export interface TopicPublishIn {
  /** made once per publication and repeated on resends: within five minutes it is published once */
  client_id?: string;
  /** any JSON, at most 64 KiB */
  data: unknown;
  /** segments of letters, digits and . _ @ - with colons between them */
  topic: string;
}

export interface TopicResume {
  /** of the last answer or event */
  epoch: string;
  /** of the last answer or event */
  seq: number;
}

export interface TopicState {
  /** sessions that have joined, on all nodes; up to a few seconds old */
  count: number;
  /** in which seq counts; another epoch begins anew */
  epoch: string;
  /** of the last publication; 0 when there is none in this epoch */
  seq: number;
  topic: string;
}

export interface Transfer {
  /** minor units */
  amount: number;
  created_at: string;
  /** ISO 4217 */
  currency: string;
  /** account or payment method, in the rail's words */
  destination?: string;
  /** name of the account's holder, as it was checked */
  holder?: string;
  id: string;
  kind: "payout" | "fund" | "authorise" | "refund";
  name_check?: "match" | "close_match" | "no_match" | "unavailable";
  /** what an authorisation or refund is for */
  payment?: string;
  /** ISO 20022 reason when refused or returned; review or another word when pending */
  reason?: string;
  /** unknown: the rail gave no answer and is asked until it does; returned: it was done and the money came back */
  state: "queued" | "sent" | "pending" | "unknown" | "done" | "refused" | "returned";
  updated_at: string;
  user: string;
}

export interface TransferListInput {
  /** next of the page before */
  cursor?: string;
  /** 50 if left out */
  limit?: number;
  state?: "queued" | "sent" | "pending" | "unknown" | "done" | "refused" | "returned";
  /** whose; a server key may leave it out for all */
  user?: string;
}

export interface TransferListOutput {
  items: Transfer[];
  /** cursor of the next page; empty on the last */
  next: string;
}

export interface Trusted {
  /** who follows; empty: nobody */
  next?: string;
  next_at?: string;
  since?: string;
  /** who approves; empty: nobody */
  trusted: string;
  user: string;
}

export interface TrustedIn {
  /** whose; a server key names one */
  user?: string;
}

export interface TrustedSetIn {
  /** who approves for them */
  trusted: string;
  /** whose; a server key names one */
  user?: string;
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
  "clock.advance": { params: { by: string; }; result: ClockOutput };
  "confirmations.open": { params: { payment: string; version?: number; }; result: Opened };
  "confirmations.submit": { params: { payment: string; assertion: unknown; locale?: string; nonce: string; sas: "match" | "none"; text?: string; transcript: string; version: number; idempotency_key: string; }; result: Payment };
  "conversations.accept": { params: { conversation: string; }; result: Conversation };
  "conversations.create": { params: { client_id?: string; kind: "direct" | "group" | "payment"; members: string[]; payment?: string; title?: string; }; result: Conversation };
  "conversations.get": { params: { conversation: string; }; result: Conversation };
  "conversations.list": { params: { cursor?: string; limit?: number; }; result: ConversationsOut };
  "conversations.update": { params: { conversation: string; title: string; }; result: Conversation };
  "conversions.accept": { params: { conversion: string; idempotency_key: string; }; result: Conversion };
  "conversions.get": { params: { conversion: string; }; result: Conversion };
  "conversions.quote": { params: { from: string; source?: number; target?: number; to: string; user?: string; idempotency_key: string; }; result: Conversion };
  "deliveries.list": { params: { cursor?: string; limit?: number; state?: "pending" | "succeeded" | "dead"; webhook: string; }; result: DeliveryListOutput };
  "deliveries.replay": { params: { webhook: string; dead_only?: boolean; delivery?: string; since?: string; }; result: DeliveryReplayOutput };
  "devices.list": { params: { user?: string; }; result: DevicesOut };
  "devices.sign_out": { params: { device: string; user?: string; }; result: None };
  "entries.list": { params: { after?: number; before?: number; conversation: string; limit?: number; }; result: EntriesOut };
  "evidence.get": { params: { payment: string; }; result: Bundle };
  "exchange.stock": { params: { amount: number; currency: string; user: string; idempotency_key: string; }; result: BalanceItem };
  "ledger.accounts.close": { params: { account: string; currency: string; }; result: LedgerAccount };
  "ledger.accounts.get": { params: { account: string; currency: string; }; result: LedgerAccount };
  "ledger.accounts.list": { params: { account?: string; currency?: string; cursor?: string; kind?: string; limit?: number; }; result: LedgerAccountListOutput };
  "ledger.accounts.metadata": { params: { account: string; currency: string; metadata: Record<string, string>; }; result: LedgerAccount };
  "ledger.accounts.open": { params: { account: string; ceiling?: number; currency: string; may_go_negative?: boolean; metadata?: Record<string, string>; }; result: LedgerAccount };
  "ledger.balance": { params: { account: string; as_of?: string; by?: "recorded" | "effective"; currency: string; }; result: LedgerBalanceOutput };
  "ledger.statement": { params: { account: string; currency: string; cursor?: string; from?: string; limit?: number; until?: string; }; result: LedgerStatementOutput };
  "ledger.transfers.create": { params: { transfers: LedgerMove[]; idempotency_key: string; }; result: LedgerTransfersOutput };
  "ledger.transfers.get": { params: { transfer: string; }; result: Entry };
  "ledger.transfers.list": { params: { account?: string; currency?: string; cursor?: string; limit?: number; reference?: string; }; result: LedgerTransferListOutput };
  "ledger.transfers.post": { params: { transfer: string; legs?: Posting[]; note?: string; idempotency_key: string; }; result: Entry };
  "ledger.transfers.reverse": { params: { transfer: string; note?: string; idempotency_key: string; }; result: Entry };
  "ledger.transfers.void": { params: { transfer: string; note?: string; idempotency_key: string; }; result: Entry };
  "links.cancel": { params: { link: string; idempotency_key: string; }; result: Link };
  "links.create": { params: { amount?: number; amount_max?: number; amount_min?: number; confirm?: "live" | "none"; currency: string; expires_in?: number; memo?: string; order?: string; payee?: string; uses?: number; idempotency_key: string; }; result: Link };
  "links.get": { params: { link: string; }; result: Link };
  "links.list": { params: { cursor?: string; limit?: number; payee?: string; }; result: LinkListOutput };
  "links.pay": { params: { link: string; amount?: number; idempotency_key: string; }; result: Payment };
  "members.add": { params: { conversation: string; user: string; }; result: Conversation };
  "members.remove": { params: { conversation: string; user: string; }; result: None };
  "messages.delete": { params: { conversation: string; message: string; }; result: Event };
  "messages.edit": { params: { conversation: string; message: string; text: string; }; result: Event };
  "messages.send": { params: { conversation: string; client_id: string; reply_to?: string; text: string; }; result: Event };
  "nodes.drain": { params: { node: string; within_s?: number; }; result: Node };
  "nodes.list": { params: Record<string, never>; result: NodesOut };
  "nodes.undrain": { params: { node: string; }; result: Node };
  "operator.overview": { params: Record<string, never>; result: Overview };
  "passkeys.list": { params: Record<string, never>; result: PasskeysOut };
  "passkeys.register_begin": { params: Record<string, never>; result: Registration };
  "passkeys.register_finish": { params: { credential: unknown; session: string; }; result: Passkey };
  "passkeys.remove": { params: { passkey: string; }; result: None };
  "payments.answer": { params: { payment: string; text: string; idempotency_key: string; }; result: Payment };
  "payments.cancel": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payments.capture": { params: { payment: string; amount?: number; final?: boolean; idempotency_key: string; }; result: Payment };
  "payments.create": { params: { amount: number; capture?: "automatic" | "manual"; confirm?: "live" | "none"; conversation?: string; currency: string; expires_in?: number; memo?: string; order?: string; payee?: string; payer?: string; idempotency_key: string; }; result: Payment };
  "payments.decline": { params: { payment: string; reason?: "not_mine" | "wrong_amount" | "already_paid" | "unknown_sender" | "not_now" | "other"; idempotency_key: string; }; result: Payment };
  "payments.edit": { params: { payment: string; amount?: number; memo?: string; version?: number; idempotency_key: string; }; result: Payment };
  "payments.extend": { params: { payment: string; expires_in: number; idempotency_key: string; }; result: Payment };
  "payments.get": { params: { payment: string; }; result: Payment };
  "payments.hold": { params: { payment: string; account?: string; acknowledge?: AcknowledgeIn; signals?: string[]; source?: "balance" | "rail"; version?: number; idempotency_key: string; }; result: Payment };
  "payments.list": { params: { conversation?: string; cursor?: string; limit?: number; state?: "requested" | "held" | "confirming" | "confirmed" | "part_captured" | "captured" | "part_refunded" | "refunded" | "declined" | "expired" | "cancelled" | "voided" | "review" | "disputed"; }; result: PaymentListOutput };
  "payments.reduce": { params: { payment: string; amount: number; idempotency_key: string; }; result: Payment };
  "payments.refund": { params: { payment: string; amount?: number; idempotency_key: string; }; result: Payment };
  "payments.remind": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payments.report": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payments.resolve": { params: { payment: string; outcome: "payer" | "payee"; idempotency_key: string; }; result: Payment };
  "payments.sheet": { params: { payment: string; }; result: Sheet };
  "payments.void": { params: { payment: string; idempotency_key: string; }; result: Payment };
  "payouts.check": { params: { destination: string; holder: string; }; result: PayoutCheckOutput };
  "payouts.create": { params: { accept_name?: boolean; amount: number; currency: string; destination: string; holder?: string; user?: string; idempotency_key: string; }; result: Transfer };
  "payouts.get": { params: { payout: string; }; result: Transfer };
  "payouts.list": { params: { cursor?: string; limit?: number; state?: "queued" | "sent" | "pending" | "unknown" | "done" | "refused" | "returned"; user?: string; }; result: TransferListOutput };
  "presence.get": { params: { users: string[]; }; result: PresenceGetOut };
  "presence.set": { params: PresenceSetIn; result: None };
  "rates.list": { params: Record<string, never>; result: RatesOutput };
  "rates.put": { params: { from: string; price: string; to: string; }; result: RateItem };
  "receipts.mark": { params: { conversation: string; delivered?: number; read?: number; }; result: Receipt };
  "requests.cancel": { params: { request: string; idempotency_key: string; }; result: GroupRequest };
  "requests.create": { params: { amount?: number; conversation?: string; currency: string; expires_in?: number; memo?: string; payee?: string; payers: RequestShare[]; split?: "equal"; idempotency_key: string; }; result: GroupRequest };
  "requests.get": { params: { request: string; }; result: GroupRequest };
  "requests.list": { params: { cursor?: string; limit?: number; }; result: RequestListOutput };
  "requests.review": { params: { user: string; clear?: boolean; }; result: AskingReview };
  "safety.acknowledge": { params: { payment: string; answers?: Record<string, string>; decision: string; version: number; }; result: SafetyStatus };
  "safety.approve": { params: { payment: string; version: number; }; result: Approval };
  "safety.decision": { params: { decision: string; }; result: SafetyDecision };
  "safety.decisions": { params: { cursor?: string; limit?: number; payer?: string; payment?: string; }; result: SafetyDecisionsOut };
  "safety.refuse": { params: { payment: string; version: number; }; result: Approval };
  "sandbox.fund": { params: { amount: number; currency: string; user: string; idempotency_key: string; }; result: BalanceItem };
  "tokens.revoke": { params: { expires: string; token_id: string; }; result: None };
  "topic.join": { params: TopicJoinIn; result: TopicJoinOut };
  "topic.leave": { params: TopicIn; result: None };
  "topic.publish": { params: { topic: string; client_id?: string; data: unknown; }; result: TopicPlace };
  "topics.get": { params: { topic: string; }; result: TopicState };
  "topics.history": { params: { after?: number; limit?: number; topic: string; }; result: TopicHistoryOut };
  "topups.create": { params: { account?: string; amount: number; currency: string; user: string; idempotency_key: string; }; result: Transfer };
  "topups.get": { params: { topup: string; }; result: Transfer };
  "topups.list": { params: { cursor?: string; limit?: number; state?: "queued" | "sent" | "pending" | "unknown" | "done" | "refused" | "returned"; user?: string; }; result: TransferListOutput };
  "trusted.get": { params: { user?: string; }; result: Trusted };
  "trusted.remove": { params: { user?: string; }; result: Trusted };
  "trusted.set": { params: { trusted: string; user?: string; }; result: Trusted };
  "typing.set": { params: TypingIn; result: None };
  "users.block": { params: { user: string; }; result: Block };
  "users.blocks": { params: { cursor?: string; limit?: number; }; result: BlocksOut };
  "users.get": { params: { user: string; }; result: User };
  "users.me": { params: Record<string, never>; result: User };
  "users.put": { params: { user: string; country?: string; name: string; restricted?: boolean; verified_name?: string; }; result: User };
  "users.sign_out": { params: { user: string; }; result: None };
  "users.unblock": { params: { user: string; }; result: None };
  "webhooks.create": { params: { description?: string; events?: string[]; url: string; }; result: WebhookEndpoint };
  "webhooks.delete": { params: { webhook: string; }; result: None };
  "webhooks.get": { params: { webhook: string; }; result: WebhookEndpoint };
  "webhooks.list": { params: Record<string, never>; result: WebhookListOutput };
  "webhooks.rotate": { params: { webhook: string; keep_s?: number; }; result: WebhookEndpoint };
  "webhooks.test": { params: { webhook: string; type?: string; }; result: Delivery };
  "webhooks.update": { params: { webhook: string; description?: string; disabled?: boolean; events?: string[]; url?: string; }; result: WebhookEndpoint };
}

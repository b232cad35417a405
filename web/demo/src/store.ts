import type {
  Approval,
  Balance,
  Call,
  ConnectionState,
  Conversation,
  Message,
  Parley,
  Passkey,
  Payment,
  PaymentUpdate,
  Presence,
  User,
  WireEvent,
} from "@parley/client";
import { safetyStop } from "@parley/client";
import { Approvals } from "./approvals.ts";
import { type Dialog, keepSheet, keptSheet } from "./dialogs.ts";
import { GroupRequests } from "./groups.ts";
import { hidesAddress } from "./preferences.ts";
import { explain } from "./problems.ts";

/** A conversation as the screen needs it. */
export interface Thread {
  conversation: Conversation;
  /** Oldest first; empty until opened once. */
  entries: WireEvent[];
  loaded: boolean;
  /** Older entries can be fetched. */
  more: boolean;
  typing: Map<string, ReturnType<typeof setTimeout>>;
}

/** A message on its way. */
export interface Sending {
  client_id: string;
  conversation: string;
  text: string;
  at: string;
  problem?: string;
}

/** When a conversation last moved. Times are compared as times: their texts differ in length. */
const time = (thread: Thread) => Date.parse(thread.conversation.updated_at);

const TYPING_SHOWN_MS = 6_000;
const TYPING_SENT_MS = 3_000;
const PAGE = 60;
const MONEY_MOVES = new Set(["payout.updated", "topup.updated", "conversion.accepted"]);

/** Everything on the screen, and what the buttons do. */
export class Store {
  readonly parley: Parley;
  me: User | undefined;
  threads = new Map<string, Thread>();
  presence = new Map<string, Presence>();
  payments = new Map<string, Payment>();
  balances: Balance[] = [];
  passkeys: Passkey[] | undefined;
  sending: Sending[] = [];
  selected: string | undefined;
  dialog: Dialog | undefined = keptSheet();
  readonly approvals: Approvals;
  readonly groups: GroupRequests;
  call: Call | undefined;
  ringing: Call | undefined;
  ready = false;
  /** A sentence for everybody, also read out. */
  notice: { text: string; tone: "calm" | "bad" } | undefined;
  /** What an unseen reader is told besides. */
  spoken = "";
  #listeners = new Set<() => void>();
  #dirty = false;
  #typingSent = 0;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(parley: Parley) {
    this.parley = parley;
    this.approvals = new Approvals(parley);
    this.groups = new GroupRequests(parley);
    parley.on("state", () => this.changed());
    parley.on("opened", () => void this.#refresh());
    parley.on("event", (event) => this.#take(event));
    parley.on("outbox", () => this.changed());
    parley.calls.on("incoming", (call) => this.#incoming(call));
    parley.calls.on("changed", (call) => this.#callChanged(call));
    document.addEventListener("visibilitychange", () => this.#visible());
    addEventListener("hashchange", () => this.#readHash());
    this.#readHash();
  }

  get connection(): ConnectionState {
    return this.parley.state;
  }

  get thread(): Thread | undefined {
    return this.selected ? this.threads.get(this.selected) : undefined;
  }

  /** Newest first; a person's own record is not a conversation to look at. */
  get list(): Thread[] {
    const shown = [...this.threads.values()].filter((t) => t.conversation.kind !== "self");
    return shown.sort((a, b) => time(b) - time(a));
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    queueMicrotask(() => {
      this.#dirty = false;
      for (const listener of this.#listeners) listener();
    });
  }

  name(user: string): string {
    if (user === this.parley.user) return "You";
    for (const { conversation } of this.threads.values()) {
      const member = conversation.members.find((m) => m.user === user);
      if (member?.name) return member.name;
    }
    return user;
  }

  /** A person's name, also one's own. */
  fullName(user: string): string {
    return user === this.parley.user ? this.me?.verified_name || this.me?.name || user : this.name(user);
  }

  title(conversation: Conversation): string {
    if (conversation.title) return conversation.title;
    const others = conversation.members.filter((m) => m.user !== this.parley.user);
    return others.map((m) => m.name || m.user).join(", ") || "Just you";
  }

  /** The other person of a conversation of two. */
  partner(conversation: Conversation): string | undefined {
    const others = conversation.members.filter((m) => m.user !== this.parley.user);
    return others.length === 1 ? others[0]?.user : undefined;
  }

  /** Everybody this person shares a conversation with. */
  get people(): string[] {
    const all = [...this.threads.values()].flatMap((t) => t.conversation.members.map((m) => m.user));
    return [...new Set(all)].filter((u) => u !== this.parley.user).sort();
  }

  select(conversation: string | undefined): void {
    const hash = conversation ? `#/${conversation}` : "#/";
    if (location.hash !== hash) history.pushState(null, "", hash);
    this.#readHash();
  }

  open(dialog: Dialog | undefined): void {
    this.dialog = dialog;
    keepSheet(dialog);
    this.changed();
  }

  say(text: string, tone: "calm" | "bad" = "calm"): void {
    this.notice = { text, tone };
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => this.dismiss(), tone === "bad" ? 9_000 : 5_000);
    this.changed();
  }

  dismiss(): void {
    this.notice = undefined;
    this.changed();
  }

  /**
   * Runs what a button started; what goes wrong is said once, here. Where the
   * hub asks for something before `payment`, its sheet says what.
   */
  async run<T>(work: () => Promise<T>, payment?: string): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (payment && safetyStop(error)) this.open({ kind: "sheet", payment });
      else this.say(explain(error), "bad");
      return undefined;
    }
  }

  send(conversation: string, text: string): void {
    const { client_id, sent } = this.parley.messages.send(conversation, text);
    const sending: Sending = { client_id, conversation, text, at: new Date().toISOString() };
    this.sending.push(sending);
    this.#typingSent = 0;
    sent.then(
      () => this.#sent(client_id),
      (error) => {
        sending.problem = explain(error);
        this.changed();
      },
    );
    this.changed();
  }

  /** Takes back a message that was refused. */
  discard(client_id: string): void {
    this.#sent(client_id);
  }

  typing(conversation: string): void {
    if (Date.now() - this.#typingSent < TYPING_SENT_MS) return;
    this.#typingSent = Date.now();
    this.parley.messages.typing(conversation, true);
  }

  async loadOlder(thread: Thread): Promise<void> {
    const before = thread.entries[0]?.seq;
    if (!before || !thread.more) return;
    const page = await this.parley.conversations.entries(thread.conversation.id, { before, limit: PAGE });
    thread.more = page.more;
    thread.entries = [...page.entries, ...thread.entries];
    for (const entry of page.entries) this.#takePayment(entry);
    this.changed();
  }

  async startCall(options: { conversation?: string; payment?: string }): Promise<void> {
    const relayOnly = hidesAddress();
    const call = await this.run(() => this.parley.calls.start({ ...options, relayOnly }));
    if (call) this.#callChanged(call);
  }

  async answer(call: Call): Promise<void> {
    this.ringing = undefined;
    this.call = call;
    const home = call.record.conversation ?? "";
    this.select(this.threads.has(home) ? home : undefined);
    this.changed();
    await this.run(() => call.answer());
  }

  /** Makes sure that a payment is known; its changes come by themselves. */
  async fetchPayment(id: string): Promise<void> {
    if (this.payments.has(id)) return;
    const payment = await this.parley.payments.get(id).catch(() => undefined);
    if (payment) this.takePaymentState(payment);
  }

  takePaymentState(payment: Payment): void {
    const known = this.payments.get(payment.id);
    if (!known || Date.parse(known.updated_at) <= Date.parse(payment.updated_at))
      this.payments.set(payment.id, payment);
    this.changed();
  }

  async refreshBalances(): Promise<void> {
    this.balances = await this.parley.payments.balances().catch(() => this.balances);
    this.changed();
  }

  /** Makes sure of a passkey on this device, with an explanation before the first. */
  async ensurePasskey(): Promise<boolean> {
    this.passkeys ??= await this.parley.passkeys.list();
    if (this.passkeys.some((p) => !p.device || p.device === this.parley.device)) return true;
    return new Promise((resolve) => this.open({ kind: "passkey", resolve }));
  }

  async makePasskey(): Promise<void> {
    const passkey = await this.parley.passkeys.register();
    this.passkeys = [...(this.passkeys ?? []), passkey];
  }

  async #refresh(): Promise<void> {
    const [me, conversations] = await Promise.all([this.parley.me(), this.parley.conversations.list()]).catch(
      () => [],
    );
    if (!me || !conversations) return;
    this.me = me;
    for (const conversation of conversations) this.#putConversation(conversation);
    await this.approvals.load(conversations.find((c) => c.kind === "self")?.id);
    this.ready = true;
    this.changed();
    void this.refreshBalances();
    void this.#refreshPresence();
    if (this.selected) await this.#loadThread(this.selected);
    await this.parley.calls.rejoin().catch(() => undefined);
  }

  async #refreshPresence(): Promise<void> {
    const people = this.people;
    if (people.length === 0) return;
    const list = await this.parley.presence.get(people).catch(() => []);
    for (const presence of list) this.presence.set(presence.user, presence);
    this.changed();
  }

  #putConversation(conversation: Conversation): Thread {
    const known = this.threads.get(conversation.id);
    if (known) {
      known.conversation = conversation;
      return known;
    }
    const thread: Thread = { conversation, entries: [], loaded: false, more: false, typing: new Map() };
    this.threads.set(conversation.id, thread);
    return thread;
  }

  async #loadThread(id: string): Promise<void> {
    const thread = this.threads.get(id);
    if (!thread || thread.loaded) return;
    const page = await this.parley.conversations.entries(id, { limit: PAGE }).catch(() => undefined);
    if (!page) return;
    const live = thread.entries.filter((e) => (e.seq ?? 0) > (page.entries.at(-1)?.seq ?? 0));
    thread.entries = [...page.entries, ...live];
    thread.more = page.more;
    thread.loaded = true;
    for (const entry of page.entries) this.#takePayment(entry);
    this.changed();
    this.#markRead(thread);
  }

  #readHash(): void {
    const id = /^#\/(.+)$/.exec(location.hash)?.[1];
    this.selected = id;
    this.changed();
    if (!id) return;
    void this.#loadThread(id);
    const thread = this.threads.get(id);
    if (thread) this.#markRead(thread);
  }

  #take(event: WireEvent): void {
    if (event.type === "typing") this.#takeTyping(event);
    else if (event.type === "presence.updated") {
      const presence = event.data as Presence;
      this.presence.set(presence.user, presence);
    } else if (event.type === "receipt.updated") this.#takeReceipt(event);
    else if (event.seq && event.conversation) void this.#takeEntry(event, event.conversation);
    this.changed();
  }

  async #takeEntry(event: WireEvent, id: string): Promise<void> {
    let thread = this.threads.get(id);
    this.#takePayment(event);
    this.#takeOwn(event);
    if (!thread || event.type.startsWith("member.") || event.type === "conversation.updated") {
      const conversation = await this.parley.conversations.get(id).catch(() => undefined);
      if (!conversation) return;
      thread = this.#putConversation(conversation);
      void this.#refreshPresence();
    }
    if (thread.loaded && (event.seq ?? 0) > (thread.entries.at(-1)?.seq ?? 0)) thread.entries.push(event);
    const { conversation } = thread;
    conversation.head = Math.max(conversation.head, event.seq ?? 0);
    conversation.last = event;
    conversation.updated_at = event.time;
    if (event.type === "message.created") this.#takeMessage(thread, event as WireEvent<Message>);
    else this.#markSeen(thread);
    this.changed();
  }

  #takeMessage(thread: Thread, event: WireEvent<Message>): void {
    const { conversation } = thread;
    if (event.author) this.#stopTyping(thread, event.author);
    if (event.author === this.parley.user) {
      this.#sent(event.data.client_id ?? "");
      return;
    }
    if (!this.#watching(conversation.id)) {
      conversation.unread++;
      this.spoken = `New message from ${this.name(event.author ?? "")}`;
    }
    this.#markSeen(thread);
  }

  #sent(client_id: string): void {
    this.sending = this.sending.filter((s) => s.client_id !== client_id);
    this.changed();
  }

  #takePayment(event: WireEvent): void {
    if (event.type !== "payment.updated") return;
    const { payment } = event.data as PaymentUpdate;
    this.takePaymentState(payment);
    if (event.seq) void this.refreshBalances();
  }

  /** News of one's own log: approvals, requests to several people, money that comes back. */
  #takeOwn(event: WireEvent): void {
    this.groups.take(event);
    if (this.approvals.take(event) && event.type === "safety.approval_requested") {
      this.spoken = `${this.name((event.data as Approval).payer)} asks you to approve a payment`;
    }
    const { payment, change } = event.data as Partial<PaymentUpdate>;
    // The first requests of somebody one never paid make no noise at all.
    const asked = change === "requested" && payment?.payer === this.parley.user && !payment.silent;
    if (asked) this.spoken = payment.headline.text;
    if (MONEY_MOVES.has(event.type)) void this.refreshBalances();
  }

  #takeTyping(event: WireEvent): void {
    const thread = this.threads.get(event.conversation ?? "");
    const { user, typing } = event.data as { user: string; typing: boolean };
    if (!thread || user === this.parley.user) return;
    this.#stopTyping(thread, user);
    if (!typing) return;
    thread.typing.set(
      user,
      setTimeout(() => this.#stopTyping(thread, user), TYPING_SHOWN_MS),
    );
  }

  #stopTyping(thread: Thread, user: string): void {
    clearTimeout(thread.typing.get(user));
    if (thread.typing.delete(user)) this.changed();
  }

  #takeReceipt(event: WireEvent): void {
    const { user, delivered, read } = event.data as { user: string; delivered: number; read: number };
    const conversation = this.threads.get(event.conversation ?? "")?.conversation;
    const member = conversation?.members.find((m) => m.user === user);
    if (!member || !conversation) return;
    member.delivered = Math.max(member.delivered, delivered);
    member.read = Math.max(member.read, read);
    if (user === this.parley.user && read >= conversation.head) conversation.unread = 0;
  }

  #watching(conversation: string): boolean {
    return this.selected === conversation && document.visibilityState === "visible";
  }

  #markSeen(thread: Thread): void {
    if (this.#watching(thread.conversation.id)) this.#markRead(thread);
    else this.#mark(thread, { delivered: thread.conversation.head });
  }

  #markRead(thread: Thread): void {
    if (!this.#watching(thread.conversation.id)) return;
    thread.conversation.unread = 0;
    this.#mark(thread, { read: thread.conversation.head });
  }

  #mark(thread: Thread, seqs: { delivered?: number; read?: number }): void {
    const mine = thread.conversation.members.find((m) => m.user === this.parley.user);
    if (!mine || thread.conversation.head === 0) return;
    if ((seqs.read ?? 0) <= mine.read && (seqs.delivered ?? 0) <= mine.delivered) return;
    mine.read = Math.max(mine.read, seqs.read ?? 0);
    mine.delivered = Math.max(mine.delivered, mine.read, seqs.delivered ?? 0);
    void this.parley.messages.mark(thread.conversation.id, seqs).catch(() => undefined);
  }

  #visible(): void {
    const here = document.visibilityState === "visible";
    void this.parley.presence.set(here ? "online" : "away").catch(() => undefined);
    if (here && this.thread) this.#markRead(this.thread);
  }

  #incoming(call: Call): void {
    if (this.call && this.call.phase !== "ended") return;
    this.ringing = call;
    this.spoken = `${this.name(call.record.from.user)} is calling`;
    this.changed();
  }

  #callChanged(call: Call): void {
    if (this.ringing === call && call.phase !== "incoming") this.ringing = undefined;
    const mine = call.phase !== "incoming" && call.phase !== "ended";
    if (mine && (!this.call || this.call.phase === "ended")) this.call = call;
    if (this.call === call && call.phase === "ended") this.#callEnded(call);
    this.changed();
  }

  #callEnded(call: Call): void {
    this.call = undefined;
    const { verified, text, reason } = call.record;
    if (verified === "words_differ" || call.differs) {
      this.say("The words differ. Do not continue on this line; the payment is under review.", "bad");
    } else if (reason && reason !== "completed" && reason !== "cancelled") {
      this.say(text || "The call has ended.");
    } else {
      // The log shows it; only those who do not see it are told.
      this.spoken = "The call has ended.";
    }
  }
}

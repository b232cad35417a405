import type {
  CallRecord,
  Conversation,
  GroupRequest,
  Message,
  PaymentUpdate,
  WireEvent,
} from "@parley/client";
import { callSummary, clock, day } from "../format.ts";

import type { Sending, Store, Thread } from "../store.ts";
import { useStore } from "./context.ts";
import { GroupRequestCard } from "./group_request.tsx";
import { Icon } from "./icons.tsx";
import { PaymentCard } from "./payment_card.tsx";
import { paymentLine } from "./payment_words.ts";

/** The entries of a conversation, oldest first, with a heading per day. */
export function Log({ thread }: { thread: Thread }) {
  const store = useStore();
  const view = digest(thread.entries);
  const sending = store.sending.filter((s) => s.conversation === thread.conversation.id);
  let lastDay = "";
  let lastAuthor: string | undefined;
  return (
    <ol class="entries">
      {thread.more && (
        <li class="centre">
          <button type="button" class="quiet-button" onClick={() => void store.loadOlder(thread)}>
            Earlier messages
          </button>
        </li>
      )}
      {thread.entries.map((entry) => {
        const body = <Entry store={store} thread={thread} entry={entry} view={view} follows={lastAuthor} />;
        if (!shown(entry, view)) return null;
        lastAuthor = entry.type === "message.created" ? entry.author : undefined;
        const heading = day(entry.time);
        const isNew = heading !== lastDay;
        lastDay = heading;
        return [
          isNew && (
            <li key={`day-${heading}`} class="day">
              <span>{heading}</span>
            </li>
          ),
          <li key={entry.seq}>{body}</li>,
        ];
      })}
      {sending.map((message) => (
        <li key={message.client_id}>
          <SendingBubble store={store} message={message} />
        </li>
      ))}
      {thread.typing.size > 0 && (
        <li key="typing" class="typing" aria-hidden="true">
          <i />
          <i />
          <i />
        </li>
      )}
    </ol>
  );
}

/** What later entries say about earlier ones. */
interface Digest {
  /** The newest text of an edited or deleted message, by id. */
  messages: Map<string, Message>;
  /** The seq of a payment's newest entry: only that one shows the card. */
  payments: Map<string, number>;
  /** Calls whose end is in the log too. */
  ended: Set<string>;
}

function digest(entries: WireEvent[]): Digest {
  const view: Digest = { messages: new Map(), payments: new Map(), ended: new Set() };
  for (const { type, data, seq } of entries) {
    if (type === "message.edited" || type === "message.deleted") {
      const message = data as Message;
      view.messages.set(message.id, type === "message.deleted" ? { ...message, deleted: true } : message);
    } else if (type === "payment.updated") {
      view.payments.set((data as PaymentUpdate).payment.id, seq ?? 0);
    } else if (type === "call.ended") {
      view.ended.add((data as { call: CallRecord }).call.id);
    }
  }
  return view;
}

function shown(entry: WireEvent, view: Digest): boolean {
  if (entry.type === "message.edited" || entry.type === "message.deleted") return false;
  if (entry.type === "call.started") return !view.ended.has((entry.data as { call: CallRecord }).call.id);
  return true;
}

interface EntryProps {
  store: Store;
  thread: Thread;
  entry: WireEvent;
  view: Digest;
  follows: string | undefined;
}

function Entry({ store, thread, entry, view, follows }: EntryProps) {
  switch (entry.type) {
    case "message.created":
      return (
        <Bubble store={store} thread={thread} entry={entry} view={view} follows={follows === entry.author} />
      );
    case "payment.updated": {
      const { payment } = entry.data as PaymentUpdate;
      if (view.payments.get(payment.id) === entry.seq) return <PaymentCard payment={payment} />;
      return (
        <Line
          icon="coin"
          text={paymentLine(payment, store.parley.user, (u) => store.name(u))}
          time={entry.time}
        />
      );
    }
    case "request.updated":
      return <GroupRequestCard request={(entry.data as { request: GroupRequest }).request} store={store} />;
    case "call.started":
      return <CallCard store={store} call={(entry.data as { call: CallRecord }).call} running />;
    case "call.ended":
      return <CallCard store={store} call={(entry.data as { call: CallRecord }).call} />;
    case "member.joined":
      return <Line text={`${store.name((entry.data as { user: string }).user)} joined`} time={entry.time} />;
    case "member.left":
      return <Line text={`${store.name((entry.data as { user: string }).user)} left`} time={entry.time} />;
    case "conversation.updated":
      return <Line text={`Now called “${(entry.data as { title: string }).title}”`} time={entry.time} />;
    case "note":
      return <Line icon="warn" text={(entry.data as { text: string }).text} time={entry.time} />;
    default:
      return null;
  }
}

function Bubble(props: { store: Store; thread: Thread; entry: WireEvent; view: Digest; follows: boolean }) {
  const { store, thread, entry, view, follows } = props;
  const first = entry.data as Message;
  const message = view.messages.get(first.id) ?? first;
  const mine = entry.author === store.parley.user;
  const group = thread.conversation.members.length > 2;
  return (
    <div class={`bubble ${mine ? "mine" : "theirs"} ${follows ? "follows" : ""}`}>
      {mine && <span class="unseen">You: </span>}
      {!mine && (group && !follows ? <span class="bubble-who">{store.name(entry.author ?? "")}</span> : null)}
      {!mine && (!group || follows) && <span class="unseen">{store.name(entry.author ?? "")}: </span>}
      <span class={message.deleted ? "muted" : ""}>{message.deleted ? "Message deleted" : message.text}</span>
      <span class="bubble-meta numbers">
        {message !== first && !message.deleted && "edited · "}
        <time dateTime={entry.time}>{clock(entry.time)}</time>
        {mine && <Ticks conversation={thread.conversation} me={store.parley.user} seq={entry.seq ?? 0} />}
      </span>
    </div>
  );
}

/** One tick: the hub has it. Two: it reached everybody. Two in colour: everybody has read it. */
function Ticks({ conversation, me, seq }: { conversation: Conversation; me: string; seq: number }) {
  const others = conversation.members.filter((m) => m.user !== me);
  const read = others.length > 0 && others.every((m) => m.read >= seq);
  const delivered = others.length > 0 && others.every((m) => m.delivered >= seq);
  const label = read ? "Read" : delivered ? "Delivered" : "Sent";
  return (
    <span class={`ticks ${read ? "is-read" : ""}`} role="img" aria-label={label} title={label}>
      <Icon name={delivered || read ? "checks" : "check"} size={15} />
    </span>
  );
}

function SendingBubble({ store, message }: { store: Store; message: Sending }) {
  return (
    <div class={`bubble mine ${message.problem ? "refused" : "waiting"}`}>
      <span class="unseen">You: </span>
      <span>{message.text}</span>
      <span class="bubble-meta numbers">
        {clock(message.at)}
        {!message.problem && (
          <span class="ticks" role="img" aria-label="Waiting to be sent" title="Waiting to be sent">
            <Icon name="clock" size={14} />
          </span>
        )}
      </span>
      {message.problem && (
        <span class="bubble-problem">
          Not sent. {message.problem}{" "}
          <button type="button" class="link-button" onClick={() => store.discard(message.client_id)}>
            Remove
          </button>
        </span>
      )}
    </div>
  );
}

function Line({ text, time, icon }: { text: string; time: string; icon?: "coin" | "warn" }) {
  return (
    <p class="line">
      {icon && <Icon name={icon} size={15} />}
      <span>{text}</span>
      <time dateTime={time} class="numbers">
        {clock(time)}
      </time>
    </p>
  );
}

function CallCard({ store, call, running = false }: { store: Store; call: CallRecord; running?: boolean }) {
  const me = store.parley.user;
  const missed = !running && !call.active_at && call.from.user !== me;
  const text = running ? runningText(store, call) : callSummary(call, me, (u) => store.name(u));
  const again = missed && !store.call;
  return (
    <div class={`call-card ${missed ? "is-missed" : ""}`}>
      <Icon name={missed ? "missed" : "phone"} />
      <span class="call-card-words">
        <span>{text}</span>
        <span class="muted numbers">
          {clock(call.created_at)}
          {call.verified === "words_match" && " · words compared"}
          {call.verified === "words_differ" && " · words differed"}
        </span>
      </span>
      {again && (
        <button type="button" class="small-button" onClick={() => void store.startCall(callBack(call))}>
          Call back
        </button>
      )}
    </div>
  );
}

function runningText(store: Store, call: CallRecord): string {
  const here = store.call?.id === call.id && store.call.phase !== "outgoing";
  if (here) return "In a call now";
  return call.from.user === store.parley.user
    ? "You are calling"
    : `${store.name(call.from.user)} is calling`;
}

function callBack(call: CallRecord): { payment?: string; conversation?: string } {
  return call.payment ? { payment: call.payment } : { conversation: call.conversation ?? "" };
}

import type { Conversation } from "@parley/client";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { shortTime } from "../format.ts";
import type { Store, Thread } from "../store.ts";
import { Avatar, presenceText } from "./avatar.tsx";
import { CallPanel } from "./call_panel.tsx";
import { Composer } from "./composer.tsx";
import { useStore } from "./context.ts";
import { Icon } from "./icons.tsx";
import { Log } from "./log.tsx";

/** One conversation: who it is with, the call if there is one, the log, the line to write on. */
export function ThreadPane({ thread }: { thread: Thread }) {
  const store = useStore();
  const { conversation } = thread;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // On a phone the row that was pressed is gone with its list: go on reading here.
    if (document.activeElement === document.body) heading.current?.focus();
  }, []);
  const inCall = store.call && store.call.record.conversation === conversation.id;
  return (
    <>
      <Header store={store} thread={thread} heading={heading} />
      {inCall && store.call && <CallPanel call={store.call} />}
      <Scroller thread={thread} sending={store.sending.length}>
        <Log thread={thread} />
      </Scroller>
      <Composer conversation={conversation.id} />
    </>
  );
}

function Header(props: { store: Store; thread: Thread; heading: RefObject<HTMLHeadingElement> }) {
  const { store, thread, heading } = props;
  const { conversation } = thread;
  const partner = store.partner(conversation);
  const title = store.title(conversation);
  const state = partner ? (store.presence.get(partner)?.state ?? "offline") : undefined;
  return (
    <header class="thread-head">
      <button
        type="button"
        class="icon-button only-phone"
        aria-label="Back to conversations"
        onClick={() => store.select(undefined)}
      >
        <Icon name="back" />
      </button>
      <Avatar user={partner ?? conversation.id} name={title} {...(state ? { presence: state } : {})} />
      <div class="thread-who">
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <p class="muted" aria-live="polite">
          {underTitle(store, thread)}
        </p>
      </div>
      {conversation.members.length > 1 && (
        <button
          type="button"
          class="icon-button"
          aria-label="Ask for money"
          title="Ask for money"
          onClick={() =>
            store.open({ kind: partner ? "request" : "ask_group", conversation: conversation.id })
          }
        >
          <Icon name="coin" />
        </button>
      )}
      <button
        type="button"
        class="icon-button"
        aria-label={`Call ${title}`}
        title="Call"
        disabled={store.call !== undefined || conversation.members.length < 2}
        onClick={() => void store.startCall({ conversation: conversation.id })}
      >
        <Icon name="phone" />
      </button>
    </header>
  );
}

function underTitle(store: Store, thread: Thread): string {
  const { conversation } = thread;
  if (thread.typing.size > 0) {
    const names = [...thread.typing.keys()].map((user) => store.name(user));
    return conversation.members.length > 2 ? `${names.join(", ")} typing…` : "typing…";
  }
  const partner = store.partner(conversation);
  if (!partner) return groupLine(store, conversation);
  const presence = store.presence.get(partner);
  if (presence?.state === "offline" && presence.last_seen)
    return `Last seen ${shortTime(presence.last_seen)}`;
  return presenceText[presence?.state ?? "offline"];
}

function groupLine(store: Store, conversation: Conversation): string {
  return conversation.members.map((m) => store.name(m.user)).join(", ");
}

/** Keeps the newest in sight while the reader is at the end, and the reader's place while older entries come in above. */
function Scroller(props: { thread: Thread; sending: number; children: preact.ComponentChildren }) {
  const store = useStore();
  const ref = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const tall = useRef(0);
  const { entries } = props.thread;
  const first = entries[0]?.seq;

  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    if (atEnd.current) box.scrollTop = box.scrollHeight;
    else if (box.scrollTop < 40) box.scrollTop += box.scrollHeight - tall.current;
    tall.current = box.scrollHeight;
  }, [entries.length, entries.at(-1)?.seq, first, props.sending, props.thread.typing.size]);

  useEffect(() => {
    const box = ref.current;
    if (!box) return;
    const observer = new ResizeObserver(() => {
      if (atEnd.current) box.scrollTop = box.scrollHeight;
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const box = ref.current;
    if (!box) return;
    atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    tall.current = box.scrollHeight;
    if (box.scrollTop < 40 && props.thread.more) void store.loadOlder(props.thread);
  };

  return (
    <div
      class="log"
      ref={ref}
      onScroll={onScroll}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      role="log"
      aria-label="Messages"
      aria-live="polite"
    >
      {props.children}
    </div>
  );
}

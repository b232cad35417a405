import type { GroupRequest, Message, PaymentUpdate, WireEvent } from "@parley/client";
import { callSummary, money, shortTime } from "../format.ts";

import type { Store, Thread } from "../store.ts";
import { Avatar, presenceText } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { groupRequestLine } from "./group_request.tsx";
import { Icon } from "./icons.tsx";
import { paymentLine } from "./payment_words.ts";

/** Who I am, what I have, and my conversations. */
export function Sidebar() {
  const store = useStore();
  const { me, balances, list, ready, people } = store;
  const name = me?.verified_name || me?.name || store.parley.user;
  return (
    <nav class="sidebar" aria-label="Conversations">
      <header class="self">
        <Avatar user={store.parley.user} name={name} size="m" />
        <div class="self-words">
          <h2>{name}</h2>
          <p class="muted numbers" data-testid="balance">
            {balances.map((b) => money(b.available, b.currency)).join(" · ") || "\u00a0"}
          </p>
        </div>
        <button
          type="button"
          class="icon-button"
          aria-label="My money"
          title="My money"
          onClick={() => store.open({ kind: "money" })}
        >
          <Icon name="receipt" />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label="Settings"
          title="Settings"
          onClick={() => store.open({ kind: "settings" })}
        >
          <Icon name="shield" />
        </button>
        {people.length > 1 && (
          <button
            type="button"
            class="icon-button"
            aria-label="New group"
            title="New group"
            onClick={() => store.open({ kind: "group" })}
          >
            <Icon name="people" />
          </button>
        )}
      </header>
      <ul class="threads">
        {list.map((thread) => (
          <Row key={thread.conversation.id} store={store} thread={thread} />
        ))}
      </ul>
      {ready && list.length === 0 && <p class="muted pad">No conversations yet.</p>}
    </nav>
  );
}

function Row({ store, thread }: { store: Store; thread: Thread }) {
  const { conversation } = thread;
  const title = store.title(conversation);
  const partner = store.partner(conversation);
  const presence = partner ? (store.presence.get(partner)?.state ?? "offline") : undefined;
  const typing = thread.typing.size > 0;
  return (
    <li>
      <a
        class="row"
        href={`#/${conversation.id}`}
        aria-current={store.selected === conversation.id ? "page" : undefined}
        onClick={(event) => {
          event.preventDefault();
          store.select(conversation.id);
        }}
      >
        <Avatar user={partner ?? conversation.id} name={title} {...(presence ? { presence } : {})} />
        <span class="row-words">
          <span class="row-top">
            <strong class="row-title">{title}</strong>
            {presence && <span class="unseen">, {presenceText[presence]}</span>}
            <time class="row-time" dateTime={conversation.updated_at}>
              {conversation.last ? shortTime(conversation.updated_at) : ""}
            </time>
          </span>
          <span class="row-bottom">
            <span class={`row-preview ${typing ? "is-typing" : ""}`}>
              {typing ? "is typing…" : preview(store, conversation.last)}
            </span>
            {conversation.unread > 0 && (
              <span class="badge">
                {conversation.unread > 99 ? "99+" : conversation.unread}
                <span class="unseen"> unread</span>
              </span>
            )}
          </span>
        </span>
      </a>
    </li>
  );
}

function preview(store: Store, last: WireEvent | undefined): string {
  if (!last) return "Say hello";
  switch (last.type) {
    case "message.created":
    case "message.edited": {
      const text = (last.data as Message).text ?? "";
      return last.author === store.parley.user ? `You: ${text}` : text;
    }
    case "message.deleted":
      return "Message deleted";
    case "payment.updated":
      return paymentLine((last.data as PaymentUpdate).payment, store.parley.user, (u) => store.name(u));
    case "call.started":
      return "Calling…";
    case "call.ended":
      return callSummary((last.data as { call: never }).call, store.parley.user, (u) => store.name(u));
    case "request.updated":
      return groupRequestLine((last.data as { request: GroupRequest }).request, store);
    case "note":
      return (last.data as { text: string }).text;
    default:
      return "";
  }
}

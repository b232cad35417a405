import { newId } from "./bytes.ts";
import type { Door } from "./door.ts";
import type { Outbox } from "./outbox.ts";

import type { Conversation, EntryPage, Message, Presence, ReceiptState, WireEvent } from "./types.ts";

export interface NewConversation {
  kind: "direct" | "group" | "payment";
  members: string[];
  title?: string;
}

export class Conversations {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** All conversations of this person, page after page. */
  async list(): Promise<Conversation[]> {
    const all: Conversation[] = [];
    let cursor = "";
    do {
      const page = await this.#door.request("conversations.list", cursor ? { cursor } : {});
      all.push(...(page.items ?? []));
      cursor = page.next ?? "";
    } while (cursor);
    return all;
  }

  get(conversation: string): Promise<Conversation> {
    return this.#door.request("conversations.get", { conversation });
  }

  /** A second direct conversation of the same two people is the first one. */
  create(conversation: NewConversation): Promise<Conversation> {
    return this.#door.request("conversations.create", { ...conversation, client_id: newId("cl_") });
  }

  rename(conversation: string, title: string): Promise<Conversation> {
    return this.#door.request("conversations.update", { conversation, title });
  }

  addMember(conversation: string, user: string): Promise<unknown> {
    return this.#door.request("members.add", { conversation, user });
  }

  removeMember(conversation: string, user: string): Promise<unknown> {
    return this.#door.request("members.remove", { conversation, user });
  }

  /** A page of the log: after a seq (older to newer) or before one (the newest of the older ones). */
  entries(
    conversation: string,
    range: { after?: number; before?: number; limit?: number } = {},
  ): Promise<EntryPage> {
    return this.#door.request("entries.list", { conversation, ...range });
  }
}

export class Messages {
  readonly #door: Door;
  readonly #outbox: Outbox;

  constructor(door: Door, outbox: Outbox) {
    this.#door = door;
    this.#outbox = outbox;
  }

  /** Queues a message. `client_id` is known at once, so that the screen can show it before it is sent. */
  send(
    conversation: string,
    text: string,
    replyTo?: string,
  ): { client_id: string; sent: Promise<WireEvent<Message>> } {
    const client_id = newId("cl_");
    const params = { conversation, client_id, text, ...(replyTo ? { reply_to: replyTo } : {}) };
    return { client_id, sent: this.#outbox.push("messages.send", params, conversation) };
  }

  edit(conversation: string, message: string, text: string): Promise<unknown> {
    return this.#door.request("messages.edit", { conversation, message, text });
  }

  delete(conversation: string, message: string): Promise<unknown> {
    return this.#door.request("messages.delete", { conversation, message });
  }

  /** Says how far this person has received or read. */
  mark(conversation: string, seqs: { delivered?: number; read?: number }): Promise<ReceiptState> {
    return this.#door.request("receipts.mark", { conversation, ...seqs });
  }

  /** Shows the others that this person writes, or stopped; kept nowhere, and not answered. */
  typing(conversation: string, typing: boolean): void {
    this.#door.notify("typing.set", { conversation, typing });
  }
}

export class PresenceList {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  async get(users: string[]): Promise<Presence[]> {
    const answer = await this.#door.request("presence.get", {
      users,
    });
    return answer.users ?? [];
  }

  set(state: "online" | "away"): Promise<unknown> {
    return this.#door.request("presence.set", { state });
  }
}

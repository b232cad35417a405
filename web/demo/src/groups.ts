import type { GroupRequest, Parley, WireEvent } from "@parley/client";

/** Requests to several people, as newly as this person may see them. */
export class GroupRequests {
  readonly #parley: Parley;
  readonly #known = new Map<string, GroupRequest>();

  constructor(parley: Parley) {
    this.#parley = parley;
  }

  get(id: string): GroupRequest | undefined {
    return this.#known.get(id);
  }

  put(request: GroupRequest): void {
    const known = this.#known.get(request.id);
    if (!known || known.version <= request.version) this.#known.set(request.id, request);
  }

  /** What a conversation hears says less than what the payee may see. */
  async fetch(id: string): Promise<void> {
    const request = await this.#parley.requests.get(id).catch(() => undefined);
    if (request) this.put(request);
  }

  /** Takes an event of one's own log, which has everything. */
  take(event: WireEvent): void {
    if (event.type !== "request.updated") return;
    const { request } = event.data as { request: GroupRequest };
    if (request.payee === this.#parley.user && request.items.length > 0) this.put(request);
  }
}

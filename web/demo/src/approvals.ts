import type { Approval, Parley, WireEvent } from "@parley/client";

const DECIDED = "parley.demo.approvals";
const PAGE = 100;

const key = (payment: string, version: number) => `${payment}/${version}`;

/** What waits for this person's yes as somebody's trusted person, and what one's own trusted person said. */
export class Approvals {
  readonly #parley: Parley;
  /** The newest question of each payment. */
  readonly #asked = new Map<string, Approval>();
  /** The trusted person's words on one's own payments. */
  readonly #words = new Map<string, Approval>();
  readonly #decided: Set<string>;
  #loaded = false;

  constructor(parley: Parley) {
    this.#parley = parley;
    this.#decided = new Set(JSON.parse(localStorage.getItem(this.#store) ?? "[]"));
  }

  /** Questions without an answer, oldest first. */
  get open(): Approval[] {
    return [...this.#asked.values()].filter((a) => !this.#decided.has(key(a.payment, a.version)));
  }

  find(payment: string): Approval | undefined {
    return this.open.find((a) => a.payment === payment);
  }

  /** What one's own trusted person last said about a payment. */
  word(payment: string): Approval | undefined {
    return this.#words.get(payment);
  }

  /** Takes an event of one's own log; says whether it was news. */
  take(event: WireEvent): boolean {
    const approval = event.data as Approval;
    if (event.type === "safety.approval_requested") this.#asked.set(approval.payment, approval);
    else if (event.type === "safety.approval") this.#words.set(approval.payment, approval);
    else return false;
    return true;
  }

  /** Reads what came while this page was closed. */
  async load(self: string | undefined): Promise<void> {
    if (this.#loaded || !self) return;
    this.#loaded = true;
    const page = await this.#parley.conversations.entries(self, { limit: PAGE }).catch(() => undefined);
    for (const entry of page?.entries ?? []) this.take(entry);
  }

  async decide(approval: Approval, yes: boolean): Promise<void> {
    const { payment, version } = approval;
    if (yes) await this.#parley.safety.approve(payment, version);
    else await this.#parley.safety.refuse(payment, version);
    this.forget(approval);
  }

  /** Asks no more about it on this device. */
  forget({ payment, version }: Approval): void {
    this.#decided.add(key(payment, version));
    localStorage.setItem(this.#store, JSON.stringify([...this.#decided].slice(-PAGE)));
  }

  get #store(): string {
    return `${DECIDED}.${this.#parley.user}`;
  }
}

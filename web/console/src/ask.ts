import type { Cluster, Hook } from "./overview.ts";

const PATIENCE = 10_000;

/** Why there was no answer, in words for the operator. */
export class Failure extends Error {
  /** Asking again with this token is of no use. */
  readonly final: boolean;
  /** How long the node asks to be left alone, in ms. */
  readonly after: number;
  readonly status: number;

  constructor(why: string, { final = false, after = 0, status = 0 } = {}) {
    super(why);
    this.final = final;
    this.after = after;
    this.status = status;
  }
}

/** What a node may or may not offer to this token. */
interface Offers {
  "/v1/nodes": { items: Cluster[] };
  "/v1/webhooks": { items: Hook[] };
}

/** Asks the node with an operator's token. */
export class Asker {
  readonly #token: string;
  readonly #stop: AbortSignal;
  readonly #missing = new Set<string>();

  constructor(token: string, stop: AbortSignal) {
    this.#token = token;
    this.#stop = stop;
  }

  get<T>(path: string): Promise<T> {
    return this.#ask(path, {});
  }

  /** Asks for what may not be there: then undefined, and it is not asked for again. */
  async offered<P extends keyof Offers>(path: P): Promise<Offers[P] | undefined> {
    if (this.#missing.has(path)) return undefined;
    try {
      return await this.get<Offers[P]>(path);
    } catch (error) {
      if (!(error instanceof Failure) || (error.status !== 403 && error.status !== 404)) throw error;
      this.#missing.add(path);
      return undefined;
    }
  }

  /** Has the node do something; the same key has no second effect. */
  act<T>(path: string, body: object, key: string): Promise<T> {
    return this.#ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(body),
    });
  }

  async #ask<T>(path: string, request: RequestInit): Promise<T> {
    const answer = await fetch(path, {
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${this.#token}` },
      cache: "no-store",
      signal: AbortSignal.any([this.#stop, AbortSignal.timeout(PATIENCE)]),
    }).catch(() => {
      throw new Failure("The node does not answer.");
    });
    if (answer.ok) return (await answer.json()) as T;
    throw await failure(answer);
  }
}

async function failure(answer: Response): Promise<Failure> {
  const { status } = answer;
  if (status === 401) return new Failure("The node does not know this token.", { final: true, status });
  if (status === 403) return new Failure("This token is not an operator’s.", { final: true, status });
  const after = 1_000 * (Number(answer.headers.get("retry-after")) || 0);
  const problem = (await answer.json().catch(() => ({}))) as { title?: string };
  const why =
    status < 500 && problem.title ? `${problem.title}.` : `The node answered with an error (${status}).`;
  return new Failure(why, { after, status });
}

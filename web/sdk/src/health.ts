import type { LegState, MediaReport } from "./leg.ts";

/** How often the media's health is read. */
export const HEALTH_MS = 500;
const REPORT_MS = 2_000;

/** A connection whose health can be read. */
export interface Patient {
  readonly state: LegState;
  report(): Promise<MediaReport>;
}

/** Tells every two seconds whether the other side is heard, and at once when that changes. */
export class Health {
  readonly #media: () => Patient | undefined;
  readonly #tell: (report: MediaReport) => Promise<unknown>;
  #told = { at: 0, alive: false };

  constructor(media: () => Patient | undefined, tell: (report: MediaReport) => Promise<unknown>) {
    this.#media = media;
    this.#tell = tell;
  }

  /** Reads once; call it every {@link HEALTH_MS}. Says nothing before there is a connection. */
  async look(): Promise<void> {
    const media = this.#media();
    if (!media || media.state === "connecting") return;
    const report = await media.report().catch(() => ({ alive: false }));
    const due = Date.now() - this.#told.at >= REPORT_MS || report.alive !== this.#told.alive;
    if (!due || media.state === "closed") return;
    this.#told = { at: Date.now(), alive: report.alive };
    await this.#tell(report).catch(() => undefined);
  }
}

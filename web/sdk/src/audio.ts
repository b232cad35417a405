/** Plays voices. One element per voice, made on demand and dropped with it. */
export class AudioSink {
  readonly #elements = new Map<string, HTMLAudioElement>();

  play(key: string, stream: MediaStream): void {
    let element = this.#elements.get(key);
    if (!element) {
      element = new Audio();
      element.autoplay = true;
      this.#elements.set(key, element);
    }
    element.srcObject = stream;
    // Refused only before the first touch of the page; the next one starts it.
    void element.play().catch(() => undefined);
  }

  stop(key: string): void {
    const element = this.#elements.get(key);
    if (!element) return;
    element.srcObject = null;
    this.#elements.delete(key);
  }
}

/** Plays the ring of an incoming call, or what a caller hears meanwhile, until the returned function is called. */
export function ring(kind: "incoming" | "outgoing"): () => void {
  let context: AudioContext | undefined;
  const play = () => {
    // Before the first touch of the page the browser allows no sound; the screen still rings.
    if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
    context ??= new AudioContext();
    const notes = kind === "incoming" ? [587, 784] : [425];
    notes.forEach((frequency, i) => void tone(context as AudioContext, frequency, i * 0.22, kind));
  };
  play();
  const timer = setInterval(play, kind === "incoming" ? 2_000 : 4_000);
  return () => {
    clearInterval(timer);
    void context?.close();
  };
}

function tone(context: AudioContext, frequency: number, delay: number, kind: "incoming" | "outgoing"): void {
  const length = kind === "incoming" ? 0.5 : 1;
  const at = context.currentTime + delay;
  const oscillator = new OscillatorNode(context, { frequency });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(0.05, at + 0.03);
  gain.gain.setValueAtTime(0.05, at + length - 0.2);
  gain.gain.linearRampToValueAtTime(0, at + length);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(at);
  oscillator.stop(at + length);
}

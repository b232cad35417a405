import { words } from "../format.ts";

export type Tone = "good" | "wait" | "bad" | "plain";

/** A state of the protocol in words, coloured by what it means for an operator. */
export function Chip({ name, tone }: { name: string; tone: Tone }) {
  return <span class={`chip chip-${tone}`}>{words(name)}</span>;
}

import { expect } from "vitest";
import type { Person } from "./person.ts";
import { energy, likeness, type VoiceName, voice } from "./voices.ts";

/** A starved machine garbles sound; what was really heard is heard again. */
const TRIES = 3;

/** Fails unless `who` hears `user` speak with the right voice, and not with another. */
export async function expectHears(
  who: Person,
  user: string,
  right: VoiceName,
  wrong: VoiceName,
): Promise<void> {
  let figures = "";
  for (let i = 0; i < TRIES; i++) {
    const heard = await who.hear(user, 6);
    const [loud, fits, other] = [
      energy(heard),
      likeness(heard, voice(right).envelope),
      likeness(heard, voice(wrong).envelope),
    ];
    figures = `energy ${loud.toFixed(3)}, like ${fits.toFixed(2)}, unlike ${other.toFixed(2)}`;
    console.log(`${who.user} hears ${user} as ${right}: ${figures}`);
    if (loud > 0.005 && fits > 0.7 && fits > other + 0.15) return;
  }
  expect.fail(`${who.user} does not hear ${user} as ${right}: ${figures}`);
}

export function expectQuietConsoles(...people: Person[]): void {
  expect(people.flatMap((p) => p.complaints.map((c) => `${p.user}: ${c}`))).toEqual([]);
}

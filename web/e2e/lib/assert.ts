import { expect } from "vitest";
import type { Person } from "./person.ts";
import { energy, likeness, type VoiceName, voice } from "./voices.ts";

/** Fails unless `who` hears `user` speak with the right voice, and not with another. */
export async function expectHears(
  who: Person,
  user: string,
  right: VoiceName,
  wrong: VoiceName,
): Promise<void> {
  const heard = await who.hear(user, 6);
  const [fits, other] = [likeness(heard, voice(right).envelope), likeness(heard, voice(wrong).envelope)];
  const figures = `energy ${energy(heard).toFixed(3)}, like ${fits.toFixed(2)}, unlike ${other.toFixed(2)}`;
  const what = `${who.user} hears ${user} as ${right}: ${figures}`;
  console.log(what);
  expect(energy(heard), what).toBeGreaterThan(0.005);
  expect(fits, what).toBeGreaterThan(0.65);
  expect(fits, what).toBeGreaterThan(other + 0.12);
}

export function expectQuietConsoles(...people: Person[]): void {
  expect(people.flatMap((p) => p.complaints.map((c) => `${p.user}: ${c}`))).toEqual([]);
}

import type { PresenceState } from "@parley/client";

const hues = [164, 28, 212, 340, 96, 262, 14, 190];

/** A person's initials on a colour that stays theirs. */
export function Avatar(props: {
  user: string;
  name: string;
  size?: "s" | "m" | "l" | "xl";
  presence?: PresenceState;
}) {
  const { user, name, size = "m", presence } = props;
  let sum = 0;
  for (const letter of user) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return (
    <span class={`avatar avatar-${size}`} style={{ "--hue": hues[sum % hues.length] }} aria-hidden="true">
      {initials(name)}
      {presence && <span class={`dot dot-${presence}`} />}
    </span>
  );
}

function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((w) => [...(w ?? "?")][0]?.toUpperCase()).join("");
}

/** How a person's state is said. */
export const presenceText: Record<PresenceState, string> = {
  online: "Online",
  away: "Away",
  in_call: "In a call",
  offline: "Offline",
};

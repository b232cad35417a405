import type { Call } from "@parley/client";
import { useState } from "preact/hooks";
import { useStore } from "./context.ts";
import { Icon } from "./icons.tsx";

/** The words to compare; or, through the hub, the plain truth that there are none. */
export function CallWords({ call }: { call: Call }) {
  const store = useStore();
  const [said, setSaid] = useState<string>();
  const { words, transcript, record } = call;
  if (record.media === "sfu") {
    return (
      <p class="call-note">
        <Icon name="hub" size={18} />
        <span>This call goes through the hub, which can hear it. There are no words to compare.</span>
      </p>
    );
  }
  if (!words || !transcript) return <p class="call-note">Agreeing on words…</p>;
  const spoken = `${words.words.join(" ")}, ${[...words.digits].join(" ")}`;
  const matched = record.verified === "words_match";
  const mine = said === transcript;
  const say = async (same: boolean) => {
    const done = await store.run(() => call.verify(same).then(() => true));
    if (done && same) setSaid(transcript);
  };
  return (
    <div class={`words ${matched ? "words-matched" : ""}`}>
      <p class="unseen" role="status">{`The words are: ${spoken}`}</p>
      <p class="words-hint">
        {matched ? "Same words. Nobody is in between." : "Read these to each other. Are they the same?"}
      </p>
      <p class="words-large" aria-hidden="true" data-testid="words">
        <span>{words.words[0]}</span> <span>{words.words[1]}</span>
      </p>
      <p class="words-digits numbers" aria-hidden="true" data-testid="digits">
        {words.digits}
      </p>
      {!matched && mine && <p class="call-note">You said they are the same. Waiting for the other side…</p>}
      {!matched && !mine && (
        <div class="words-buttons">
          <button type="button" class="call-button yes" onClick={() => void say(true)}>
            <Icon name="check" size={18} />
            Same words
          </button>
          <button type="button" class="call-button no" onClick={() => void say(false)}>
            <Icon name="warn" size={18} />
            They differ
          </button>
        </div>
      )}
    </div>
  );
}

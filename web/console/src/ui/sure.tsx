import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  /** On the button. */
  name: string;
  /** What is to happen, as a question. */
  question: string;
  /** The answer that does it. */
  yes: string;
  disabled?: boolean;
  act: () => void;
}

/** A button that asks before it acts, in its own place. */
export function Sure({ name, question, yes, disabled = false, act }: Props) {
  const [asking, setAsking] = useState(false);
  const answer = useRef<HTMLButtonElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const asked = useRef(false);
  useEffect(() => {
    if (asking) answer.current?.focus();
    else if (asked.current) button.current?.focus();
    asked.current = asking;
  }, [asking]);
  if (!asking) {
    return (
      <button
        ref={button}
        type="button"
        class="small-button"
        disabled={disabled}
        onClick={() => setAsking(true)}
      >
        {name}
      </button>
    );
  }
  const close = () => setAsking(false);
  return (
    <fieldset class="sure" onKeyDown={(event) => event.key === "Escape" && close()}>
      <legend>{question}</legend>
      <button
        ref={answer}
        type="button"
        class="small-button sure-yes"
        onClick={() => {
          close();
          act();
        }}
      >
        {yes}
      </button>
      <button type="button" class="small-button" onClick={close}>
        Cancel
      </button>
    </fieldset>
  );
}

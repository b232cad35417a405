import { useRef, useState } from "preact/hooks";
import { useStore } from "./context.ts";
import { Icon } from "./icons.tsx";

/** The line to write on: Enter sends, Shift and Enter breaks the line. */
export function Composer({ conversation }: { conversation: string }) {
  const store = useStore();
  const [text, setText] = useState("");
  const area = useRef<HTMLTextAreaElement>(null);
  const send = () => {
    const trimmed = text.trim();
    if (!trimmed) return;
    store.send(conversation, trimmed);
    setText("");
    if (area.current) area.current.style.height = "";
    area.current?.focus();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={area}
        rows={1}
        maxLength={4000}
        placeholder="Message"
        aria-label="Message"
        value={text}
        onInput={(event) => {
          const box = event.currentTarget;
          setText(box.value);
          box.style.height = "auto";
          box.style.height = `${Math.min(box.scrollHeight, 140)}px`;
          if (box.value) store.typing(conversation);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button type="submit" class="send-button" aria-label="Send" disabled={!text.trim()}>
        <Icon name="send" />
      </button>
    </form>
  );
}

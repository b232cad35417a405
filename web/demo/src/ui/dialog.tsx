import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Notice } from "./banner.tsx";
import { Icon } from "./icons.tsx";

/** A modal sheet: the browser keeps the focus inside, Escape closes it, the focus goes back where it was. */
export function Dialog(props: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
  /** The title is for unseen readers only; the content shows it in its own way. */
  quietTitle?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog?.open) dialog?.showModal();
    // Closed before it is taken away, so that the focus finds its way back.
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class={`sheet ${props.class ?? ""}`}
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <div class="sheet-head">
        <h2 id={title} class={props.quietTitle ? "unseen" : ""}>
          {props.title}
        </h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={props.onClose}>
          <Icon name="close" />
        </button>
      </div>
      <div class="sheet-body">{props.children}</div>
      <Notice inDialog />
    </dialog>
  );
}

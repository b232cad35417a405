import { useNow, useStore } from "./context.ts";
import { Icon } from "./icons.tsx";

const stops = {
  replaced: "Parley is open in another tab. This one is asleep.",
  revoked: "You were signed out.",
  token_refused: "This link is no longer valid. Ask for a new one.",
  closed: "Signed out.",
} as const;

/** Says when there is no line, and when the next try comes. */
export function Banner() {
  const { connection, parley, ready } = useStore();
  const waiting = connection.status === "waiting";
  const now = useNow(waiting);
  const offline = connection.status === "waiting" || (connection.status === "connecting" && ready);
  let text = "";
  if (connection.status === "stopped") text = stops[connection.reason];
  else if (waiting) text = `Offline. Next try ${inSeconds(connection.retryAt - now)}`;
  else if (offline) text = "Reconnecting…";
  return (
    <div class={`banner ${text ? "" : "banner-hidden"}`} role="status">
      {text && (
        <>
          <Icon name="warn" size={18} />
          <span>{text}</span>
          {(waiting || connection.status === "stopped") && (
            <button type="button" class="banner-button" onClick={() => parley.connect()}>
              {connection.status === "stopped" ? "Use it here" : "Try now"}
            </button>
          )}
        </>
      )}
    </div>
  );
}

function inSeconds(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  return seconds > 0 ? `in ${seconds} s.` : "now.";
}

/**
 * What just happened, in one sentence. Under an open dialog nothing is seen or
 * read out, so the dialog has a place of its own for it.
 */
export function Notice({ inDialog = false }: { inDialog?: boolean }) {
  const store = useStore();
  const notice = inDialog === (store.dialog !== undefined) ? store.notice : undefined;
  return (
    <div class="notices" role="status" aria-live="polite">
      {notice && (
        <div class={`notice notice-${notice.tone}`}>
          <span>{notice.text}</span>
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => store.dismiss()}>
            <Icon name="close" size={16} />
          </button>
        </div>
      )}
    </div>
  );
}

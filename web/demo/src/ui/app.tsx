import { ApprovalStrip } from "./approval_dialog.tsx";
import { Banner, Notice } from "./banner.tsx";
import { CallPanel } from "./call_panel.tsx";
import { useStore } from "./context.ts";
import { Dialogs } from "./dialogs.tsx";
import { RingScreen } from "./ring.tsx";
import { Sidebar } from "./sidebar.tsx";
import { ThreadPane } from "./thread.tsx";

/**
 * The whole screen: conversations on the left, one of them on the right; one of
 * the two on a phone. A call is shown in its conversation, as a bar above
 * everything while one looks elsewhere, and by itself when its conversation is
 * not one's own.
 */
export function App() {
  const store = useStore();
  const { call, ringing, selected, thread } = store;
  const home = call?.record.conversation ?? "";
  const guest = call !== undefined && !store.threads.has(home);
  const away = call !== undefined && !guest && selected !== home;
  const pane = selected !== undefined || guest;
  return (
    <div class={`app ${pane ? "has-thread" : ""}`}>
      <Banner />
      <ApprovalStrip />
      <main class="stage">
        <h1 class="unseen">Parley</h1>
        {call && away && <CallPanel call={call} away />}
        <Sidebar />
        <section class="pane" aria-label={thread ? store.title(thread.conversation) : "Conversation"}>
          {call && guest && <CallPanel call={call} />}
          {thread ? (
            <ThreadPane key={thread.conversation.id} thread={thread} />
          ) : (
            !guest && <Empty ready={store.ready} />
          )}
        </section>
      </main>
      {ringing && <RingScreen call={ringing} />}
      <Dialogs />
      <Notice />
      <p class="unseen" role="status" aria-live="polite">
        {store.spoken}
      </p>
    </div>
  );
}

function Empty({ ready }: { ready: boolean }) {
  return (
    <div class="empty">
      <p class="muted">{ready ? "Choose a conversation." : "Connecting…"}</p>
    </div>
  );
}

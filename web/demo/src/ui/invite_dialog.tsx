import type { Call } from "@parley/client";
import { Avatar, presenceText } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Rings one more person into the running call. */
export function InviteDialog({ call, onClose }: { call: Call; onClose: () => void }) {
  const store = useStore();
  const free = store.people.filter((user) => !call.others.includes(user));
  const direct = call.record.media === "p2p";
  return (
    <Dialog title="Invite to the call" onClose={onClose}>
      {direct && (
        <p class="muted">
          With three people the call goes through the hub, which can then hear it. It is not interrupted.
        </p>
      )}
      {free.length === 0 && <p>Everybody you know is in the call.</p>}
      <ul class="choices">
        {free.map((user) => (
          <li key={user}>
            <button
              type="button"
              class="choice"
              onClick={() => {
                onClose();
                void store.run(() => call.invite(user));
              }}
            >
              <Avatar user={user} name={store.name(user)} />
              <span>
                {store.name(user)}
                <span class="muted small block">
                  {presenceText[store.presence.get(user)?.state ?? "offline"]}
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

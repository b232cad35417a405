import { useState } from "preact/hooks";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Starts a conversation of several people. */
export function GroupDialog({ onClose }: { onClose: () => void }) {
  const store = useStore();
  const [title, setTitle] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const toggle = (user: string) =>
    setChosen(chosen.includes(user) ? chosen.filter((u) => u !== user) : [...chosen, user]);
  const create = async () => {
    const made = await store.run(() =>
      store.parley.conversations.create({ kind: "group", members: chosen, ...(title ? { title } : {}) }),
    );
    if (!made) return;
    onClose();
    store.select(made.id);
  };
  return (
    <Dialog title="New group" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <label>
          <span>Name, if you like</span>
          <input maxLength={80} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        </label>
        <fieldset class="choices">
          <legend>Who</legend>
          {store.people.map((user) => (
            <label key={user} class="choice">
              <Avatar user={user} name={store.name(user)} />
              <span>{store.name(user)}</span>
              <input type="checkbox" checked={chosen.includes(user)} onChange={() => toggle(user)} />
            </label>
          ))}
        </fieldset>
        <button type="submit" class="button primary wide" disabled={chosen.length === 0}>
          Start the group
        </button>
      </form>
    </Dialog>
  );
}

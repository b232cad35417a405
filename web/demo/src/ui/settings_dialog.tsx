import type { Block, Trusted } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { moment } from "../format.ts";
import { hideAddress, hidesAddress } from "../preferences.ts";
import { explain } from "../problems.ts";
import type { Store } from "../store.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Who says yes to large payments, who is kept away, what calls tell. */
export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const store = useStore();
  const [problem, setProblem] = useState<string>();
  const attempt = async (work: () => Promise<void>) => {
    setProblem(undefined);
    await work().catch((error) => setProblem(explain(error)));
  };
  return (
    <Dialog title="Settings" onClose={onClose} class="settings">
      {problem && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      <TrustedPerson store={store} attempt={attempt} />
      <Blocked store={store} attempt={attempt} />
      <section>
        <h3>Calls</h3>
        <label class="tick">
          <input
            type="checkbox"
            checked={hidesAddress()}
            onChange={(event) => {
              hideAddress(event.currentTarget.checked);
              store.changed();
            }}
          />
          <span>Hide my address: calls go through the relay</span>
        </label>
      </section>
    </Dialog>
  );
}

type Part = { store: Store; attempt: (work: () => Promise<void>) => Promise<void> };

function TrustedPerson({ store, attempt }: Part) {
  const [trusted, setTrusted] = useState<Trusted>();
  const [chosen, setChosen] = useState("");
  const show = (answer: Trusted) => {
    setTrusted(answer);
    setChosen(answer.next ?? answer.trusted);
  };
  useEffect(() => {
    void attempt(async () => show(await store.parley.safety.trusted()));
  }, []);
  const save = () =>
    attempt(async () => {
      const { safety } = store.parley;
      show(chosen ? await safety.setTrusted(chosen) : await safety.removeTrusted());
      store.say("Saved.");
    });
  return (
    <section class="form">
      <h3>A person you trust</h3>
      <p class="muted small">
        They are asked before some of your payments, and can stop them. The first one counts at once; a change
        takes a day, so that nobody can talk you into it.
      </p>
      <label>
        <span>Who</span>
        <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
          <option value="">Nobody</option>
          {candidates(store, trusted).map((user) => (
            <option key={user} value={user}>
              {store.name(user)}
            </option>
          ))}
        </select>
      </label>
      {trusted?.next_at && (
        <p class="policy">
          {trusted.trusted ? `${store.name(trusted.trusted)} stays until ${moment(trusted.next_at)}.` : ""}{" "}
          Then: {trusted.next ? store.name(trusted.next) : "nobody"}.
        </p>
      )}
      <button
        type="button"
        class="button"
        disabled={!trusted || chosen === (trusted.next ?? trusted.trusted)}
        onClick={() => void save()}
      >
        Save
      </button>
    </section>
  );
}

/** Everybody one shares a conversation with, and who is named already. */
function candidates(store: Store, trusted: Trusted | undefined): string[] {
  const named = [trusted?.trusted, trusted?.next].filter((user) => user !== undefined && user !== "");
  return [...new Set([...store.people, ...(named as string[])])];
}

function Blocked({ store, attempt }: Part) {
  const [blocks, setBlocks] = useState<Block[]>();
  const load = () => attempt(async () => setBlocks((await store.parley.safety.blocks()).items));
  useEffect(() => void load(), []);
  const unblock = (user: string) =>
    attempt(async () => {
      await store.parley.safety.unblock(user);
      await load();
    });
  return (
    <section>
      <h3>Blocked people</h3>
      {blocks?.length === 0 && (
        <p class="muted small">Nobody. You can block who asks for money and you do not know.</p>
      )}
      <ul class="rows">
        {blocks?.map(({ user }) => (
          <li key={user}>
            <Avatar user={user} name={store.name(user)} />
            <strong class="rows-main">{store.name(user)}</strong>
            <button
              type="button"
              class="small-button"
              aria-label={`Unblock ${store.name(user)}`}
              onClick={() => void unblock(user)}
            >
              Unblock
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

import type { TargetedSubmitEvent } from "preact";

/** Asks for a token when the link brought none, or one that the node does not take. */
export function Door({ refused, enter }: { refused: string | undefined; enter: (token: string) => void }) {
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = String(new FormData(event.currentTarget).get("token") ?? "").trim();
    if (typed) enter(typed);
  };
  return (
    <main class="door">
      <h1>Parley console</h1>
      <p class={refused ? "door-refused" : "unseen"} role="alert">
        {refused && `${refused} It may have expired, or be of another node.`}
      </p>
      <p class="muted">
        Open the console link that the node prints when it starts, or paste an operator token. It stays in
        this tab.
      </p>
      <form class="door-form" onSubmit={submit}>
        <label>
          <span class="small">Operator token</span>
          <input name="token" type="password" autocomplete="off" spellcheck={false} required />
        </label>
        <button type="submit" class="button primary">
          Open
        </button>
      </form>
    </main>
  );
}

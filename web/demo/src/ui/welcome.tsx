import { useState } from "preact/hooks";
import { openedLink } from "../links.ts";

/** What stands here when the link carried no token. */
export function Welcome() {
  return (
    <main class="welcome">
      <h1>Parley</h1>
      <p>Talk while you pay, and confirm live.</p>
      {openedLink() ? (
        <SignIn />
      ) : (
        <p class="muted">
          This page opens from a link with a token. <code>parley dev</code> prints one for each demo user:
          open two of them in two windows.
        </p>
      )}
    </main>
  );
}

/** A payment link opens in a new tab, which does not know who is sitting there. */
function SignIn() {
  const [text, setText] = useState("");
  const token = text.trim().replace(/^.*#token=/, "");
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!token) return;
        location.hash = `#token=${token}`;
        location.reload();
      }}
    >
      <p class="muted">
        Somebody asks you for money through this link. Say who you are first: paste the link of a demo user
        that <code>parley dev</code> prints.
      </p>
      <label>
        <span>Your link or token</span>
        <input autoComplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <button type="submit" class="button primary wide" disabled={!token}>
        Open the payment
      </button>
    </form>
  );
}

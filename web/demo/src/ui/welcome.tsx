/** What stands here when the link carried no token. */
export function Welcome() {
  return (
    <main class="welcome">
      <h1>Parley</h1>
      <p>Talk while you pay, and confirm live.</p>
      <p class="muted">
        This page opens from a link with a token. <code>parley dev</code> prints one for each demo user: open
        two of them in two windows.
      </p>
    </main>
  );
}

import { useEffect, useState } from "preact/hooks";
import { dropToken, keepToken, takeToken } from "../token.ts";
import { Board } from "./board.tsx";
import { Door } from "./door.tsx";
import { Header } from "./header.tsx";
import { OperatorContext } from "./operator.ts";
import { StatusBanner } from "./status.tsx";
import { useFeed, useSpoken } from "./use_feed.ts";

/** The door while there is no token that the node takes, else what the node is doing. */
export function App() {
  const [entry, setEntry] = useState(() => ({ token: takeToken() }));
  const [filter, setFilter] = useState("");
  const feed = useFeed(entry);
  const spoken = useSpoken(feed?.look?.overview);
  const refused = feed?.state.status === "refused" ? feed.state.why : undefined;

  useEffect(() => {
    const newLink = () => location.hash.includes("token=") && setEntry({ token: takeToken() });
    addEventListener("hashchange", newLink);
    return () => removeEventListener("hashchange", newLink);
  }, []);
  useEffect(() => {
    if (refused) dropToken();
  }, [refused]);

  if (!entry.token || refused) {
    const enter = (typed: string) => {
      keepToken(typed);
      setEntry({ token: typed });
    };
    return <Door refused={refused} enter={enter} />;
  }
  if (!feed) return null;
  return (
    <>
      <Header feed={feed} filter={filter} setFilter={setFilter} />
      <StatusBanner feed={feed} />
      <main class="board" tabIndex={-1} id="board">
        {feed.look ? (
          <OperatorContext.Provider value={feed}>
            <Board look={feed.look} rates={feed.rates} at={feed.at} filter={filter} setFilter={setFilter} />
          </OperatorContext.Provider>
        ) : (
          <p class="muted centre pad">
            {feed.state.status === "waiting" ? "Nothing to show yet." : "Asking the node…"}
          </p>
        )}
      </main>
      <p class="unseen" role="status" aria-live="polite">
        {spoken}
      </p>
    </>
  );
}

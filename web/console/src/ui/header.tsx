import { useEffect, useRef } from "preact/hooks";
import type { Feed } from "../feed.ts";
import { StatusChip } from "./status.tsx";

interface Props {
  feed: Feed;
  filter: string;
  setFilter: (filter: string) => void;
}

/** The name, how fresh the figures are, and the one filter over all lists. */
export function Header({ feed, filter, setFilter }: Props) {
  const paused = feed.state.status === "paused";
  return (
    <header class="top">
      <a class="skip button" href="#rates">
        Skip to the lists
      </a>
      <div class="top-name">
        <img src="./favicon.svg" alt="" width={28} height={28} />
        <h1>Parley console</h1>
      </div>
      <StatusChip state={feed.state} />
      <button type="button" class="small-button" onClick={() => (paused ? feed.now() : feed.pause())}>
        {paused ? "Resume" : "Pause"}
      </button>
      <Filter filter={filter} setFilter={setFilter} />
    </header>
  );
}

function Filter({ filter, setFilter }: Pick<Props, "filter" | "setFilter">) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);
  return (
    <search class="filter">
      <input
        ref={field}
        type="search"
        aria-label="Filter all lists"
        aria-keyshortcuts="/"
        placeholder="Filter: id, user, state…  (/)"
        autocomplete="off"
        spellcheck={false}
        value={filter}
        onInput={(event) => setFilter(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && setFilter("")}
      />
    </search>
  );
}

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { changes } from "../changes.ts";
import { Feed } from "../feed.ts";
import type { Overview } from "../overview.ts";

/** One try to come in; the same token may be tried twice. */
export interface Entry {
  token: string;
}

/** A feed with this token; the component renders again whenever it changes. */
export function useFeed(entry: Entry): Feed | undefined {
  const [feed, setFeed] = useState<Feed>();
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!entry.token) return setFeed(undefined);
    const started = new Feed(entry.token, () => again(undefined));
    setFeed(started);
    started.start();
    return () => started.stop();
  }, [entry]);
  return feed;
}

/** What changed since the overview before, as sentences for a live region. */
export function useSpoken(overview: Overview | undefined): string {
  const last = useRef<Overview>();
  const spoken = useRef("");
  if (overview !== last.current) {
    const said = overview && last.current ? changes(last.current, overview) : [];
    if (said.length) spoken.current = said.join(" ");
    last.current = overview;
  }
  return spoken.current;
}

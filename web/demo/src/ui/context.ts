import { createContext } from "preact";
import { useContext, useEffect, useReducer } from "preact/hooks";
import type { Store } from "../store.ts";

export const StoreContext = createContext<Store | undefined>(undefined);

/** The store; the component renders again whenever it changes. */
export function useStore(): Store {
  const store = useContext(StoreContext);
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store?.subscribe(() => again(undefined)), [store]);
  if (!store) throw new Error("no store above this component");
  return store;
}

/** The time, every second while `running`. */
export function useNow(running = true): number {
  const [now, tick] = useReducer(() => Date.now(), Date.now());
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => tick(undefined), 1_000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { type Asker, Failure } from "../ask.ts";

/** What lists need to have the node do something. */
export interface Operator {
  node: Asker;
  /** Looks again at once, because something was done. */
  refresh: () => void;
}

export const OperatorContext = createContext<Operator | undefined>(undefined);

export function useOperator(): Operator {
  const operator = useContext(OperatorContext);
  if (!operator) throw new Error("no operator around this");
  return operator;
}

/** One act at a time: whether it is under way and what came of the last. */
export function useAct() {
  const { node, refresh } = useOperator();
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState("");
  const act = async (path: string, body: object, key: string, done: (answer: unknown) => string) => {
    setBusy(true);
    setSaid("");
    try {
      setSaid(done(await node.act(path, body, key)));
      refresh();
    } catch (error) {
      setSaid(error instanceof Failure ? error.message : "That did not work.");
    } finally {
      setBusy(false);
    }
  };
  return { act, busy, said };
}

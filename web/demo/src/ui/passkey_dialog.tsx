import { useState } from "preact/hooks";
import { explain } from "../problems.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";

/** Explains a passkey before the first one is made. */
export function PasskeyDialog({
  resolve,
  onClose,
}: {
  resolve: (made: boolean) => void;
  onClose: () => void;
}) {
  const store = useStore();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const finish = (made: boolean) => {
    onClose();
    resolve(made);
  };
  const make = async () => {
    setBusy(true);
    try {
      await store.makePasskey();
      finish(true);
    } catch (error) {
      setProblem(explain(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Confirm with this device" onClose={() => finish(false)}>
      <div class="explain">
        <span class="seal seal-key">
          <Icon name="key" size={26} />
        </span>
        <p>
          A voice can be imitated. A passkey cannot: it lives on this device and opens with your fingerprint,
          face or PIN.
        </p>
        <p class="muted">
          It signs exactly what you see: the amount, who gets it, and this call. Parley never learns your
          fingerprint.
        </p>
      </div>
      {problem && <p class="field-problem">{problem}</p>}
      <button type="button" class="button primary wide" disabled={busy} onClick={() => void make()}>
        <Icon name="key" size={18} />
        Make a passkey and confirm
      </button>
    </Dialog>
  );
}

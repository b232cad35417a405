import type { Approval } from "@parley/client";
import { ParleyError } from "@parley/client";
import { useState } from "preact/hooks";
import { money } from "../format.ts";
import { explain } from "../problems.ts";
import { Avatar } from "./avatar.tsx";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";

/** Above everything: somebody who trusts this person waits for a word. */
export function ApprovalStrip() {
  const store = useStore();
  const [first] = store.approvals.open;
  return (
    <div class={`strip ${first ? "" : "strip-hidden"}`} role="status">
      {first && (
        <>
          <Icon name="shield" size={18} />
          <span>
            {store.name(first.payer)} asks for your yes to a payment of{" "}
            <span class="numbers">{money(first.amount, first.currency)}</span>
          </span>
          <button
            type="button"
            class="banner-button"
            onClick={() => store.open({ kind: "approval", payment: first.payment })}
          >
            Look
          </button>
        </>
      )}
    </div>
  );
}

/** The trusted person's card: who pays whom, why it is asked, yes or no. */
export function ApprovalDialog({ payment, onClose }: { payment: string; onClose: () => void }) {
  const store = useStore();
  // What is shown stays when another version is asked about meanwhile; then the hub refuses this one.
  const [approval] = useState<Approval | undefined>(() => store.approvals.find(payment));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  if (!approval) return null;
  const payer = store.name(approval.payer);
  const decide = async (yes: boolean) => {
    setBusy(true);
    try {
      await store.approvals.decide(approval, yes);
      store.say(
        yes ? `${payer} can go on now.` : `The payment is stopped. ${payer} is told that you said no.`,
      );
      onClose();
    } catch (error) {
      const over =
        error instanceof ParleyError &&
        ["safety_stale", "safety_decided", "safety_unknown"].includes(error.code);
      if (over) store.approvals.forget(approval);
      setProblem(explain(error));
    }
    setBusy(false);
  };
  return (
    <Dialog title="Your yes is asked" onClose={onClose} class="pay-sheet">
      <div class="pay-hero">
        <p class="pay-hero-label">{payer} wants to PAY</p>
        <p class="pay-hero-amount numbers">{money(approval.amount, approval.currency)}</p>
        <div class="payee">
          <Avatar user={approval.payee} name={approval.payee_name ?? approval.payee} size="m" />
          <p class="payee-name">{approval.payee_name ?? approval.payee}</p>
        </div>
      </div>
      {approval.explain && (
        <p class="policy">
          <Icon name="shield" size={18} />
          <span>{approval.explain}</span>
        </p>
      )}
      <p class="gate-line">
        Talk to {payer} first, by a way you know. Ask who wants the money, and what for.
      </p>
      {problem && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
      <div class="sheet-actions">
        <button type="button" class="button" disabled={busy} onClick={() => void decide(true)}>
          Yes, {payer} may pay
        </button>
        <button type="button" class="button danger" disabled={busy} onClick={() => void decide(false)}>
          No, stop it
        </button>
      </div>
    </Dialog>
  );
}

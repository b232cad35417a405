import type { Call, Payment } from "@parley/client";
import { ParleyError } from "@parley/client";
import { useEffect, useState } from "preact/hooks";
import { duration, money, orderName } from "../format.ts";
import type { Store } from "../store.ts";
import { useNow, useStore } from "./context.ts";
import { Icon } from "./icons.tsx";
import { confirmable, feeLine, mine } from "./payment_words.ts";

/** The payment that the call is about, and each side's confirmation of it. */
export function ConfirmBox({ call, payment: id }: { call: Call; payment: string }) {
  const store = useStore();
  const payment = store.payments.get(id);
  useEffect(() => {
    void store.fetchPayment(id);
  }, [id]);
  if (!payment) return null;
  return (
    <div class="confirm" data-state={payment.state}>
      <div class="confirm-what">
        <p class="confirm-label">{headline(store, payment)}</p>
        <p class="confirm-amount numbers">{sum(store, payment)}</p>
        <p class="confirm-facts">{facts(store, payment, " · ")}</p>
      </div>
      <Step store={store} call={call} payment={payment} />
    </div>
  );
}

function headline(store: Store, payment: Payment): string {
  const paying = payment.payer === store.parley.user;
  return paying
    ? `You pay ${payment.payee_name || store.name(payment.payee)}`
    : `${store.name(payment.payer)} pays you`;
}

/** What the payer pays, a fee on top included; what the payee asked for. */
function sum(store: Store, payment: Payment): string {
  return money(mine(payment, store.parley.user), payment.currency);
}

function facts(store: Store, payment: Payment, separator: string): string {
  const fee = feeLine(payment, store.parley.user);
  return [payment.order && orderName(payment.order), payment.memo, fee].filter(Boolean).join(separator);
}

function Step({ store, call, payment }: { store: Store; call: Call; payment: Payment }) {
  const me = payment.payer === store.parley.user ? "payer" : "payee";
  const other = store.name(me === "payer" ? payment.payee : payment.payer);
  if (["captured", "part_refunded", "refunded"].includes(payment.state)) {
    return (
      <div class="confirm-done" role="status">
        <span class="confirm-done-text">
          <Icon name="check" /> Paid. You both confirmed.
        </span>
        <button
          type="button"
          class="call-button"
          onClick={() => store.open({ kind: "receipt", payment: payment.id })}
        >
          <Icon name="receipt" size={18} />
          Receipt
        </button>
      </div>
    );
  }
  if (payment.state === "requested") return <NotHeld store={store} payment={payment} me={me} other={other} />;
  if (!confirmable(payment)) return <p class="confirm-wait">This payment cannot be confirmed now.</p>;
  if (call.record.media === "sfu") {
    return <p class="confirm-wait">Confirming needs a direct call of just you two.</p>;
  }
  if (call.record.verified !== "words_match") return <p class="confirm-wait">Compare the words first.</p>;
  if (payment.confirmed_by?.includes(me)) return <Waiting payment={payment} other={other} />;
  return <ConfirmButton store={store} call={call} payment={payment} other={other} />;
}

function NotHeld(props: { store: Store; payment: Payment; me: "payer" | "payee"; other: string }) {
  const { store, payment, me, other } = props;
  if (me === "payee") return <p class="confirm-wait">Waiting for {other} to set the money aside.</p>;
  const hold = async () => {
    const held = await store.run(() => store.parley.payments.hold(payment.id, payment.version), payment.id);
    if (held) store.takePaymentState(held);
  };
  return (
    <button type="button" class="call-button confirm-button" onClick={() => void hold()}>
      Set {sum(store, payment)} aside
    </button>
  );
}

function Waiting({ payment, other }: { payment: Payment; other: string }) {
  const now = useNow();
  const left = payment.confirm_deadline ? new Date(payment.confirm_deadline).getTime() - now : undefined;
  return (
    <p class="confirm-wait" role="status">
      You confirmed. Waiting for {other}…
      {left !== undefined && (
        <span class="numbers" aria-hidden="true">
          {" "}
          {duration(left)}
        </span>
      )}
    </p>
  );
}

function ConfirmButton(props: { store: Store; call: Call; payment: Payment; other: string }) {
  const { store, call, payment, other } = props;
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    await store.run(() => confirmWithPasskey(store, call, payment), payment.id);
    setBusy(false);
  };
  const theirs = (payment.confirmed_by ?? []).length > 0;
  return (
    <>
      {theirs && (
        <p class="confirm-wait" role="status">
          {other} confirmed. Your turn.
        </p>
      )}
      <button type="button" class="call-button confirm-button" disabled={busy} onClick={() => void confirm()}>
        <Icon name="key" size={20} />
        Confirm {sum(store, payment)} with passkey
      </button>
    </>
  );
}

async function confirmWithPasskey(store: Store, call: Call, payment: Payment): Promise<void> {
  if (!(await store.ensurePasskey())) return;
  const about = facts(store, payment, ", ");
  const text = `${headline(store, payment)}: ${sum(store, payment)}${about && `, ${about}`}`;
  try {
    store.takePaymentState(
      await store.parley.passkeys.confirm(payment, call, { text, locale: navigator.language }),
    );
  } catch (error) {
    if (error instanceof ParleyError && error.code === "passkey_unknown") store.passkeys = [];
    throw error;
  }
  void store.refreshBalances();
}

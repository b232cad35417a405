import type { Call, Payment } from "@parley/client";
import { useEffect, useRef } from "preact/hooks";
import { money, orderName } from "../format.ts";
import { ring } from "../tones.ts";
import { Avatar } from "./avatar.tsx";
import { readCard } from "./caller_card.ts";
import { useStore } from "./context.ts";
import { Icon } from "./icons.tsx";

/** Somebody rings: who, and about what. */
export function RingScreen({ call }: { call: Call }) {
  const store = useStore();
  const ref = useRef<HTMLDialogElement>(null);
  const card = readCard(call.record.card);
  const from = call.record.from.user;
  const who = card.name ?? store.name(from);
  const payment = store.payments.get(call.record.payment ?? "");
  // The payment itself, in the reader's own way of writing money; the card's words until it is known.
  const why = payment ? aboutPayment(payment) : card.reason;
  useEffect(() => {
    if (!ref.current?.open) ref.current?.showModal();
    // Not on a button: whoever is typing just now should neither answer nor decline by it.
    ref.current?.focus();
    if (call.record.payment) void store.fetchPayment(call.record.payment);
    return ring("incoming");
  }, []);
  return (
    <dialog
      ref={ref}
      class="ring"
      role="alertdialog"
      tabIndex={-1}
      aria-labelledby="ring-who"
      aria-describedby="ring-why"
      onCancel={(event) => event.preventDefault()}
    >
      <p class="ring-label">Incoming call</p>
      <span class="ring-pulse">
        <Avatar user={from} name={who} size="xl" />
      </span>
      <h2 id="ring-who">{who}</h2>
      <p id="ring-why" class="ring-why">
        {why ? (
          <>
            <Icon name="coin" size={18} /> {why}
          </>
        ) : (
          "wants to talk"
        )}
      </p>
      {call.record.kind === "group" && <p class="ring-why">Group call, through the hub</p>}
      <div class="ring-buttons">
        <button type="button" class="round decline" onClick={() => void store.run(() => call.decline())}>
          <span class="round-face">
            <Icon name="hangup" size={28} />
          </span>
          Decline
        </button>
        <button type="button" class="round answer" onClick={() => void store.answer(call)}>
          <span class="round-face">
            <Icon name="phone" size={28} />
          </span>
          Answer
        </button>
      </div>
    </dialog>
  );
}

function aboutPayment(payment: Payment): string {
  const order = payment.order ? `, ${orderName(payment.order)}` : "";
  return `Payment ${money(payment.amount, payment.currency)}${order}`;
}

import type { Call, Route } from "@parley/client";
import { useEffect, useRef } from "preact/hooks";
import { duration } from "../format.ts";
import type { Store } from "../store.ts";
import { ring } from "../tones.ts";
import { Avatar } from "./avatar.tsx";
import { CallWords } from "./call_words.tsx";
import { ConfirmBox } from "./confirm_box.tsx";
import { useNow, useStore } from "./context.ts";
import { Icon, type IconName } from "./icons.tsx";

const routes: Record<Route, { text: string; hint: string; icon: IconName }> = {
  direct: { text: "Direct", hint: "Your voices go straight from device to device.", icon: "direct" },
  relay: { text: "Relayed", hint: "Your voices go through a relay that cannot hear them.", icon: "relay" },
  sfu: { text: "Through the hub", hint: "Your voices go through the hub, which can hear them.", icon: "hub" },
};

/** The running call: who, how long, which way, what the words are, what is to confirm. */
export function CallPanel({ call, away = false }: { call: Call; away?: boolean }) {
  const store = useStore();
  const panel = useRef<HTMLElement>(null);
  const { phase, record } = call;
  useEffect(() => panel.current?.focus(), []);
  useEffect(() => (phase === "outgoing" ? ring("outgoing") : undefined), [phase]);
  const names = callTitle(store, call);
  return (
    <section
      ref={panel}
      class={`call ${away ? "call-away" : ""}`}
      tabIndex={-1}
      aria-label={`Call with ${names}`}
      data-phase={phase}
      data-route={call.route ?? ""}
      data-media={record.media}
      data-verified={record.verified}
    >
      <CallHead store={store} call={call} names={names} />
      {!away && record.kind === "group" && <People store={store} call={call} />}
      {!away && phase !== "outgoing" && <CallWords call={call} />}
      {!away && record.payment && phase !== "outgoing" && <ConfirmBox call={call} payment={record.payment} />}
      <Controls store={store} call={call} away={away} />
    </section>
  );
}

/** A group by its name, people by theirs. */
function callTitle(store: Store, call: Call): string {
  const home = store.threads.get(call.record.conversation ?? "")?.conversation;
  if (call.record.kind === "group" && home?.title) return home.title;
  return call.others.map((user) => store.name(user)).join(", ");
}

function CallHead({ store, call, names }: { store: Store; call: Call; names: string }) {
  const route = call.route ? routes[call.route] : undefined;
  const first = call.others[0] ?? "";
  const speaking = call.speakers.some((user) => call.others.includes(user));
  return (
    <header class="call-head">
      <span class={`speaker ${speaking ? "is-speaking" : ""}`}>
        <Avatar user={first} name={store.name(first)} size="m" />
      </span>
      <div class="call-who">
        <h3>{names}</h3>
        <p class="call-state numbers" role="status">
          <StateText call={call} />
        </p>
      </div>
      {route && (
        <span class="call-route" title={route.hint}>
          <Icon name={route.icon} size={16} />
          {route.text}
        </span>
      )}
    </header>
  );
}

function StateText({ call }: { call: Call }) {
  const { phase, record } = call;
  const running = phase === "active" || phase === "reconnecting";
  const now = useNow(running);
  if (phase === "outgoing") return <>{call.ringing.size > 0 ? "Ringing…" : "Calling…"}</>;
  if (phase === "connecting") return <>Connecting…</>;
  const since = record.active_at ?? record.answered_at;
  const time = since ? duration(now - new Date(since).getTime()) : "";
  // The seconds are for the eye: read out, they would never stop.
  return phase === "reconnecting" ? <>Reconnecting…</> : <span aria-hidden="true">{time}</span>;
}

const legText = {
  ringing: "ringing",
  answered: "joining",
  connected: "",
  reconnecting: "reconnecting",
  left: "left",
  declined: "not reached",
  missed: "not reached",
  busy: "busy",
} as const;

function People({ store, call }: { store: Store; call: Call }) {
  return (
    <ul class="call-people" aria-label="In the call">
      {call.record.participants.map(({ user, state, muted }) => {
        const speaks = call.speakers.includes(user);
        return (
          <li key={user} class={`person person-${state} ${speaks ? "is-speaking" : ""}`} data-user={user}>
            <Avatar user={user} name={store.fullName(user)} size="s" />
            <span>{store.name(user)}</span>
            {muted && <Icon name="micOff" size={14} />}
            <span class="person-state">{speaks ? "speaking" : muted ? "muted" : legText[state]}</span>
          </li>
        );
      })}
    </ul>
  );
}

function Controls({ store, call, away }: { store: Store; call: Call; away: boolean }) {
  const { muted, phase } = call;
  const talking = phase === "active" || phase === "reconnecting" || phase === "connecting";
  return (
    <div class="call-controls">
      {away && call.record.conversation && (
        <button type="button" class="call-button" onClick={() => store.select(call.record.conversation)}>
          Back to the call
        </button>
      )}
      {talking && (
        <button
          type="button"
          class="call-button"
          aria-pressed={muted}
          onClick={() => void store.run(() => call.mute(!muted))}
        >
          <Icon name={muted ? "micOff" : "mic"} />
          {muted ? "Unmute" : "Mute"}
        </button>
      )}
      {talking && !away && (
        <button type="button" class="call-button" onClick={() => store.open({ kind: "invite", call })}>
          <Icon name="addPerson" />
          Invite
        </button>
      )}
      <button type="button" class="call-button hangup" onClick={() => void store.run(() => call.hangup())}>
        <Icon name="hangup" />
        {phase === "outgoing" ? "Cancel" : "Hang up"}
      </button>
    </div>
  );
}

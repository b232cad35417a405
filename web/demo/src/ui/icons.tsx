const paths = {
  back: "M15 5l-7 7 7 7",
  phone:
    "M6.2 3.5h2.6l1.5 4-2 1.6a12 12 0 0 0 6.6 6.6l1.6-2 4 1.5v2.6a2 2 0 0 1-2.1 2A16.4 16.4 0 0 1 4.2 5.6a2 2 0 0 1 2-2.1z",
  mic: "M12 3.5a2.8 2.8 0 0 1 2.8 2.8v5a2.8 2.8 0 0 1-5.6 0v-5A2.8 2.8 0 0 1 12 3.5zM5.8 11a6.2 6.2 0 0 0 12.4 0M12 17.2v3.3",
  micOff:
    "M14.8 10V6.3a2.8 2.8 0 0 0-5.3-1.2M9.2 9.3v2a2.8 2.8 0 0 0 4.3 2.3M5.8 11a6.2 6.2 0 0 0 9.6 5.2M18.2 11a6 6 0 0 1-.6 2.7M12 17.2v3.3M4 4l16 16",
  addPerson:
    "M10 11.2a3.6 3.6 0 1 0 0-7.2 3.6 3.6 0 0 0 0 7.2zM3.6 20a6.4 6.4 0 0 1 12.8 0M18.5 8v6M15.5 11h6",
  people:
    "M9 11a3.4 3.4 0 1 0 0-6.8A3.4 3.4 0 0 0 9 11zM2.8 19.4a6.2 6.2 0 0 1 12.4 0M15.6 4.6a3.4 3.4 0 0 1 0 6M17.6 14a6.2 6.2 0 0 1 3.6 5.4",
  send: "M4.5 12h14M12.5 5.5 19 12l-6.5 6.5",
  check: "M5 12.5l4.6 4.6L19.5 7",
  checks: "M2.5 12.7l4.2 4.2 8-8.6M11 15.8l1.2 1.1 8.3-8.6",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2",
  shield: "M12 3.5l7 2.6v5.2c0 4.3-2.9 7.6-7 9.2-4.1-1.6-7-4.9-7-9.2V6.1zM8.8 12l2.3 2.3 4.2-4.4",
  key: "M14.6 13.4a4.6 4.6 0 1 0-4-4L4 16v4h4v-2.4h2.4v-2.4zM16.2 7.8h.01",
  warn: "M12 4.2 3.2 19.2h17.6zM12 10v4.2M12 16.8h.01",
  receipt: "M6 3.5h12v17l-2-1.4-2 1.4-2-1.4-2 1.4-2-1.4-2 1.4zM9 8h6M9 11.5h6M9 15h3.5",
  coin: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM14.8 8.6a4 4 0 1 0 0 6.8M7.4 10.9h4.4M7.4 13.1h4.4",
  direct: "M4 12h16M8 8l-4 4 4 4M16 8l4 4-4 4",
  relay: "M3.5 12h4.8M15.7 12h4.8M12 15.7a3.7 3.7 0 1 0 0-7.4 3.7 3.7 0 0 0 0 7.4z",
  hub: "M12 14.6a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2zM12 9.4V4M9.8 13.4 5 16.6M14.2 13.4 19 16.6",
  missed: "M4 7l6.5 6.5L20 4M4 7h5M4 7v5M4 20c5-3 11-3 16 0",
  close: "M6 6l12 12M18 6L6 18",
} as const;

export type IconName = keyof typeof paths | "hangup";

/** A drawn sign; the words beside it or the button's label say what it means. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {name === "hangup" ? <path d={paths.phone} transform="rotate(135 12 12)" /> : <path d={paths[name]} />}
    </svg>
  );
}

import { describe, expect, it, vi } from "vitest";
import { ConnectionLost, localProblem } from "../src/errors.ts";
import { Outbox, type OutgoingWrite } from "../src/outbox.ts";
import { settle } from "./fake_socket.ts";

function memory() {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
}

const field = (write: OutgoingWrite, name: string) => (write.params as Record<string, unknown>)[name];

describe("Outbox", () => {
  it("waits for a line, then sends a lane in order, one after the other", async () => {
    const sent: unknown[] = [];
    let free = () => {};
    const send = (write: OutgoingWrite) => {
      sent.push(field(write, "text"));
      return new Promise((resolve) => {
        free = () => resolve("ok");
      });
    };
    const outbox = new Outbox({ send });
    outbox.push("messages.send", { text: "one" }, "conv_1").catch(() => {});
    outbox.push("messages.send", { text: "two" }, "conv_1").catch(() => {});
    await settle();
    expect(sent).toEqual([]);
    outbox.setOnline(true);
    await settle();
    expect(sent).toEqual(["one"]);
    free();
    await settle();
    expect(sent).toEqual(["one", "two"]);
  });

  it("does not let one lane hold up another", async () => {
    const sent: string[] = [];
    const outbox = new Outbox({
      send: (write) => {
        sent.push(write.lane);
        return new Promise(() => {});
      },
    });
    outbox.setOnline(true);
    for (const lane of ["a", "a", "b"]) void outbox.push("m", {}, lane);
    await settle();
    expect(sent).toEqual(["a", "b"]);
  });

  it("sends again with the same key when the line dropped before the answer", async () => {
    const keys: (string | undefined)[] = [];
    let up = false;
    const outbox = new Outbox({
      send: async (write) => {
        keys.push(write.key);
        if (!up) throw new ConnectionLost();
        return "captured";
      },
    });
    outbox.setOnline(true);
    const answer = outbox.push("payments.hold", { payment: "pay_1" }, "pay_1", "key_1");
    await settle();
    up = true;
    outbox.setOnline(false);
    outbox.setOnline(true);
    await expect(answer).resolves.toBe("captured");
    expect(keys).toEqual(["key_1", "key_1"]);
  });

  it("hands a refusal to the caller and goes on with the next", async () => {
    const outbox = new Outbox({
      send: async (write) => {
        if (field(write, "bad")) throw localProblem("sensitive_data", "No card numbers.");
        return "sent";
      },
    });
    outbox.setOnline(true);
    const bad = outbox.push("messages.send", { bad: true }, "conv_1");
    const good = outbox.push("messages.send", {}, "conv_1");
    await expect(bad).rejects.toMatchObject({ code: "sensitive_data" });
    await expect(good).resolves.toBe("sent");
    expect(outbox.writes).toEqual([]);
  });

  it.each(["ledger_unavailable", "ledger_busy", "database_unavailable", "timeout", "rate_limited"])(
    "tries again by itself after %s",
    async (code) => {
      vi.useFakeTimers();
      let tries = 0;
      const outbox = new Outbox({
        send: async () => {
          if (++tries === 1) throw localProblem(code, "Not now.");
          return "held";
        },
      });
      outbox.setOnline(true);
      const answer = outbox.push("payments.hold", {}, "pay_1", "key_1");
      await vi.advanceTimersByTimeAsync(2_500);
      await expect(answer).resolves.toBe("held");
      vi.useRealTimers();
    },
  );

  it("keeps unsent writes over a reload, and forgets them when settled", async () => {
    const storage = memory();
    const before = new Outbox({ send: async () => "never", storage });
    before.push("messages.send", { client_id: "cl_1" }, "conv_1").catch(() => {});
    const sent: unknown[] = [];
    const after = new Outbox({
      send: async (write) => sent.push(field(write, "client_id")),
      storage,
    });
    after.setOnline(true);
    await settle();
    expect(sent).toEqual(["cl_1"]);
    expect(storage.kept.size).toBe(0);
  });

  it("survives storage that somebody else wrote into", () => {
    const storage = memory();
    storage.setItem("parley.outbox", '{"not":"a list"}');
    expect(new Outbox({ send: async () => "", storage }).writes).toEqual([]);
    storage.setItem("parley.outbox", "][");
    expect(new Outbox({ send: async () => "", storage }).writes).toEqual([]);
  });

  it("refuses more than its limit", async () => {
    const outbox = new Outbox({ send: async () => "", limit: 1 });
    outbox.push("m", {}, "a").catch(() => {});
    await expect(outbox.push("m", {}, "a")).rejects.toMatchObject({ code: "outbox_full" });
  });
});

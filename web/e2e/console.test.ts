import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { desktop, launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

describe("the operator's console", () => {
  let hub: Hub;
  let browser: Browser;

  beforeAll(async () => {
    hub = await Hub.start();
    browser = await launch(voice("ann"), hub);
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.stop();
  });

  it("shows sockets, a call, a payment, accounts that sum to nothing, and what was refused", async () => {
    const buyer = await Person.arrive(browser, hub, "buyer", phone);
    const seller = await Person.arrive(browser, hub, "seller", phone);
    const conversation = await hub.conversation("buyer", "seller");
    const request = { payer: "buyer", amount: 1_500, currency: "EUR", conversation };
    const payment = await seller.rest<{ id: string; version: number }>("POST", "/v1/payments", request);
    await buyer.rest("POST", `/v1/payments/${payment.id}/hold`, { version: payment.version });
    await buyer.rest("POST", `/v1/payments/${payment.id}/capture`, {}).catch(() => undefined);
    await buyer.openThread("V. Seller");
    await buyer.button("Call V. Seller").click();
    await seller.button("Answer").click();
    await Promise.all([buyer.talking(), seller.talking()]);

    const operator = await Person.visit(browser, hub, hub.info.console_link, {
      ...desktop,
      viewport: { width: 1280, height: 1100 },
    });
    // Their headings count what is in them.
    const section = (name: string) =>
      operator.page.getByRole("region", { name: new RegExp(`^${name} \\d+`) });
    await section("Sockets").getByText("buyer", { exact: true }).waitFor();
    await section("Calls").getByText("buyer → seller (connected)").waitFor();
    await section("Payments").getByText("held", { exact: true }).waitFor();
    await section("Ledger accounts").getByText("user:buyer:available").waitFor();
    await section("Ledger accounts").getByText("EUR adds up to €0.00").waitFor();
    await section("Recent problems").getByText("live_confirmation_required").first().waitFor();
    await operator.screenshot("40-console-desktop");
    await operator.accessible("the console");
    await buyer.button("Hang up").click();
    await section("Calls").getByText("ended", { exact: true }).waitFor();
    expectQuietConsoles(buyer, seller, operator);
  });

  it("shows nodes and rates, delivers a webhook again, and decides a dispute", async () => {
    const backend = await Backend.start();
    const hook = await hub.rest<{ id: string }>("POST", "/v1/webhooks", { url: backend.url });
    await hub.rest("POST", `/v1/webhooks/${hook.id}/test`, {});
    const payment = await disputed(hub);
    const operator = await Person.visit(browser, hub, hub.info.console_link, {
      ...desktop,
      viewport: { width: 1280, height: 1400 },
    });
    const section = (name: string) =>
      operator.page.getByRole("region", { name: new RegExp(`^${name} \\d+`) });
    await section("Nodes").getByText("serving", { exact: true }).waitFor();
    await operator.page
      .getByRole("region", { name: /^Rates/ })
      .getByText("delivered", { exact: true })
      .waitFor();

    await section("Webhooks")
      .getByRole("button", { name: `List deliveries of ${hook.id}` })
      .click();
    await section("Deliveries").getByText("succeeded", { exact: true }).first().waitFor();
    await operator.accessible("the console with deliveries");
    const heard = backend.heard;
    await section("Deliveries")
      .getByRole("button", { name: /^Replay / })
      .last()
      .click();
    await section("Deliveries").getByText("1 delivery on the way again.").waitFor();
    await expect.poll(() => backend.heard, { timeout: 10_000 }).toBeGreaterThan(heard);

    const row = section("Payments").getByRole("row").filter({ hasText: payment });
    await row.getByRole("button", { name: "For payer" }).click();
    await operator.screenshot("42-console-decides");
    await operator.accessible("the console's question");
    await row.getByRole("button", { name: "Give it back" }).click();
    await section("Payments").getByText("Decided for buyer.").waitFor();
    await row.getByText("refunded", { exact: true }).waitFor();
    expectQuietConsoles(operator);
    await backend.stop();
  });

  it("lists accounts beyond the first hundred, and then adds all of them up", async () => {
    const all = Array.from({ length: 110 }, (_, i) => ({ account: `app:till-${i}`, currency: "EUR" }));
    await Promise.all(all.map((account) => hub.rest("POST", "/v1/ledger/accounts", account)));
    const operator = await Person.visit(browser, hub, hub.info.console_link, desktop);
    const accounts = operator.page.getByRole("region", { name: /^Ledger accounts \d+/ });
    await accounts.getByText("Only the first 100 accounts are listed").waitFor();
    await accounts.getByRole("button", { name: "List more" }).click();
    await accounts.getByText("which are all").waitFor();
    await accounts.getByText("EUR adds up to €0.00").waitFor();
    await accounts.getByText("app:till-109").waitFor();
    await operator.accessible("the console with all accounts");
    await accounts.getByRole("button", { name: "Only the first, live" }).click();
    await accounts.getByText("Only the first 100 accounts are listed").waitFor();
    expectQuietConsoles(operator);
  });

  it("rests while nobody looks, waits while the node is silent, and goes on by itself", async () => {
    const operator = await Person.visit(browser, hub, hub.info.console_link, desktop);
    await operator.page.getByText("Live", { exact: true }).waitFor();
    let failing = true;
    await operator.page.route("**/v1/operator/overview", (route) =>
      failing
        ? route.fulfill({ status: 503, headers: { "retry-after": "1" }, body: "{}" })
        : route.continue(),
    );
    await operator.page.getByText("No answer", { exact: true }).waitFor();
    await operator.page.getByText(/You see what was true .* ago/).waitFor();
    await operator.screenshot("43-console-stale");
    failing = false;
    await operator.page.getByText("Live", { exact: true }).waitFor();
  });

  it("reads well on a phone in the dark, and says when its token is no good", async () => {
    const operator = await Person.visit(browser, hub, hub.info.console_link, {
      ...phone,
      colorScheme: "dark",
    });
    await operator.page.getByText("Live", { exact: true }).waitFor();
    await operator.screenshot("41-console-phone-dark");
    await operator.accessible("the console in the dark");
    const stranger = await Person.visit(browser, hub, `${hub.info.url}/console/#token=nonsense`, phone);
    await stranger.page.getByRole("alert").getByText("does not know this token").waitFor();
  });
});

/** An app's backend, which takes every webhook. */
class Backend {
  heard = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((_, answer) => {
      this.heard++;
      answer.end();
    });
  }

  static async start(): Promise<Backend> {
    const backend = new Backend();
    await new Promise<void>((ready) => backend.#server.listen(0, "127.0.0.1", ready));
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

/** A payment that its payer says went wrong. */
async function disputed(hub: Hub): Promise<string> {
  const conversation = await hub.conversation("buyer", "seller");
  const request = {
    payer: "buyer",
    payee: "seller",
    amount: 700,
    currency: "EUR",
    confirm: "none",
    conversation,
  };
  const payment = await hub.rest<{ id: string; version: number }>("POST", "/v1/payments", request);
  const path = `/v1/payments/${payment.id}`;
  const buyer = hub.user("buyer").token;
  await hub.rest("POST", `${path}/hold`, { version: payment.version }, buyer);
  await hub.rest("POST", `${path}/capture`, {});
  await hub.rest("POST", `${path}/report`, {}, buyer);
  return payment.id;
}

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, it } from "vitest";
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

import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

describe("with the keyboard alone", () => {
  let hub: Hub;
  let browser: Browser;
  let buyer: Person;
  let seller: Person;

  beforeAll(async () => {
    hub = await Hub.start();
    browser = await launch(voice("ann"), hub);
    buyer = await Person.arrive(browser, hub, "buyer", phone);
    seller = await Person.arrive(browser, hub, "seller", phone);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail") return;
    await buyer.screenshot("failed-buyer");
    await seller.screenshot("failed-seller");
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.stop();
  });

  it("a buyer writes, decides, calls, compares, confirms and hangs up; a seller asks and answers", async () => {
    await seller.press(/A\. Buyer/);
    await seller.press("Ask for money");
    await seller.focus("Amount in EUR");
    await seller.page.keyboard.type("25");
    await seller.page.keyboard.press("Enter");

    await buyer.press(/V\. Seller/);
    await buyer.focus("Message");
    await buyer.page.keyboard.type("I look at it");
    await buyer.page.keyboard.press("Enter");
    await buyer.press("Look and decide");
    await buyer.press("Set aside and call");

    await seller.page.locator(".ring").waitFor();
    await seller.press("Answer");
    await Promise.all([buyer.talking(), seller.talking()]);
    await Promise.all([buyer.words(), seller.words()]);
    for (const person of [buyer, seller]) await person.press("Same words");
    for (const person of [buyer, seller]) {
      await person.press("Confirm €25.00 with passkey");
      await person.press("Make a passkey and confirm");
    }
    await buyer.call().getByText("Paid. You both confirmed.").waitFor();
    await buyer.press("Hang up");
    await seller.call().waitFor({ state: "detached" });
    await buyer.press("Receipt");
    await buyer.page.locator(".receipt").waitFor();
    await buyer.page.keyboard.press("Escape");
    await buyer.page.locator(".receipt").waitFor({ state: "detached" });
    expect(await buyer.focused()).toBe("Receipt");
    expectQuietConsoles(buyer, seller);
  });
});

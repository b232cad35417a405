import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectHears, expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { desktop, launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

interface PaymentAnswer {
  state: string;
  version: number;
  fee: number;
  captured: number;
  confirmed_by: string[];
}

describe("a purchase between two people who have never paid each other", () => {
  let hub: Hub;
  let browsers: Browser[];
  let buyer: Person;
  let seller: Person;
  let tablet: Person;
  let payment: string;

  beforeAll(async () => {
    hub = await Hub.start("--set=hub.compress=true");
    await hub.conversation("buyer", "seller");
    browsers = [await launch(voice("ann"), hub), await launch(voice("bob"), hub)];
    buyer = await Person.arrive(browsers[0] as Browser, hub, "buyer", { ...phone, colorScheme: "light" });
    seller = await Person.arrive(browsers[1] as Browser, hub, "seller", { ...desktop, colorScheme: "light" });
    tablet = await Person.arrive(browsers[1] as Browser, hub, "seller", { ...phone, colorScheme: "dark" });
  });

  afterAll(async () => {
    for (const browser of browsers ?? []) await browser.close();
    await hub?.stop();
  });

  const current = () => buyer.rest<PaymentAnswer>("GET", `/v1/payments/${payment}`);

  it("they write to each other; ticks, typing and presence show", async () => {
    await buyer.screenshot("01-list-phone");
    await buyer.accessible("the list of conversations");
    await seller.openThread("A. Buyer");
    await buyer.openThread("V. Seller");
    await seller.page.locator(".thread-who p", { hasText: "Online" }).waitFor();
    await buyer.page.getByLabel("Message", { exact: true }).pressSequentially("Is the bike still there?");
    await seller.page.locator(".thread-who p", { hasText: "typing" }).waitFor();
    await buyer.page.keyboard.press("Enter");
    await seller.page.locator(".bubble", { hasText: "Is the bike still there?" }).waitFor();
    await buyer.page.locator(".bubble.mine .ticks.is-read").waitFor();
    await seller.page.getByLabel("Message", { exact: true }).fill("Yes! I will send you the request.");
    await seller.page.keyboard.press("Enter");
    await buyer.page.locator(".bubble.theirs").waitFor();
    await tablet.page.locator(".row", { hasText: "A. Buyer" }).waitFor();
  });

  it("browsers take up compression where the hub has it", async () => {
    const metrics = await (await fetch(`${hub.info.url}/metrics`)).text();
    expect(metrics).toMatch(/parley_hub_accepted_total\{transport="json_deflate"\} [1-9]/);
    expect(metrics).toMatch(/parley_hub_accepted_total\{transport="json"\} 0/);
  });

  it("1. the seller asks for money: a card in the hub's words, and nothing rings", async () => {
    await seller.button("Ask for money").click();
    await seller.page.getByLabel("Amount in EUR").fill("120");
    await seller.page.getByLabel("What for").fill("Bike");
    await seller.page.getByLabel("Order, if any").fill("ord_77");
    await seller.screenshot("02-request-desktop");
    await seller.accessible("the request form");
    await seller.button("Ask for €120.00").click();
    const card = buyer.page.locator(".pay-card");
    await card.getByText("You will PAY 120.00 EUR to V. Seller").waitFor();
    await card.getByText("order 77 · “Bike”").waitFor();
    await card.getByText("Expires tomorrow if nothing is done").waitFor();
    payment = (await card.getAttribute("data-payment")) ?? "";
    await seller.page.locator(".pay-card", { hasText: "You asked A. Buyer to pay €120.00" }).waitFor();
    expect(await buyer.page.locator(".ring").count()).toBe(0);
    await buyer.screenshot("03-card-phone");
    await buyer.accessible("a conversation with a request");
  });

  it("2. the buyer opens it: who it is, what the policy asks for, and no plain Pay", async () => {
    await buyer.button("Look and decide").click();
    const sheet = buyer.page.locator(".pay-sheet");
    await sheet.getByText("You will PAY").waitFor();
    await sheet.locator(".payee-name", { hasText: "V. Seller" }).waitFor();
    await sheet.getByText("Name checked").waitFor();
    await sheet.getByText("First payment to this person").waitFor();
    await sheet.locator(".policy").waitFor();
    const buttons = await sheet.getByRole("button").allInnerTexts();
    expect(buttons.map((b) => b.trim()).filter(Boolean)).toEqual([
      "Set aside and call",
      "Decline",
      "Report",
      "Block",
    ]);
    await buyer.screenshot("04-sheet-phone");
    await buyer.accessible("the pay sheet");
  });

  it("3. and 4. the money is set aside, both devices of the seller ring with who and why", async () => {
    await buyer.button("Set aside and call").click();
    for (const device of [seller, tablet]) {
      await device.page.locator(".ring h2", { hasText: "A. Buyer" }).waitFor();
      await device.page.locator(".ring-why", { hasText: "€120.00" }).waitFor();
    }
    expect((await current()).state).toBe("held");
    await buyer.call().getByText("Ringing…").waitFor();
    await tablet.screenshot("05-ring-phone-dark");
    await seller.screenshot("05-ring-desktop");
    await tablet.accessible("the ringing screen");
    await buyer.screenshot("06-outgoing-phone");
    await buyer.accessible("a call that rings out");
  });

  it("5. one device answers, the other stops at once", async () => {
    await seller.button("Answer").click();
    await tablet.page.locator(".ring").waitFor({ state: "detached", timeout: 1_000 });
    expect(await tablet.call().count()).toBe(0);
  });

  it("6. both hear what the other says, directly, and see the same words and the same card", async () => {
    await Promise.all([buyer.talking(), seller.talking()]);
    for (const person of [buyer, seller]) {
      expect(await person.call().getAttribute("data-route")).toBe("direct");
      await person.call().getByText("Direct").waitFor();
    }
    const [mine, theirs] = await Promise.all([buyer.words(), seller.words()]);
    expect(mine).toMatch(/^[a-z]+ [a-z]+ \d{4}$/);
    expect(theirs).toBe(mine);
    await Promise.all([
      expectHears(buyer, "seller", "bob", "ann"),
      expectHears(seller, "buyer", "ann", "bob"),
    ]);
    await buyer.screenshot("07-words-phone");
    await seller.screenshot("07-words-desktop");
    await buyer.accessible("the words");
    await seller.accessible("the words on a desktop");
  });

  it("7. both say the words are the same, and the first confirms with a passkey made for it", async () => {
    await buyer.button("Same words").click();
    await buyer.call().getByText("Waiting for the other side").waitFor();
    expect(await buyer.button(/Confirm €120.00/).count()).toBe(0);
    await seller.button("Same words").click();
    await buyer.button(/Confirm €120.00/).click();
    await buyer.page.getByText("A voice can be imitated.").waitFor();
    await buyer.screenshot("08-passkey-phone");
    await buyer.accessible("the passkey's explanation");
    await buyer.button("Make a passkey and confirm").click();
    await buyer.call().getByText("You confirmed. Waiting for V. Seller").waitFor();
    await seller.call().getByText("A. Buyer confirmed. Your turn.").waitFor();
    expect(await current()).toMatchObject({ state: "confirming", confirmed_by: ["payer"] });
    await buyer.screenshot("09-confirmed-one-phone");
    await seller.screenshot("09-confirm-desktop");
    await seller.accessible("the confirmation");
  });

  it("8. the second confirmation captures, and both see it", async () => {
    await seller.button(/Confirm €120.00/).click();
    await seller.button("Make a passkey and confirm").click();
    await buyer.call().getByText("Paid. You both confirmed.").waitFor();
    await seller.call().getByText("Paid. You both confirmed.").waitFor();
    expect(await current()).toMatchObject({ state: "captured", captured: 12_000, fee: 120 });
    await buyer.screenshot("10-paid-phone");
    await buyer.page.locator(".pay-card", { hasText: "You paid V. Seller €120.00" }).waitFor();
  });

  it("9. they hang up: a record of the call, a receipt, and the evidence", async () => {
    await buyer.button("Hang up").click();
    await seller.call().waitFor({ state: "detached" });
    for (const person of [buyer, seller]) {
      await person.page.locator(".call-card", { hasText: /Call · \d+:\d\d/ }).waitFor();
      await person.page.locator(".call-card", { hasText: "words compared" }).waitFor();
    }
    await buyer.button("Receipt").click();
    await buyer.page.locator(".receipt").getByText("Live, by both, with passkeys").waitFor();
    await buyer.screenshot("11-receipt-phone");
    await buyer.accessible("the receipt");
    await buyer.button("Close").click();
    const evidence = await buyer.rest<{ rows: { kind: string }[] }>(
      "GET",
      `/v1/payments/${payment}/evidence`,
    );
    expect(evidence.rows.filter((row) => row.kind === "confirmation")).toHaveLength(2);
    await buyer.screenshot("12-log-phone");
    await seller.screenshot("12-log-desktop");
    await tablet.openThread("A. Buyer");
    await tablet.page.locator(".pay-card").waitFor();
    await tablet.screenshot("12-log-phone-dark");
    await tablet.accessible("the conversation in the dark");
  });

  it("no page complained in its console", () => {
    expectQuietConsoles(buyer, seller, tablet);
  });
});

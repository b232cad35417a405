import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { expectHears, expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

interface PaymentAnswer {
  id: string;
  state: string;
  version: number;
  amount: number;
  confirmed_by: string[];
}

describe("when it does not go smoothly", () => {
  let hub: Hub;
  let browsers: Browser[];
  let buyer: Person;
  let seller: Person;
  let payment: PaymentAnswer;

  beforeAll(async () => {
    hub = await Hub.start();
    browsers = [await launch(voice("ann"), hub), await launch(voice("bob"), hub)];
  });

  beforeEach(async () => {
    buyer = await Person.arrive(browsers[0] as Browser, hub, "buyer", phone);
    seller = await Person.arrive(browsers[1] as Browser, hub, "seller", phone);
    const conversation = await hub.conversation("buyer", "seller");
    // By the app: after a payment went wrong the seller may not ask again so soon.
    const people = { payer: "buyer", payee: "seller", conversation };
    const request = { ...people, amount: 4_000, currency: "EUR", memo: "Lamp" };
    payment = await hub.rest<PaymentAnswer>("POST", "/v1/payments", request);
    await buyer.rest("POST", `/v1/payments/${payment.id}/hold`, { version: payment.version });
    await buyer.openThread("V. Seller");
    await seller.openThread("A. Buyer");
  });

  afterEach(async ({ task }) => {
    hub.resume();
    if (task.result?.state === "fail") {
      await buyer.screenshot("failed-buyer");
      await seller.screenshot("failed-seller");
    }
    expectQuietConsoles(buyer, seller);
    await buyer.leave();
    await seller.leave();
  });

  afterAll(async () => {
    for (const browser of browsers ?? []) await browser.close();
    await hub?.stop();
  });

  const card = (person: Person) => person.page.locator(`.pay-card[data-payment="${payment.id}"]`);
  const current = () => buyer.rest<PaymentAnswer>("GET", `/v1/payments/${payment.id}`);

  async function talk(): Promise<void> {
    await card(buyer).getByRole("button", { name: "Call to confirm" }).click();
    await seller.button("Answer").click();
    await Promise.all([buyer.talking(), seller.talking()]);
    expect(await seller.words()).toBe(await buyer.words());
  }

  async function hangUp(): Promise<void> {
    await seller.button("Hang up").click();
    await buyer.call().waitFor({ state: "detached" });
  }

  async function compare(): Promise<void> {
    await buyer.button("Same words").click();
    await seller.button("Same words").click();
    await buyer.page.locator('.call[data-verified="words_match"]').waitFor();
  }

  async function confirm(person: Person): Promise<void> {
    await person.button(/^Confirm €/).click();
    const first = person.button("Make a passkey and confirm");
    const done = person.call().getByText(/You confirmed|Paid/);
    await first.or(done).first().waitFor();
    if (await first.isVisible()) await first.click();
    await done.waitFor();
  }

  it("the words differ: the call ends, both are warned, the payment is under review", async () => {
    await talk();
    await seller.button("They differ").click();
    for (const person of [buyer, seller]) {
      await person.call().waitFor({ state: "detached" });
      await person.page.locator(".notice-bad", { hasText: "Do not continue on this line" }).waitFor();
      await card(person).getByText("Under review", { exact: true }).waitFor();
      await person.page.locator(".call-card", { hasText: "words differed" }).waitFor();
    }
    expect((await current()).state).toBe("review");
    await buyer.screenshot("30-differ-phone");
    await buyer.accessible("a payment under review");
  });

  it("the caller's answer overtakes the answering device's own beginning: they hear each other all the same", async () => {
    await seller.page.evaluate(() => {
      const begin = RTCPeerConnection.prototype.setLocalDescription;
      const slow = async function (this: RTCPeerConnection, description?: RTCSessionDescriptionInit) {
        await new Promise((resolve) => setTimeout(resolve, 800));
        return Reflect.apply(begin, this, [description]);
      };
      RTCPeerConnection.prototype.setLocalDescription = slow as typeof begin;
    });
    await talk();
    await hangUp();
  });

  it("the seller declines: the buyer reads a neutral sentence, and the money stays set aside", async () => {
    await card(buyer).getByRole("button", { name: "Call to confirm" }).click();
    await seller.button("Decline").click();
    await buyer.page.locator(".notice", { hasText: "Could not be reached right now." }).waitFor();
    await buyer.page.locator(".call-card", { hasText: "Not reached" }).waitFor();
    expect((await current()).state).toBe("held");
  });

  it("the seller lowers the amount in the call: confirmations are void, the new amount is confirmed", async () => {
    await talk();
    await compare();
    await confirm(buyer);
    await card(seller).getByRole("button", { name: "Change" }).click();
    await seller.page.getByLabel("Amount in EUR").fill("35");
    await seller.screenshot("33-change-phone");
    await seller.accessible("changing the amount");
    await seller.button("Change to €35.00").click();
    await buyer.button("Confirm €35.00 with passkey").waitFor();
    expect(await current()).toMatchObject({ state: "held", amount: 3_500, version: payment.version + 1 });
    await confirm(buyer);
    await confirm(seller);
    await buyer.call().getByText("Paid. You both confirmed.").waitFor();
    await hangUp();
  });

  it("the buyer's page is loaded again between the confirmations: same words, and the confirmation still counts", async () => {
    await talk();
    await compare();
    await confirm(buyer);
    const words = await buyer.words();
    await buyer.page.reload();
    await buyer.talking();
    expect(await buyer.words()).toBe(words);
    await seller.talking();
    await Promise.all([
      expectHears(buyer, "seller", "bob", "ann"),
      expectHears(seller, "buyer", "ann", "bob"),
    ]);
    expect(await current()).toMatchObject({ state: "confirming", confirmed_by: ["payer"] });
    await confirm(seller);
    await buyer.call().getByText("Paid. You both confirmed.").waitFor();
    await hangUp();
  });

  it("the hub falls silent: the page says so, keeps what was written, and sends it once", async () => {
    hub.pause();
    await buyer.page.getByLabel("Message", { exact: true }).fill("Are you still there?");
    await buyer.page.keyboard.press("Enter");
    await buyer.page.getByRole("img", { name: "Waiting to be sent" }).waitFor();
    await buyer.page.locator(".banner", { hasText: /Reconnecting|Offline/ }).waitFor({ timeout: 20_000 });
    await buyer.screenshot("31-offline-phone");
    await buyer.accessible("being offline");
    hub.resume();
    await seller.page.locator(".bubble", { hasText: "Are you still there?" }).waitFor({ timeout: 30_000 });
    await buyer.page.locator(".banner-hidden").waitFor({ state: "attached", timeout: 30_000 });
    expect(await seller.page.locator(".bubble", { hasText: "Are you still there?" }).count()).toBe(1);
    buyer.complaints.length = 0; // The browser itself notes the connections that failed meanwhile.
    seller.complaints.length = 0;
  });

  it("a card number is refused and stays on the writer's own screen", async () => {
    await buyer.page.getByLabel("Message", { exact: true }).fill("My card is 4111 1111 1111 1111");
    await buyer.page.keyboard.press("Enter");
    await buyer.page.getByText("Card numbers do not belong in a chat").waitFor();
    await buyer.screenshot("32-refused-phone");
    await buyer.accessible("a refused message");
    await buyer.button("Remove").click();
    expect(await seller.page.locator(".bubble", { hasText: "4111" }).count()).toBe(0);
  });
});

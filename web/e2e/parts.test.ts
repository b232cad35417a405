import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { desktop, launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

const rules = fileURLToPath(new URL("lib/rules.yaml", import.meta.url));

interface PaymentAnswer {
  id: string;
  state: string;
  version: number;
  captured: number;
  refunded: number;
  fee: number;
}

describe("a fee on top, money in parts, and a dispute", () => {
  let hub: Hub;
  let browsers: Browser[];
  let buyer: Person;
  let seller: Person;
  let conversation: string;

  beforeAll(async () => {
    hub = await Hub.start(
      `--set=safety.rules=${rules}`,
      "--set=payments.fees=EUR basis_points=150 paid_by=payer",
    );
    browsers = [await launch(voice("ann"), hub), await launch(voice("bob"), hub)];
    conversation = await hub.conversation("buyer", "seller");
    buyer = await Person.arrive(browsers[0] as Browser, hub, "buyer", {
      ...phone,
      viewport: { width: 360, height: 780 },
    });
    seller = await Person.arrive(browsers[1] as Browser, hub, "seller", desktop);
    await buyer.openThread("V. Seller");
    await seller.openThread("A. Buyer");
  });

  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail") return;
    for (const person of [buyer, seller]) await person.screenshot(`failed-${person.user}`);
  });

  afterAll(async () => {
    for (const browser of browsers ?? []) await browser.close();
    await hub?.stop();
  });

  const sheet = (person: Person) => person.page.getByRole("dialog", { name: "Payment", exact: true });
  const current = (id: string) => buyer.rest<PaymentAnswer>("GET", `/v1/payments/${id}`);
  const card = (person: Person, id: string) => person.page.locator(`.pay-card[data-payment="${id}"]`);

  async function ask(more: object): Promise<string> {
    const body = { payer: "buyer", payee: "seller", amount: 10_000, currency: "EUR", conversation, ...more };
    return (await hub.rest<PaymentAnswer>("POST", "/v1/payments", body)).id;
  }

  it("the payer sees and confirms the sum with the fee, the payee the amount", async () => {
    const id = await ask({ memo: "Boots", confirm: "live" });
    await card(buyer, id).getByText("You will PAY 101.50 EUR to V. Seller").waitFor();
    await card(buyer, id).getByText("€100.00 and a fee of €1.50").waitFor();
    await card(seller, id).getByText("The payer pays the fee on top").waitFor();
    await card(buyer, id).getByRole("button", { name: "Look and decide" }).click();
    await sheet(buyer).getByText("€101.50", { exact: true }).waitFor();
    await buyer.screenshot("70-fee-phone");
    await buyer.accessible("a fee on top");
    await buyer.button("Set aside and call").click();
    await seller.button("Answer").click();
    await Promise.all([buyer.talking(), seller.talking()]);
    await Promise.all([buyer.words(), seller.words()]);
    for (const person of [buyer, seller]) await person.button("Same words").click();
    await buyer.button("Confirm €101.50 with passkey").click();
    await buyer.button("Make a passkey and confirm").click();
    await seller.button("Confirm €100.00 with passkey").click();
    await seller.button("Make a passkey and confirm").click();
    await buyer.call().getByText("Paid. You both confirmed.").waitFor();
    await buyer.button("Hang up").click();
    await seller.call().waitFor({ state: "detached" });
    await card(buyer, id).getByText("You paid V. Seller €101.50").waitFor();
    expect(await current(id)).toMatchObject({ state: "captured", captured: 10_000, fee: 150 });
  });

  it("a part is paid, the payee needs less, the rest is taken back", async () => {
    const id = await ask({ memo: "Work by the hour" });
    await card(buyer, id).getByRole("button", { name: "Look and decide" }).click();
    await buyer.button("Set the money aside").click();
    await buyer.button("Pay a part").click();
    await buyer.page.getByLabel("Amount in EUR").fill("40");
    await buyer.screenshot("71-part-phone");
    await buyer.accessible("paying a part");
    await buyer.button("Pay €40.00 now").click();
    await card(buyer, id).getByText("Partly paid").waitFor();
    await card(seller, id).getByText("€40.00 of €100.00 is paid, €60.00 is still set aside").waitFor();
    await card(seller, id)
      .getByText(/What is left goes back to the payer/)
      .waitFor();
    await card(seller, id).getByRole("button", { name: "Details" }).click();
    await seller.screenshot("72-part-desktop");
    await seller.accessible("a payment in parts, seen by the payee");
    await seller.button("Need less").click();
    await seller.page.getByLabel("Amount in EUR").fill("10");
    await seller.button("Keep €10.00 set aside").click();
    await card(seller, id).getByText("€10.00 is still set aside").waitFor();
    await card(buyer, id).getByRole("button", { name: "Details" }).click();
    await buyer.button("Take the rest back").click();
    await card(buyer, id).getByText("You paid V. Seller €40.60").waitFor();
    expect(await current(id)).toMatchObject({ state: "captured", captured: 4_000 });
  });

  it("a part is paid back; the rest is disputed, answered in time, and both read how it goes on", async () => {
    const id = await ask({ memo: "Chair" });
    await card(buyer, id).getByRole("button", { name: "Look and decide" }).click();
    await buyer.button("Set the money aside").click();
    await buyer.button("Pay now").click();
    await card(seller, id).getByRole("button", { name: "Details" }).click();
    await seller.button("Pay back").click();
    await seller.page.getByLabel("Amount in EUR").fill("25");
    await seller.button("Pay €25.00 back").click();
    await card(buyer, id).getByText("€25.37 of").waitFor();
    await card(buyer, id).getByRole("button", { name: "Details" }).click();
    await buyer.button("Dispute").click();
    await card(buyer, id)
      .getByText(/V\. Seller can answer until/)
      .waitFor();
    await card(seller, id)
      .getByText(/^You can answer until/)
      .waitFor();
    await seller.screenshot("73-dispute-desktop");
    await card(seller, id).getByRole("button", { name: "Details" }).click();
    await sheet(seller).getByRole("button", { name: "Answer" }).click();
    await seller.page.getByLabel("What happened, as you see it").fill("It was whole when it left my shop.");
    await seller.screenshot("75-answer-desktop");
    await seller.accessible("the answer to a dispute");
    await seller.page.getByRole("dialog").getByRole("button", { name: "Answer" }).click();
    await card(buyer, id).getByText("“It was whole when it left my shop.”").waitFor();
    await card(buyer, id)
      .getByText(/It is decided until/)
      .waitFor();
    await buyer.screenshot("74-dispute-phone");
    await buyer.accessible("a dispute");
    await hub.rest("POST", `/v1/payments/${id}/resolve`, { outcome: "payer" });
    await card(buyer, id)
      .getByText(/Decided for you/)
      .waitFor();
    expect(await current(id)).toMatchObject({ state: "refunded", refunded: 10_000 });
  });

  it("no page complained in its console", () => expectQuietConsoles(buyer, seller));
});

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
  captured: number;
}

describe("what stands before a payment", () => {
  let hub: Hub;
  let browser: Browser;
  let buyer: Person;
  let mira: Person;
  let conversation: string;

  beforeAll(async () => {
    hub = await Hub.start(`--set=safety.rules=${rules}`);
    browser = await launch(voice("ann"), hub);
    conversation = await hub.conversation("buyer", "seller");
    await hub.rest("POST", "/v1/sandbox/fund", { user: "buyer", amount: 2_000_000, currency: "EUR" });
    buyer = await Person.arrive(browser, hub, "buyer", { ...phone, viewport: { width: 360, height: 780 } });
    await buyer.openThread("V. Seller");
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await buyer.screenshot("failed-buyer");
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.stop();
  });

  const sheet = () => buyer.page.getByRole("dialog", { name: "Payment", exact: true });
  const current = (id: string) => buyer.rest<PaymentAnswer>("GET", `/v1/payments/${id}`);

  /** The app asks for the seller, whom no limit on requests stops; the buyer opens the sheet. */
  async function asked(amount: number): Promise<string> {
    const body = { payer: "buyer", payee: "seller", amount, currency: "EUR", conversation, memo: "Boat" };
    const { id } = await hub.rest<PaymentAnswer>("POST", "/v1/payments", body);
    const card = buyer.page.locator(`.pay-card[data-payment="${id}"]`);
    await card.getByRole("button", { name: "Look and decide" }).click();
    await sheet().getByText("You will PAY").waitFor();
    return id;
  }

  async function set(name = "Set the money aside") {
    await sheet().getByRole("button", { name }).click();
  }

  it("a question and a pause: answered once, counted down, kept over a reload, and then paid", async () => {
    const id = await asked(120_000);
    await sheet().getByText("This is a lot of money.").waitFor();
    await sheet().getByText("A pause of 5 seconds comes first.").waitFor();
    const aside = sheet().getByRole("button", { name: "Set the money aside" });
    expect(await aside.getAttribute("aria-disabled")).toBe("true");
    await buyer.screenshot("50-questions-phone");
    await buyer.accessible("the questions before a payment");
    await sheet().getByRole("radio", { name: "No", exact: true }).check();
    await set();
    await sheet().getByText("You can go on in 5 seconds.").waitFor();
    await buyer.screenshot("51-pause-phone");
    await buyer.accessible("the pause");
    await buyer.page.reload();
    await sheet().locator(".countdown").waitFor();
    expect(await aside.getAttribute("aria-disabled")).toBe("true");
    await sheet().getByText("The pause is over. You can go on.").waitFor();
    await sheet().locator('button[aria-disabled="false"]', { hasText: "Set the money aside" }).waitFor();
    expect(await sheet().getByRole("radio").count()).toBe(0);
    await set();
    await set("Pay now");
    await sheet().waitFor({ state: "detached" });
    expect(await current(id)).toMatchObject({ state: "captured", captured: 120_000 });
    await buyer.page.getByRole("log").getByText("You paid V. Seller €1,200.00").first().waitFor();
  });

  it("a wrong answer stops it, in the hub's words, with a way to decline and report", async () => {
    const id = await asked(110_000);
    await sheet().getByRole("radio", { name: "Yes" }).check();
    await set();
    await sheet().getByText("Nobody honest asks you to move money").waitFor();
    await sheet().getByRole("button", { name: "Report" }).waitFor();
    expect(await sheet().getByRole("button", { name: "Set the money aside" }).count()).toBe(0);
    await buyer.screenshot("52-denied-phone");
    await buyer.accessible("a denied payment");
    await sheet().getByRole("button", { name: "Report" }).click();
    await sheet().waitFor({ state: "detached" });
    expect((await current(id)).state).toBe("review");
  });

  it("a trusted person is named, asked, says no to one payment and yes to the next", async () => {
    await hub.rest("PUT", "/v1/trusted", { trusted: "mira" }, hub.user("buyer").token);
    mira = await Person.arrive(browser, hub, "mira", desktop);
    await asked(210_000);
    await sheet().getByText("The person you trust has to say yes first.").waitFor();
    await set();
    await sheet().getByText("Mira Lund was asked and has not answered yet.").waitFor();
    await buyer.screenshot("53-trusted-phone");
    await mira.page.locator(".strip", { hasText: "€2,100.00" }).waitFor();
    await mira.button("Look").click();
    await mira.page.getByRole("dialog").getByText("A person you trust looks").waitFor();
    await mira.screenshot("54-approve-desktop");
    await mira.accessible("the trusted person's card");
    await mira.button("No, stop it").click();
    await sheet().getByText("The person you trust has said no to this payment.").waitFor();
    await sheet().getByRole("button", { name: "Close" }).click();

    const id = await asked(220_000);
    await set();
    await mira.button("Look").click();
    await mira.button("Yes, A. Buyer may pay").click();
    await sheet().getByText("Mira Lund said yes. You can go on.").waitFor();
    await set();
    await set("Pay now");
    await sheet().waitFor({ state: "detached" });
    expect((await current(id)).state).toBe("captured");
    expect(await mira.page.locator(".strip-hidden").count()).toBe(1);
  });

  it("a warning is read, and the held money cools off: it can only be taken back", async () => {
    const id = await asked(310_000);
    await sheet().getByText("the money stays where it is for 1 day").waitFor();
    await sheet().getByRole("checkbox", { name: "I have read this" }).check();
    await set();
    await sheet().getByText("The money does not move before tomorrow").waitFor();
    await buyer.screenshot("55-cooling-phone");
    await buyer.accessible("money that cools off");
    expect(await sheet().getByRole("button", { name: "Pay now" }).getAttribute("aria-disabled")).toBe("true");
    await sheet().getByRole("button", { name: "Release the money" }).click();
    await sheet().waitFor({ state: "detached" });
    expect((await current(id)).state).toBe("voided");
  });

  it("a limit says what is left of it", async () => {
    await asked(410_000);
    await sheet().getByText("is left of the limit.").waitFor();
    await buyer.screenshot("56-limit-phone");
    await buyer.accessible("a limit");
    await sheet().getByRole("button", { name: "Decline" }).click();
    const decline = buyer.page.getByRole("dialog", { name: "Decline the request" });
    await decline.getByRole("radio", { name: "The amount is wrong" }).check();
    await buyer.screenshot("57-decline-phone");
    await buyer.accessible("a no with its reason");
    await decline.getByRole("button", { name: "Decline" }).click();
    await buyer.page.getByRole("log").getByText("“The amount is wrong”").waitFor();
  });

  it("no page complained in its console", () => expectQuietConsoles(buyer, mira));
});

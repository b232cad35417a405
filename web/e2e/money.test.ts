import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { desktop, launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

const rules = fileURLToPath(new URL("lib/rules.yaml", import.meta.url));
const small = { ...phone, viewport: { width: 360, height: 780 } };

describe("asking, paying out and converting", () => {
  let hub: Hub;
  let browser: Browser;
  let buyer: Person;
  let mira: Person;
  let jonas: Person;

  beforeAll(async () => {
    hub = await Hub.start(`--set=safety.rules=${rules}`);
    browser = await launch(voice("ann"), hub);
    buyer = await Person.arrive(browser, hub, "buyer", { ...desktop, colorScheme: "light" });
    mira = await Person.arrive(browser, hub, "mira", small);
    jonas = await Person.arrive(browser, hub, "jonas", { ...small, colorScheme: "dark" });
  });

  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail") return;
    for (const person of [buyer, mira, jonas]) await person.screenshot(`failed-${person.user}`);
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.stop();
  });

  const dialog = (person: Person, name: string) => person.page.getByRole("dialog", { name, exact: true });

  /** Sets aside and pays what the open sheet asks for. */
  async function pay(person: Person): Promise<void> {
    const sheet = dialog(person, "Payment");
    await sheet.getByRole("button", { name: "Set the money aside" }).click();
    await sheet.getByRole("button", { name: "Pay now" }).click();
    await sheet.waitFor({ state: "detached" });
  }

  it("a stranger asks: a silent card in the hub's words; a no with its reason, and a block", async () => {
    const conversation = await hub.conversation("mira", "seller");
    const token = hub.user("seller").token;
    const request = { payer: "mira", amount: 4_200, currency: "EUR", conversation, memo: "Lamp" };
    await hub.rest("POST", "/v1/payments", request, token);
    await mira.page.getByRole("link", { name: /V\. Seller/ }).waitFor();
    expect(await mira.page.locator(".badge").count()).toBe(0);
    expect(await mira.page.locator(".ring, .notice").count()).toBe(0);
    await mira.openThread("V. Seller");
    const card = mira.page.locator(".pay-card");
    await card.getByText("You will PAY 42.00 EUR to V. Seller").waitFor();
    await card.getByText("“Lamp”").waitFor();
    await mira.screenshot("60-stranger-phone");
    await mira.accessible("a stranger's request");
    await mira.button("Look and decide").click();
    await dialog(mira, "Payment").getByRole("button", { name: "Decline" }).click();
    const decline = dialog(mira, "Decline the request");
    await decline.getByRole("radio", { name: "This is not mine to pay" }).check();
    await decline.getByRole("checkbox", { name: /Also block V\. Seller/ }).check();
    await decline.getByRole("button", { name: "Decline" }).click();
    await mira.page.getByRole("log").getByText("“This is not mine to pay”").waitFor();
    await expect(hub.rest("POST", "/v1/payments", request, token)).rejects.toThrow("no_relation");

    await mira.button("Back to conversations").click();
    await mira.button("Settings").click();
    await mira.button("Unblock V. Seller").waitFor();
    await mira.screenshot("61-settings-phone");
    await mira.accessible("the settings");
    await dialog(mira, "Settings")
      .getByRole("combobox", { name: "Who" })
      .selectOption({ label: "Jonas Weber" });
    await dialog(mira, "Settings").getByRole("button", { name: "Save" }).click();
    await mira.button("Unblock V. Seller").click();
    await dialog(mira, "Settings").getByText("Nobody. You can block").waitFor();
    await mira.button("Close").click();
    expect(await mira.rest("GET", "/v1/trusted")).toMatchObject({ trusted: "jonas" });
  });

  it("three people are asked from their conversation, two pay, and what is open is withdrawn", async () => {
    await buyer.openThread("Dinner club");
    await buyer.button("Ask for money").click();
    await buyer.page.getByLabel("Amount in EUR, in all").fill("100");
    await buyer.page.getByLabel("What for").fill("Dinner");
    await buyer.screenshot("62-group-desktop");
    await buyer.accessible("asking several people");
    await buyer.button("Ask for €100.00").click();
    for (const person of [mira, jonas]) {
      await person.openThread("Dinner club");
      await person.button("Your share").click();
      await pay(person);
    }
    await buyer.button("Who has paid").click();
    const progress = dialog(buyer, "Who has paid");
    await progress.getByText("2 of 3 paid").waitFor();
    await progress.getByText("€33.33 open").waitFor();
    await buyer.screenshot("63-collected-desktop");
    await buyer.accessible("what is collected");
    await buyer.button("Withdraw what is not paid").click();
    await progress.getByText("Withdrawn", { exact: true }).first().waitFor();
    await buyer.button("Close").click();
    await buyer.page.getByRole("log").getByText("withdrawn").waitFor();
  });

  it("a link is made and copied, opened by another person, and paid", async () => {
    await buyer.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await buyer.button("My money").click();
    const own = dialog(buyer, "My money");
    await own.getByRole("radio", { name: "Links" }).check();
    await own.getByLabel("Amount in EUR").fill("12.50");
    await own.getByLabel("What for").fill("Ticket");
    await own.getByRole("button", { name: "Make a link" }).click();
    const url = await own.getByLabel("Address of the link for €12.50").inputValue();
    await own.getByRole("button", { name: "Copy" }).click();
    await buyer.page.locator(".notice", { hasText: "Copied." }).waitFor({ state: "attached" });
    expect(await buyer.page.evaluate(() => navigator.clipboard.readText())).toBe(url);
    await buyer.screenshot("64-links-desktop");
    await buyer.accessible("the links");

    await jonas.page.goto(url);
    await dialog(jonas, "Payment link").getByText("€12.50", { exact: true }).waitFor();
    await jonas.button("Go on to pay €12.50").click();
    await pay(jonas);
    await own.getByText("1 of 1 used").waitFor();
    await own.getByText("Used", { exact: true }).waitFor();
    await buyer.button("Close").click();
  });

  it("a payout is done, and comes back a day later", async () => {
    await hub.rest("POST", "/v1/sandbox/fund", { user: "mira", amount: 2_000_000, currency: "EUR" });
    await mira.page.reload();
    await mira.button("Back to conversations").click();
    await mira.button("My money").click();
    const own = dialog(mira, "My money");
    await own.getByRole("radio", { name: "Pay out" }).check();
    await own.getByLabel("Amount").fill("10091.40");
    await own.getByLabel("To the account").fill("sandbox:close_name");
    await own.getByRole("button", { name: "Pay out €10,091.40" }).click();
    await own.getByText("This account belongs to “Mira Lund Ltd”").waitFor();
    await mira.screenshot("65-name-phone");
    await own.getByLabel("To the account").fill("DE02 1203 0000 0000 2020 51");
    await own.getByRole("button", { name: "Pay out €10,091.40" }).click();
    await own.locator('li[data-state="done"]', { hasText: "−€10,091.40" }).waitFor();
    await hub.rest("POST", "/v1/clock/advance", { by: "25h" });
    await own.locator('li[data-state="returned"]').waitFor();
    await own.getByText("the account is closed · the money is on your balance again").waitFor();
    await mira.screenshot("66-payouts-phone");
    await mira.accessible("the payouts");
    await mira.button("Close").click();
  });

  it("money is converted: an offer with its time, and the acceptance", async () => {
    await jonas.page.reload();
    await jonas.button("My money").click();
    const own = dialog(jonas, "My money");
    await own.getByRole("radio", { name: "Convert" }).check();
    await own.getByLabel("Amount in EUR").fill("100");
    await own.getByRole("combobox", { name: "Into" }).selectOption("GBP");
    await own.getByRole("button", { name: "Ask for an offer" }).click();
    await own.getByText("1 EUR is 0.8641 GBP").waitFor();
    await jonas.screenshot("67-convert-phone");
    await jonas.accessible("an offer to convert");
    await own.getByRole("button", { name: "Convert into £86.41" }).click();
    await own.getByText("You have £86.41 more.").waitFor();
    await own.locator(".balances", { hasText: "£86.41" }).waitFor();
    await own.getByRole("radio", { name: "Payments" }).check();
    await own.getByText("You paid A. Buyer €12.50").waitFor();
    await jonas.screenshot("68-payments-phone");
    await jonas.accessible("the payments");
  });

  it("no page complained in its console", () => expectQuietConsoles(buyer, mira, jonas));
});

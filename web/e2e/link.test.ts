import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

interface Link {
  id: string;
  url: string;
  state: string;
}

describe("a payment link", () => {
  let hub: Hub;
  let browser: Browser;
  let visitor: Person;

  const make = (body: object) =>
    hub.rest<Link>("POST", "/v1/links", { payee: "lea", currency: "EUR", ...body });

  beforeAll(async () => {
    hub = await Hub.start();
    browser = await launch(voice("ann"), hub);
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.stop();
  });

  it("is opened by somebody who says who they are, shows who is paid, and becomes a payment", async () => {
    const link = await make({ amount: 4250, memo: "Ticket" });
    visitor = await Person.visit(browser, hub, link.url, phone);
    expect(visitor.page.url()).toContain(`?link=${link.id}`);
    await visitor.screenshot("link-sign-in");
    await visitor.page.getByLabel("Your link or token").fill(hub.user("jonas").link);
    await visitor.button("Open the payment").click();

    const sheet = visitor.page.getByRole("dialog", { name: "Payment link" });
    await sheet.getByText("You will PAY").waitFor();
    await sheet.getByText("€42.50", { exact: true }).waitFor();
    await sheet.getByText("Lea Marin").waitFor();
    await sheet.getByText("Name checked").waitFor();
    await sheet.getByText("“Ticket”").waitFor();
    await visitor.screenshot("link-phone");
    await visitor.accessible("the link");
    await visitor.button("Go on to pay €42.50").click();

    const payment = visitor.page.getByRole("dialog", { name: "Payment", exact: true });
    await payment.getByText("Lea Marin").waitFor();
    await visitor.screenshot("link-paid-sheet");
    expect(visitor.page.url()).not.toContain("link=");
    const { items } = await hub.rest<{ items: { payer: string; amount: number; link: string }[] }>(
      "GET",
      "/v1/payments",
    );
    expect(items).toMatchObject([{ payer: "jonas", amount: 4250, link: link.id }]);
    expect((await hub.rest<Link>("GET", `/v1/links/${link.id}`)).state).toBe("used");
    expectQuietConsoles(visitor);
  });

  it("lets the payer say how much within its bounds, and says when it is over", async () => {
    const open = await make({ amount_min: 500, amount_max: 2000, uses: 0 });
    const page = visitor.page;
    await page.goto(open.url);
    const sheet = page.getByRole("dialog", { name: "Payment link" });
    await sheet.getByLabel("Amount in EUR").fill("3");
    await visitor.button("Go on to pay").click();
    await sheet.getByText("Between €5.00 and €20.00.").waitFor();
    await sheet.getByLabel("Amount in EUR").fill("12.50");
    await visitor.screenshot("link-open-amount");
    await visitor.button("Go on to pay €12.50").click();
    await page.getByRole("dialog", { name: "Payment", exact: true }).waitFor();

    const closed = await make({ amount: 100 });
    await hub.rest("POST", `/v1/links/${closed.id}/cancel`, {});
    await page.goto(closed.url);
    await sheet.getByText("This link was withdrawn. Ask for another one.").waitFor();
  });

  it("of a request to several people, everybody finds their share in the conversation", async () => {
    const token = hub.user("buyer").token;
    const { items } = await hub.rest<{ items: { id: string; title: string }[] }>(
      "GET",
      "/v1/conversations",
      undefined,
      token,
    );
    const conversation = items.find((c) => c.title === "Dinner club")?.id;
    const payers = ["mira", "jonas", "lea"].map((user) => ({ user }));
    const body = { payers, split: "equal", amount: 10_000, currency: "EUR", memo: "Dinner", conversation };
    await hub.rest("POST", "/v1/requests", body, token);
    const mira = await Person.arrive(browser, hub, "mira", phone);
    await mira.openThread("Dinner club");
    await mira.page
      .getByRole("log")
      .getByText("A. Buyer asks 3 people for €100.00 in all: “Dinner”")
      .waitFor();
    await mira.screenshot("request-several");
    await mira.button("Your share").click();
    await mira.page
      .getByRole("dialog", { name: "Payment", exact: true })
      .getByText("€33.33")
      .first()
      .waitFor();
    expectQuietConsoles(mira);
  });
});

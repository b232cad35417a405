import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectHears, expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { desktop, launch, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

describe("three people through the hub", () => {
  let hub: Hub;
  let browsers: Browser[];
  let buyer: Person;
  let mira: Person;
  let jonas: Person;

  beforeAll(async () => {
    hub = await Hub.start();
    browsers = [
      await launch(voice("ann"), hub),
      await launch(voice("bob"), hub),
      await launch(voice("cleo"), hub),
    ];
    buyer = await Person.arrive(browsers[0] as Browser, hub, "buyer", desktop);
    mira = await Person.arrive(browsers[1] as Browser, hub, "mira", phone);
    jonas = await Person.arrive(browsers[2] as Browser, hub, "jonas", { ...phone, colorScheme: "dark" });
  });

  afterAll(async () => {
    for (const browser of browsers ?? []) await browser.close();
    await hub?.stop();
  });

  it("a group is rung, everybody hears everybody, and the screen says that the hub can hear", async () => {
    await buyer.openThread("Dinner club");
    await buyer.button("Call Dinner club").click();
    for (const person of [mira, jonas]) {
      await person.page.locator(".ring").getByText("Group call, through the hub").waitFor();
      await person.button("Answer").click();
    }
    await Promise.all([buyer.talking(), mira.talking(), jonas.talking()]);
    for (const person of [buyer, mira, jonas]) {
      await person.call().getByText("goes through the hub, which can hear it").waitFor();
      expect(await person.page.getByTestId("words").count()).toBe(0);
    }
    await Promise.all([expectHears(buyer, "mira", "bob", "cleo"), expectHears(mira, "jonas", "cleo", "ann")]);
    await Promise.all([
      expectHears(jonas, "buyer", "ann", "bob"),
      expectHears(buyer, "jonas", "cleo", "bob"),
    ]);
    await buyer.page.locator('.person.is-speaking[data-user="mira"]').waitFor();
    await buyer.screenshot("20-group-desktop");
    await jonas.screenshot("20-group-phone-dark");
    await buyer.accessible("a group call");
    await jonas.accessible("a group call in the dark");
  });

  it("who is muted is not heard, and is shown as muted", async () => {
    await mira.button("Mute").click();
    await buyer.page.locator('.person[data-user="mira"]', { hasText: "muted" }).waitFor();
    const heard = await buyer.hear("mira", 2);
    expect(Math.max(...heard.slice(50))).toBeLessThan(0.005);
    await mira.button("Unmute").click();
    await expectHears(buyer, "mira", "bob", "cleo");
  });

  it("one leaves, the others go on", async () => {
    await jonas.button("Hang up").click();
    await buyer.page.locator('.person-left[data-user="jonas"]').waitFor();
    await expectHears(mira, "buyer", "ann", "bob");
    await buyer.button("Hang up").click();
    await mira.button("Hang up").click();
    await buyer.page.locator(".call-card", { hasText: "Group call · " }).waitFor();
  });

  it("two become three without hanging up", async () => {
    await buyer.openThread("Mira Lund");
    await buyer.button("Call Mira Lund").click();
    await mira.button("Answer").click();
    await Promise.all([buyer.talking(), mira.talking()]);
    expect(await buyer.words()).toBe(await mira.words());
    const before = await buyer.page.evaluate(() => globalThis.parley?.calls.live[0]?.id);
    await buyer.button("Invite").click();
    await buyer.screenshot("21-invite-desktop");
    await buyer.accessible("the invitation");
    await buyer.button(/Jonas Weber/).click();
    await jonas.button("Answer").click();
    for (const person of [buyer, mira, jonas]) {
      await person.page.locator('.call[data-media="sfu"][data-route="sfu"][data-phase="active"]').waitFor();
      expect(await person.page.evaluate(() => globalThis.parley?.calls.live[0]?.id)).toBe(before);
    }
    await Promise.all([expectHears(buyer, "mira", "bob", "cleo"), expectHears(mira, "buyer", "ann", "bob")]);
    await Promise.all([expectHears(jonas, "buyer", "ann", "bob"), expectHears(mira, "jonas", "cleo", "ann")]);
    for (const person of [jonas, mira, buyer]) {
      await person.button("Hang up").click();
      await person.call().waitFor({ state: "detached" });
    }
    expectQuietConsoles(buyer, mira, jonas);
  });
});

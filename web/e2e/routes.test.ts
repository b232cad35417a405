import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectHears, expectQuietConsoles } from "./lib/assert.ts";
import { Hub } from "./lib/hub.ts";
import { launch, type OnlyRelay, Person, phone } from "./lib/person.ts";
import { voice } from "./lib/voices.ts";

describe("a call through the relay alone", () => {
  let hub: Hub;
  let browsers: Browser[];

  beforeAll(async () => {
    hub = await Hub.start();
    browsers = [await launch(voice("ann"), hub), await launch(voice("bob"), hub)];
  });

  afterAll(async () => {
    for (const browser of browsers ?? []) await browser.close();
    await hub?.stop();
  });

  it.each<OnlyRelay>(["udp", "tcp", "tls"])(
    "over %s: both are heard, neither shows an address",
    async (onlyRelay) => {
      const options = { ...phone, onlyRelay };
      const buyer = await Person.arrive(browsers[0] as Browser, hub, "buyer", options);
      const seller = await Person.arrive(browsers[1] as Browser, hub, "seller", options);
      await buyer.button("Settings").click();
      await buyer.page.getByLabel("Hide my address: calls go through the relay").check();
      await buyer.button("Close").click();
      await buyer.openThread("V. Seller");
      await buyer.button("Call V. Seller").click();
      await seller.button("Answer").click();
      await Promise.all([buyer.talking(), seller.talking()]);
      for (const person of [buyer, seller]) {
        await person.call().getByText("Relayed").waitFor();
        expect(await person.path()).toMatchObject({
          local: "relay",
          remote: "relay",
          relayProtocol: onlyRelay,
        });
      }
      expect(await seller.words()).toBe(await buyer.words());
      await Promise.all([
        expectHears(buyer, "seller", "bob", "ann"),
        expectHears(seller, "buyer", "ann", "bob"),
      ]);
      await buyer.button("Hang up").click();
      await seller.call().waitFor({ state: "detached" });
      expectQuietConsoles(buyer, seller);
      await buyer.leave();
      await seller.leave();
    },
  );
});

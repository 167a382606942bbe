// The screens at a lounge: pairing, and every answer that a kiosk gives.

import assert from "node:assert/strict";

import { kiosk, lounge, newScreen, pairedCookie, says, scan, traces } from "../support/kiosk.mjs";
import { AXE } from "../support/modules.mjs";
import { button } from "../support/visitor.mjs";

const LANGUAGES = { en: ["English", "ltr"], "zh-Hant": ["繁體中文", "ltr"], "zh-Hans": ["简体中文", "ltr"], es: ["Español", "ltr"], ja: ["日本語", "ltr"], ar: ["العربية", "rtl"] };

async function axeFindsNothing(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${name}: ${id} ${nodes[0].html.slice(0, 160)}`), []);
}

/** Checks that the merchant's log has. */
const decided = async (t, merchant) => (await merchant.api("GET", "/v1/audit/events?kind=check.decided")).events;

export const tests = {
  async "a browser is paired by a code and two words, and signed off"(t) {
    const merchant = await lounge(t);
    const { device, code } = await newScreen(merchant);
    const page = await t.page(undefined, { viewport: { width: 1080, height: 1920 }, serviceWorkers: "block" });
    await page.goto("/pair");
    await axeFindsNothing(page, "pair");
    await page.fill("#code", `${code.slice(0, 4)} ${code.slice(4).toLowerCase()}`);
    await button(page, "Pair").click();
    await page.locator("#compare h1").waitFor();
    const words = await page.locator("#words").innerText();
    assert.equal(await page.evaluate(() => document.cookie + JSON.stringify(sessionStorage)), "{}", "no script reads the secret");
    await axeFindsNothing(page, "words");
    const { devices } = await merchant.api("GET", "/v1/devices");
    assert.equal(devices[0].words, words);
    await merchant.api("POST", `/v1/devices/${device}/confirm`, { words });
    await says(page, "Scan your boarding pass");
    assert.equal(new URL(page.url()).pathname, "/kiosk");
  },

  async "a screen that was signed off says so, and its cookie is worth nothing elsewhere"(t) {
    const merchant = await lounge(t);
    const { page, device } = await kiosk(t, merchant, { watched: false });
    const [{ value }] = await page.context().cookies();
    // Somebody who has the cookie has neither a page's token nor a key.
    const headers = { cookie: `perkgate-device=${value}`, "content-type": "application/json", "idempotency-key": "x", "sec-fetch-site": "same-origin" };
    const stolen = await t.gateway.ask("POST", "/kiosk/checks", { headers, body: '{"read":"twitter:ada"}' });
    assert.equal(stolen.status, 403);
    assert.equal((await t.gateway.ask("GET", "/v1/me", { headers: { authorization: `Bearer ${value}` } })).status, 401);
    await merchant.api("DELETE", `/v1/devices/${device}`);
    await scan(page, "twitter:ada");
    await says(page, "This screen was signed off.");
    await axeFindsNothing(page, "signed off");
    assert.deepEqual(await decided(t, merchant), []);
    const again = await t.gateway.ask("GET", "/kiosk", { headers: { cookie: `perkgate-device=${value}` } });
    assert.equal(again.headers.location, "/pair");
  },

  async "a grant is shown with its code, and leaves nothing behind"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:rich");
    await says(page, "Welcome.");
    assert.equal(await page.locator(".tier-name").innerText(), "First lounge");
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    assert.ok(await page.getByRole("img", { name: "Your code for the door" }).isVisible());
    assert.match(await page.locator(".k-card p:not(.over-words)").innerText(), /Good until \d\d:\d\d\n30 minutes left/);
    assert.ok(!/rich|eyJ/.test(await traces(page)), "neither the handle nor the token's text is in the page");
    await button(page, "Done").click();
    await says(page, "Scan your boarding pass");
    assert.ok(!/rich|grt_|chk_/.test(await traces(page)), "nothing of a person stays");
    await page.goBack({ timeout: 2_000 }).catch(() => {});
    assert.ok(!(await page.getByText("First lounge", { exact: true }).first().locator("xpath=ancestor::*[@id='say']").count()), "going back shows nobody");
  },

  async "a refusal says how far it is, and what else there is"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:short");
    await says(page, "Not this time.");
    assert.equal(await page.locator("#say .lead").innerText(), "Your score is 3 points short of the 40 that Main lounge asks for.");
    assert.ok(await page.getByRole("img", { name: "3 short" }).isVisible());
    assert.match(await page.locator(".k-offers").innerText(), /Come in with a day pass\s+USD 59.00/);
    await scan(page, "twitter:poor");
    await page.getByText("Your score is below the 40 that Main lounge asks for.").waitFor();
    await scan(page, "twitter:nobody");
    await page.getByText("We have no score of yours yet.").waitFor();
    await scan(page, "what is this");
    await says(page, "We could not read that.");
  },

  async "the same pass twice is one visit, and a third after that is a limit"(t) {
    const merchant = await lounge(t);
    const [one, other] = [await kiosk(t, merchant), await kiosk(t, merchant)];
    for (let nth = 0; nth < 2; nth += 1) {
      await scan(one.page, "twitter:ada");
      await says(one.page, "Welcome.");
      await button(one.page, "Done").click();
      await says(one.page, "Scan your boarding pass");
    }
    assert.equal((await decided(t, merchant)).length, 1);
    await scan(other.page, "twitter:ada");
    await says(other.page, "Not again yet.");
    assert.match(await other.page.locator("#say .lead").innerText(), /The next time is yours/);
  },

  async "who comes too early sees when it begins"(t) {
    const merchant = await lounge(t, { valid: { from: new Date(Date.now() + 90 * 60_000).toLocaleString("sv-SE", { timeZone: "America/Los_Angeles" }).slice(0, 16).replace(" ", "T") } });
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:rich");
    await says(page, "A little early.");
    assert.match(await page.getByRole("timer").innerText(), /(89|90) minutes to go/);
    await axeFindsNothing(page, "early");
  },

  async "a lost answer is asked for again, and counted once"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    const keys = [];
    await page.route("**/kiosk/checks", async (route) => {
      keys.push(route.request().headers()["idempotency-key"]);
      if (keys.length > 1) return route.continue();
      await route.fetch();
      return route.abort();
    });
    await scan(page, "twitter:ada");
    await says(page, "Welcome.");
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
    assert.equal((await decided(t, merchant)).length, 1);
  },

  async "a slow gateway is waited for, a missing one is said, and the answer comes by itself"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    let open;
    const opened = new Promise((done) => (open = done));
    await page.route("**/kiosk/checks", async (route) => {
      await opened;
      return route.continue();
    });
    await scan(page, "twitter:ada");
    await says(page, "One moment.");
    await page.getByText("There is no need to scan again.").waitFor();
    await axeFindsNothing(page, "asking");
    open();
    await says(page, "Welcome.");
    await button(page, "Done").click();
    await page.unroute("**/kiosk/checks");

    await page.route("**/kiosk/**", (route) => route.abort());
    await scan(page, "twitter:rich");
    await says(page, "We can’t check just now.");
    assert.equal(await page.locator("#say").getAttribute("role"), "alert");
    await axeFindsNothing(page, "away");
    await page.getByRole("button", { name: "Español" }).click();
    await says(page, "Ahora no podemos comprobarlo.");
    await page.unroute("**/kiosk/**");
    await says(page, "Bienvenido.");
    assert.equal((await decided(t, merchant)).length, 2);
  },

  async "who cancels leaves no grant behind"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    let open;
    const opened = new Promise((done) => (open = done));
    await page.route("**/kiosk/checks", async (route) => {
      await opened;
      return route.continue();
    });
    await scan(page, "twitter:ada");
    await button(page, "Cancel").click();
    await says(page, "Scan your boarding pass");
    const undone = page.waitForResponse((reply) => reply.url().endsWith("/kiosk/undo"));
    open();
    assert.equal((await undone).status(), 204);
    const voided = (await merchant.api("GET", "/v1/audit/events?kind=grant.voided")).events;
    assert.equal(voided.length, 1);
  },

  async "it can be typed, with how many come"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await button(page, "Type instead").click();
    await axeFindsNothing(page, "typing");
    for (const key of "TWITTER:ADA") await page.getByRole("button", { name: key, exact: true }).click();
    await page.getByRole("button", { name: "One more" }).click();
    await button(page, "Ask").click();
    await says(page, "Welcome.");
    assert.equal(await page.locator("#say .lead").innerText(), "You and 1 guest, free.");
  },

  async "it speaks six languages, and axe finds nothing in any"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    const seen = new Set();
    for (const [tag, [name, dir]] of Object.entries(LANGUAGES)) {
      await page.getByRole("button", { name, exact: true }).click();
      const head = await page.locator("h1").innerText();
      assert.ok(!seen.has(head), head);
      seen.add(head);
      assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), [tag, dir]);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await axeFindsNothing(page, `${tag} idle`);
      }
      for (const who of ["rich", "short"]) {
        await scan(page, `twitter:${who}`);
        await page.locator(".granted, .kind").first().waitFor();
        await axeFindsNothing(page, `${tag} ${who}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${tag} ${who} is no wider than its window`);
        await page.locator("#acts .fill").click();
        await page.locator(".idle").waitFor();
      }
    }
  },

  async "the shell begins without a network, and keeps no answer"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false, serviceWorkers: "allow" });
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.reload();
    await says(page, "Scan your boarding pass");
    await scan(page, "twitter:rich");
    await says(page, "Welcome.");
    const kept = await page.evaluate(async () => {
      const all = [];
      for (const name of await caches.keys()) for (const request of await (await caches.open(name)).keys()) all.push(new URL(request.url).pathname);
      return all;
    });
    assert.ok(kept.includes("/kiosk") && kept.every((path) => path === "/kiosk" || path.startsWith("/screens/assets/")), kept.join());
    await page.context().setOffline(true);
    await page.reload();
    // Its own answer is shown again while its time lasts.
    await says(page, "Welcome.");
    await button(page, "Done").click();
    await says(page, "We can’t check just now.");
    await page.context().setOffline(false);
    await says(page, "Scan your boarding pass");
  },

  async "the wall says how full it is"(t) {
    const inside = { id: "inside", scope: ["perk"], max: 120, cost: "party", window: { concurrent: { max_stay: "PT3H" } } };
    const merchant = await lounge(t, { limits: [inside] });
    const { cookie } = await pairedCookie(t, merchant);
    const page = await t.page(undefined, { viewport: { width: 1920, height: 1080 } });
    await page.context().addCookies([cookie]);
    await page.goto("/wall");
    await says(page, "120 seats free");
    await axeFindsNothing(page, "wall");
    const { page: other } = await kiosk(t, merchant);
    await scan(other, "twitter:ada");
    await says(other, "Welcome.");
    await says(page, "119 seats free");
  },
};

// The screens at a lounge: pairing, and every answer that a kiosk gives.

import assert from "node:assert/strict";

import { hold, kiosk, later, lounge, newScreen, pairedCookie, says, scan, traces } from "../support/kiosk.mjs";
import { AXE } from "../support/modules.mjs";
import { button } from "../support/visitor.mjs";
import { justNow } from "../support/world.mjs";

const LANGUAGES = { en: ["English", "ltr"], "zh-Hant": ["繁體中文", "ltr"], "zh-Hans": ["简体中文", "ltr"], es: ["Español", "ltr"], ja: ["日本語", "ltr"], ar: ["العربية", "rtl"] };

async function axeFindsNothing(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${name}: ${id} ${nodes[0].html.slice(0, 160)}`), []);
}

/** This many minutes from now, as the lounge's rule says it. */
const localMinute = (minutes) => new Date(Date.now() + minutes * 60_000).toLocaleString("sv-SE", { timeZone: "America/Los_Angeles" }).slice(0, 16).replace(" ", "T");

/** The next answer to taking back a grant that nobody saw. */
const undoing = (page) => page.waitForResponse((reply) => reply.url().endsWith("/kiosk/undo"));

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
    // Neither the cookie without the token of a page, nor that token without the cookie, asks for anything.
    const cookie = { cookie: `perkgate-device=${value}` };
    const loaded = await t.gateway.ask("GET", "/kiosk", { headers: cookie });
    const token = { "perkgate-page": /data-page="([^"]+)"/.exec(loaded.text)[1] };
    const headers = { "content-type": "application/json", "idempotency-key": "x", "sec-fetch-site": "same-origin" };
    const ask = (more) => t.gateway.ask("POST", "/kiosk/checks", { headers: { ...headers, ...more }, body: '{"read":"twitter:ada"}' });
    assert.equal((await ask(cookie)).status, 403);
    assert.equal((await ask(token)).status, 401);
    assert.equal((await t.gateway.ask("GET", "/v1/me", { headers: { authorization: `Bearer ${value}` } })).status, 401);
    await merchant.api("DELETE", `/v1/devices/${device}`);
    await scan(page, "twitter:ada");
    await says(page, "This screen was signed off.");
    await axeFindsNothing(page, "signed off");
    assert.deepEqual(await decided(t, merchant), []);
    assert.equal((await ask({ ...cookie, ...token })).status, 401, "signing it off ends a copy too");
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
    const { page } = await kiosk(t, merchant, { watched: false });
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
    assert.match(await other.page.locator("#say .lead").innerText(), /^Your next visit can begin on \w+day at 00:00\.$/);
  },

  async "who comes too early sees when it begins"(t) {
    const merchant = await lounge(t, { valid: { from: localMinute(90) } });
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
    const asked = await hold(page, "**/kiosk/checks");
    await scan(page, "twitter:ada");
    await says(page, "One moment.");
    await page.getByText("There is no need to scan again.").waitFor();
    await axeFindsNothing(page, "asking");
    asked.go();
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
    await says(page, "Le damos la bienvenida.");
    assert.equal((await decided(t, merchant)).length, 2);
  },

  async "who cancels leaves no grant behind"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    const asked = await hold(page, "**/kiosk/checks");
    await scan(page, "twitter:ada");
    await button(page, "Cancel").click();
    await says(page, "Scan your boarding pass");
    const undone = undoing(page);
    asked.go();
    assert.equal((await undone).status(), 204);
    const voided = (await merchant.api("GET", "/v1/audit/events?kind=grant.voided")).events;
    assert.equal(voided.length, 1);
    await page.waitForFunction(() => sessionStorage.length === 0);
  },

  async "a grant that was seen is not taken back by a cancel"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    await scan(page, "twitter:ada");
    await says(page, "Welcome.");
    await button(page, "Done").click();
    let undone = 0;
    await page.route("**/kiosk/undo", (route) => {
      undone += 1;
      return route.abort();
    });
    const asked = await hold(page, "**/kiosk/checks");
    await scan(page, "twitter:ada");
    await button(page, "Cancel").click();
    await says(page, "Scan your boarding pass");
    const answer = page.waitForResponse((reply) => reply.url().endsWith("/kiosk/checks"));
    asked.go();
    await answer;
    // The next answer comes after all that the last one could have begun.
    await scan(page, "twitter:rich");
    await says(page, "Welcome.");
    assert.equal(undone, 0);
    assert.deepEqual((await merchant.api("GET", "/v1/audit/events?kind=grant.voided")).events, []);
  },

  async "who scans again after a cancel gets the same attempt"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    const asked = await hold(page, "**/kiosk/checks");
    await scan(page, "twitter:ada");
    await button(page, "Cancel").click();
    await says(page, "Scan your boarding pass");
    await scan(page, "twitter:ada");
    await says(page, "One moment.");
    asked.go();
    await says(page, "Welcome.");
    assert.equal(new Set(asked.keys).size, 1);
    assert.equal((await decided(t, merchant)).length, 1);
    assert.deepEqual((await merchant.api("GET", "/v1/audit/events?kind=grant.voided")).events, []);
  },

  async "what was cancelled, or is too old, is taken back after a reload too"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    await page.route("**/kiosk/checks", (route) => route.abort());
    await scan(page, "twitter:ada");
    await says(page, "We can’t check just now.");
    await button(page, "Cancel").click();
    await page.locator("body.idle, body.away").waitFor();
    const [cancelled] = await page.evaluate(() => JSON.parse(sessionStorage.left));
    // Its answer was lost: the gateway has a grant that nobody saw.
    await page.unroute("**/kiosk/checks");
    const undone = undoing(page);
    await page.reload();
    assert.equal((await undone).status(), 204);
    await page.waitForFunction(() => sessionStorage.left === undefined);

    const old = { ...cancelled, key: "older", body: JSON.stringify({ read: "twitter:rich" }), at: Date.now() - 400_000 };
    await page.evaluate((it) => sessionStorage.setItem("attempt", JSON.stringify(it)), old);
    const also = undoing(page);
    await page.reload();
    assert.equal((await also).status(), 204);
    await page.waitForFunction(() => sessionStorage.length === 0);
    assert.equal((await merchant.api("GET", "/v1/audit/events?kind=grant.voided")).events.length, 2);
  },

  async "nothing of a person stays in the browser, also where the gateway is away at the start"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    await page.evaluate(() => {
      const long = Date.now() - 700_000;
      sessionStorage.setItem("attempt", JSON.stringify({ said: "x", key: "k", at: long, body: '{"read":"twitter:rich"}' }));
      sessionStorage.setItem("left", JSON.stringify([{ said: "y", key: "l", at: long, body: '{"read":"twitter:rich"}' }]));
      sessionStorage.setItem("shown", JSON.stringify({ answer: { form: "granted", tier: "rich" }, until: long }));
    });
    await page.route("**/kiosk/**", (route) => route.abort());
    await page.reload();
    await says(page, "We can’t check just now.");
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await page.locator("#foot").getByText(/Next try in [1-9]\d* s\.$/).waitFor();
    await page.unroute("**/kiosk/**");
    await says(page, "Scan your boarding pass");
  },

  async "a no is asked anew"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:newcomer");
    await page.getByText("We have no score of yours yet.").waitFor();
    await merchant.api("POST", "/v1/scores/klout/import", `${JSON.stringify({ subject: "twitter:newcomer", value: 50, observed_at: justNow() })}\n`);
    await scan(page, "twitter:newcomer");
    await says(page, "Welcome.");
  },

  async "who was taken back at the desk is not welcomed, and asks anew after that"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    const [answer] = await Promise.all([page.waitForResponse((reply) => reply.url().endsWith("/kiosk/checks")), scan(page, "twitter:ada")]);
    await says(page, "Welcome.");
    await merchant.api("POST", `/v1/grants/${(await answer.json()).grant}/void`, { note: "The wrong person." });
    await button(page, "Done").click();
    await scan(page, "twitter:ada");
    await says(page, "This was taken back.");
    assert.match(await page.locator("#say .lead").innerText(), /^Your entry was taken back at \d\d:\d\d\. Please ask at the desk\.$/);
    await axeFindsNothing(page, "ended");
    await scan(page, "twitter:ada");
    await says(page, "Welcome.");
  },

  async "it asks how many come where that counts, and says whose limit it is"(t) {
    const house = { id: "house-day", scope: ["perk"], max: 3, cost: "party", window: { calendar: "day" } };
    const person = { id: "person-day", scope: ["subject"], max: 1, window: { calendar: "day" } };
    const tiers = [{ id: "main", rank: 1, name: "Main lounge", when: { attr: "score", op: "gte", value: 40 } }];
    const merchant = await lounge(t, { limits: [person, house], tiers });
    const [one, other] = [await kiosk(t, merchant), await kiosk(t, merchant)];
    await button(one.page, "One more").click();
    await button(one.page, "One more").click();
    assert.equal(await one.page.locator("output").innerText(), "3");
    await axeFindsNothing(one.page, "idle with people");
    await scan(one.page, "twitter:rich");
    await says(one.page, "Welcome.");
    await button(one.page, "Done").click();
    assert.equal(await one.page.locator("output").innerText(), "1", "the next ones count themselves");
    await scan(one.page, "twitter:ada");
    await says(one.page, "No room left.");
    assert.match(await one.page.locator("#say .lead").innerText(), /^All the places here are taken\. More are given out on \w+day at 00:00\.$/);
    await scan(other.page, "twitter:rich");
    await says(other.page, "Not again yet.");
    await button(other.page, "Done").click();
    await button(other.page, "One more").click();
    await later(other.page, 61_000);
    await other.page.locator("output").getByText("1", { exact: true }).waitFor();
  },

  async "a page of another version is left when nobody is there"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await page.evaluate(() => (globalThis.isOld = true));
    await page.route("**/kiosk/state*", async (route) => {
      const reply = await route.fetch();
      return route.fulfill({ response: reply, json: { ...(await reply.json()), version: "another" } });
    }, { times: 1 });
    await later(page, 11_000);
    await page.waitForFunction(() => !globalThis.isOld, undefined, { timeout: 30_000 });
    await says(page, "Scan your boarding pass");
  },

  async "a clock that is wrong changes nothing"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await page.addInitScript(() => {
      const was = Date.now;
      Date.now = () => was() + 40 * 60_000;
    });
    await page.reload();
    await says(page, "Scan your boarding pass");
    await scan(page, "twitter:ada");
    await says(page, "Welcome.");
    assert.match(await page.locator(".k-card").innerText(), /(29|30) minutes left/);
    assert.equal(await page.locator(".k-card.over").count(), 0);
  },

  async "the screen of an absent gateway moves nothing under a finger"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant, { watched: false });
    await page.route("**/kiosk/checks", (route) => route.abort());
    await scan(page, "twitter:ada");
    await says(page, "We can’t check just now.");
    await button(page, "Cancel").focus();
    await page.evaluate(() => (document.activeElement.isSame = true));
    for (let nth = 0; nth < 2; nth += 1) await page.waitForEvent("requestfailed", (request) => request.url().endsWith("/kiosk/checks"));
    assert.equal(await page.evaluate(() => document.activeElement.isSame), true);
  },

  async "Chinese readers find their own script, and every screen has the languages"(t) {
    const merchant = await lounge(t);
    for (const [locale, wanted] of Object.entries({ "zh-CN": "zh-Hans", "zh-SG": "zh-Hans", "zh-TW": "zh-Hant", "zh-HK": "zh-Hant", "ar-EG": "ar", "es-MX": "es", "fr-FR": "en" })) {
      const { page } = await kiosk(t, merchant, { locale });
      assert.equal(await page.evaluate(() => document.documentElement.lang), wanted, locale);
      await page.close();
    }
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:rich");
    await says(page, "Welcome.");
    await page.getByRole("button", { name: "Español" }).click();
    await says(page, "Le damos la bienvenida.");
    assert.equal(await page.evaluate(() => document.activeElement.lang), "es", "the focus stays on the key");
    await button(page, "Listo").click();
    await says(page, "Escanee su tarjeta de embarque");
    await later(page, 61_000);
    await says(page, "Scan your boarding pass");
  },

  async "the camera is asked for by a button, and a pass that is held there is read once"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await page.addInitScript(() => {
      globalThis.held = [];
      globalThis.BarcodeDetector = class {
        static getSupportedFormats = async () => ["aztec", "ean_13"];
        detect = async () => (globalThis.frames = (globalThis.frames ?? 0) + 1) && globalThis.held.splice(0, 1)[0] ? [{ rawValue: "twitter:ada" }] : [];
      };
      navigator.mediaDevices.getUserMedia = async () => document.createElement("canvas").captureStream();
    });
    await page.reload();
    let asked = 0;
    page.on("request", (request) => (asked += request.url().endsWith("/kiosk/checks") ? 1 : 0));
    await button(page, "Use the camera").click();
    await page.locator("video").waitFor();
    await axeFindsNothing(page, "camera");
    // A picture is missed now and then.
    await page.evaluate(() => globalThis.held.push(true, false, true, true, false, true));
    await says(page, "Welcome.");
    await page.waitForFunction(() => globalThis.held.length === 0);
    await button(page, "Done").click();
    await page.evaluate(() => globalThis.held.push(true, true));
    await page.waitForFunction(() => globalThis.held.length === 0);
    assert.equal(asked, 1);
    await says(page, "Scan your boarding pass");
  },

  async "an answer is kept while it is touched, and its times are spoken now and then"(t) {
    const now = Date.now();
    const merchant = await lounge(t, { valid: { from: localMinute(12) } });
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:rich");
    await says(page, "A little early.");
    assert.equal(await page.locator("#say [role=timer]").count(), 0, "no time within what is spoken as it changes");
    assert.equal(await page.locator("#spoken").innerText(), "");
    const clears = (seconds) => page.locator("#foot").getByText(seconds).waitFor();
    const begins = Math.floor((now + 12 * 60_000) / 60_000) * 60_000;
    // On to the middle of the tenth minute before it.
    for (let wait = begins - 9.5 * 60_000 - now; wait > 0; wait -= 25_000) {
      await later(page, Math.min(wait, 25_000));
      if (wait > 25_000) await clears(/in (1\d|20) s\. Touch it/);
      await page.locator("main h1").click();
      await clears(/in 4\d s\. Touch it/);
    }
    await page.locator("#spoken").getByText("10 minutes to go").waitFor();
    await later(page, 46_000);
    await says(page, "Scan your boarding pass");
    await later(page, 121_000);
    await page.locator("body.dim").waitFor();
    await axeFindsNothing(page, "dimmed");
    await page.keyboard.press("Shift");
    await page.locator("body:not(.dim)").waitFor();
  },

  async "the first key leads past the top, and sounds can be turned off"(t) {
    const merchant = await lounge(t);
    const { page } = await kiosk(t, merchant);
    await page.goto("/kiosk#sound=off");
    await page.reload();
    await says(page, "Scan your boarding pass");
    assert.equal(await page.evaluate(() => localStorage.sound), "off");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "skip");
    await axeFindsNothing(page, "skip link");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
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
    const keptPage = () => page.evaluate(async () => (await (await caches.match("/kiosk"))?.text()) ?? "");
    for (let nth = 0; nth < 100 && !(await keptPage()); nth += 1) await page.waitForTimeout(100);
    assert.match(await keptPage(), / data-page="" /, "not what makes it this screen's");
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

  async "the wall asks a slow gateway for one thing at a time"(t) {
    const merchant = await lounge(t);
    const { cookie } = await pairedCookie(t, merchant);
    const page = await t.page(undefined, { viewport: { width: 1920, height: 1080 } });
    await page.context().addCookies([cookie]);
    let [asked, open, most] = [0, 0, 0];
    await page.route("**/wall/state*", async (route) => {
      asked += 1;
      open += 1;
      most = Math.max(most, open);
      // Slower than the wall asks.
      await new Promise((done) => setTimeout(done, 2_500));
      open -= 1;
      return route.continue().catch(() => {});
    });
    await page.goto("/wall");
    while (asked < 3) await page.waitForRequest((request) => request.url().includes("/wall/state"), { timeout: 20_000 });
    assert.equal(most, 1);
  },
};

// The door: online and with its network cut, what it keeps then, and what it says when it is back.

import assert from "node:assert/strict";

import { door, granted, keptDoor, loungeWithDoors, network, shows, tokenOf } from "../support/door.mjs";
import { later, says, scan } from "../support/kiosk.mjs";
import { AXE } from "../support/modules.mjs";
import { button } from "../support/visitor.mjs";

/** Axe finds nothing by day and by night, nothing is wider than the phone, and what is pressed is large. */
async function isRight(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
    assert.deepEqual(violations.map(({ id, nodes }) => `${name}: ${id} ${nodes[0].html.slice(0, 160)}`), []);
  }
  const small = await page.evaluate(() => [...document.querySelectorAll("button, a")].filter((it) => it.checkVisibility() && it.getBoundingClientRect().height < 64).map((it) => it.outerHTML));
  assert.deepEqual(small, [], name);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is no wider than its window`);
}

/** What the browser keeps in the stores of the door's database. */
const stored = (page) =>
  page.evaluate(async () => {
    const done = (request) => new Promise((found, fail) => Object.assign(request, { onsuccess: () => found(request.result), onerror: () => fail(request.error) }));
    const db = await done(indexedDB.open("perkgate-door"));
    const all = {};
    for (const name of db.objectStoreNames) all[name] = await done(db.transaction(name).objectStore(name).getAll());
    const { key } = all.kept.find((it) => it.key instanceof CryptoKey) ?? {};
    const exported = key ? await crypto.subtle.exportKey("raw", key).then(() => "exported", (error) => error.name) : "no key";
    const words = all.queue.map(({ sealed }) => new TextDecoder("latin1").decode(sealed)).join();
    db.close();
    return { waiting: all.queue.length, exported, words, rest: JSON.stringify([all.taken, all.notes, all.kept]) };
  });

/** The redemptions that the merchant's log has, at once and reported. */
async function redeemed(merchant) {
  const kinds = await Promise.all(["token.redeemed", "token.redeemed_offline"].map((kind) => merchant.api("GET", `/v1/audit/events?kind=${kind}`)));
  return kinds.reduce((sum, { events }) => sum + events.length, 0);
}

/** Waits until nothing is left to be sent. */
async function isSent(page) {
  for (let nth = 0; nth < 100 && (await stored(page)).waiting > 0; nth += 1) await page.waitForTimeout(100);
}

/** The same token with one letter of its signature bent. */
const bent = (token) => `${token.slice(0, -20)}${token.at(-20) === "A" ? "B" : "A"}${token.slice(-19)}`;

export const tests = {
  async "online it lets in, says who is charged, and clears"(t) {
    const merchant = await loungeWithDoors(t);
    const [{ page, name }, other] = [await door(t, merchant), await door(t, merchant)];
    await isRight(page, "ready");
    const token = await tokenOf(t, merchant, { people: 3 });
    const words = await shows(page, token, "Let in 3");
    assert.match(words, /Main lounge\s+1 guest is to be charged\.\s+Their token, used now at \d\d:\d\d\. It opens no door again\./);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    await isRight(page, "yes");
    await says(page, "Scan a token");
    assert.match(await page.locator("#strip").innerText(), /3 in today/);
    const used = await shows(other.page, token, "Already used");
    assert.match(used, new RegExp(`At door ${name}, \\d\\d:\\d\\d\\s+By someone a moment ago\\.`));
    await isRight(other.page, "used");
    // A no stands until the next is scanned.
    await later(other.page, 60_000);
    await shows(other.page, await tokenOf(t, merchant), "Let in 1");
    assert.equal(await redeemed(merchant), 2);
  },

  async "what opens no door is named, and the gateway is not asked for what is not genuine"(t) {
    const merchant = await loungeWithDoors(t);
    const rule = { score: { source: "klout" }, tiers: [{ id: "main", name: "Main", when: { attr: "score", op: "gte", value: 1 } }], token: { audience: `${merchant.slug}-pier`, ttl: "PT30M" } };
    await merchant.api("POST", "/v1/perks", { perk: `${merchant.slug}-pier`, name: "The Pier", rule, publish: true, change_note: "New." });
    const { page } = await door(t, merchant);
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    const token = await tokenOf(t, merchant);
    assert.match(await shows(page, bent(token), "Don’t let in"), /Not genuine/);
    await isRight(page, "forged");
    const [head, claims, signature] = token.split(".");
    const json = (text) => Buffer.from(text, "base64url").toString("utf8");
    const none = Buffer.from(json(head).replace("EdDSA", "none")).toString("base64url");
    for (const forged of [`${none}.${claims}.${signature}`, `${head}.${Buffer.from(json(claims).replace("main", "first")).toString("base64url")}.${signature}`]) {
      await button(page, "Scan the next").click();
      assert.match(await shows(page, forged, "Don’t let in"), /Not genuine/);
    }
    const elsewhere = await tokenOf(t, merchant, { perk: `${merchant.slug}-pier` });
    assert.match(await shows(page, elsewhere, "Don’t let in"), new RegExp(`For another door\\s+This token is for ${merchant.slug}/${merchant.slug}-pier`));
    await button(page, "Scan the next").click();
    for (const other of ["M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 326J001A0025 100", `${token}.x`, `${head}=.${claims}.${signature}`, "https://example.com/"]) {
      assert.match(await shows(page, other, "Don’t let in"), /No token of ours/);
      await button(page, "Scan the next").click();
    }
    assert.ok(!asked.includes("/door/redeem"), asked.join());
    const { grant, token: void_ } = await granted(t, merchant);
    await merchant.api("POST", `/v1/grants/${grant}/void`, { note: "a mistake" });
    assert.match(await shows(page, void_, "Don’t let in"), /Taken back/);
    assert.equal(await redeemed(merchant), 0);
  },

  async "with the network cut it goes on, also after a reload, and shows a duplicate once"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await keptDoor(t, merchant);
    const other = await door(t, merchant);
    const [first, double, late] = [await tokenOf(t, merchant, { people: 2 }), await tokenOf(t, merchant), await tokenOf(t, merchant)];
    const taken = await granted(t, merchant);
    await shows(page, late, "Let in 1");
    await network(page, false);
    await isRight(page, "offline");
    assert.match(await page.locator("#strip").innerText(), /Offline since \d\d:\d\d\s*keys of \d\d:\d\d/);
    assert.match(await page.locator("#warnings").innerText(), /Tokens that the lounge took back since \d\d:\d\d aren’t known here, nor who came in at other doors\./);
    assert.match(await shows(page, first, "Let in 2"), /genuine and in time\. First time at this door; other doors can’t be asked while offline\./);
    assert.equal(await page.locator("#foot").innerText(), "1 entry waits to be sent. Nothing else to do.");
    await isRight(page, "alone");
    await page.reload();
    await says(page, "Scan a token");
    assert.match(await page.locator("#strip").innerText(), /Offline since/);
    assert.match(await shows(page, first, "Already used"), /Here, \d\d:\d\d/);
    await shows(page, late, "Already used");
    await shows(page, bent(double), "Don’t let in");
    await shows(page, double, "Let in 1");
    await shows(page, taken.token, "Let in 1");
    const kept = await stored(page);
    assert.deepEqual([kept.waiting, kept.exported], [3, "InvalidAccessError"]);
    assert.ok(!/eyJ|Main lounge/.test(kept.words) && !/eyJ|twitter/.test(kept.rest), "what waits is sealed");
    assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes("eyJ"));

    // Meanwhile the same token comes in elsewhere, and another is taken back.
    await shows(other.page, double, "Let in 1");
    await merchant.api("POST", `/v1/grants/${taken.grant}/void`, { note: "a mistake" });
    await network(page, true);
    await says(page, "Back online. 3 entries sent, 1 was a duplicate.");
    await isSent(page);
    const news = await page.locator("main").innerText();
    assert.match(news, new RegExp(`\\d\\d:\\d\\d, Main lounge, 1 person\\s+Let in here offline\\. The same token came in at door ${other.name} at \\d\\d:\\d\\d\\.`));
    assert.match(news, /Let in here offline\. The lounge had taken its grant back by then\./);
    assert.match(news, /The other 2 are counted: 3 people\./);
    await isRight(page, "news");
    await page.reload();
    await says(page, "Back online. 3 entries sent, 1 was a duplicate.");
    await button(page, "Understood").click();
    await says(page, "Scan a token");
    await page.reload();
    await page.locator("#strip").getByText("Online").waitFor();
    await says(page, "Scan a token");
    assert.equal((await stored(page)).waiting, 0);
    assert.equal(await redeemed(merchant), 4, "each once");
  },

  async "a lost answer is the same entry"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    const attempts = [];
    await page.route("**/door/redeem", async (route) => {
      attempts.push(route.request().postDataJSON().attempt);
      await route.fetch();
      await page.context().setOffline(true);
      return route.abort();
    });
    const token = await tokenOf(t, merchant);
    await shows(page, token, "Let in 1");
    assert.equal(new Set(attempts).size, 1);
    await page.unroute("**/door/redeem");
    await network(page, true);
    await says(page, "Back online. 1 entry sent.");
    assert.match(await page.locator("main").innerText(), /All 1 is counted: 1 person\./);
    assert.equal(await redeemed(merchant), 1);

    // A reload before the answer: the same attempt again, when the token is shown again.
    await button(page, "Understood").click();
    await page.route("**/door/redeem", async (route) => {
      await route.fetch();
      page.reload();
    });
    await scan(page, await (async () => (page.shown = await tokenOf(t, merchant)))());
    await page.waitForEvent("load");
    await page.unroute("**/door/redeem");
    await page.locator("#strip").getByText("Online").waitFor();
    await shows(page, page.shown, "Let in 1");
    assert.equal(await redeemed(merchant), 2);
  },

  async "a report whose answer is lost is sent again, in order, and in smaller parts where a gateway asks for that"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    const tokens = [await tokenOf(t, merchant), await tokenOf(t, merchant), await tokenOf(t, merchant)];
    await network(page, false);
    for (const token of tokens) await shows(page, token, "Let in 1");
    await button(page, "Scan the next").click();
    const sent = [];
    await page.route("**/door/late", async (route) => {
      const { items } = route.request().postDataJSON();
      if (items.length > 1) return route.fulfill({ status: 422, contentType: "application/problem+json", body: "{}" });
      sent.push(tokens.indexOf(items[0].token));
      const reply = await route.fetch();
      return sent.length === 1 ? route.abort() : route.fulfill({ response: reply });
    });
    await network(page, true);
    await says(page, "Back online. 3 entries sent.");
    assert.deepEqual(sent, [0, 0, 1, 2]);
    assert.match(await page.locator("main").innerText(), /All 3 are counted: 3 people\./);
    assert.equal(await redeemed(merchant), 3);
  },

  async "two tabs let one token in once, and report it once"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    const tab = await page.context().newPage();
    await tab.goto("/door");
    await tab.locator("#strip").getByText("Online").waitFor();
    const titles = async (token) => {
      await Promise.all([scan(page, token), scan(tab, token)]);
      const title = async (it) => {
        await it.locator(".yes h1, .no h1").waitFor();
        return it.locator("h1").innerText();
      };
      return (await Promise.all([title(page), title(tab)])).sort();
    };
    assert.deepEqual(await titles(await tokenOf(t, merchant)), ["Already used", "Let in 1"]);
    for (const it of [page, tab]) await button(it, "Scan the next").click();
    const [first, second] = [await tokenOf(t, merchant), await tokenOf(t, merchant)];
    await page.context().setOffline(true);
    for (const it of [page, tab]) await it.locator("#strip").getByText(/^Offline since/).waitFor({ timeout: 30_000 });
    assert.deepEqual(await titles(first), ["Already used", "Let in 1"]);
    assert.deepEqual(await titles(second), ["Already used", "Let in 1"]);
    await page.context().setOffline(false);
    for (const it of [page, tab]) await it.locator("#strip").getByText("Online").waitFor({ timeout: 30_000 });
    await isSent(page);
    assert.equal(await redeemed(merchant), 3);
    for (const it of [page, tab]) await it.locator("body.yes, body.no, body.list").waitFor();
    for (const it of [page, tab]) if (await button(it, "Scan the next").isVisible()) await button(it, "Scan the next").click();
    for (const it of [page, tab]) await says(it, "Back online. 2 entries sent.");
    await button(page, "Understood").click();
    await says(page, "Scan a token");
    await says(tab, "Scan a token");
  },

  async "times are the gateway's, and keys of yesterday turn the strip red"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    const token = await tokenOf(t, merchant);
    // A phone whose clock is wrong by hours is right after the first look.
    await page.evaluate(() => {
      const was = Date.now;
      globalThis.wrong = 7 * 3_600_000;
      Date.now = () => was() + globalThis.wrong;
    });
    await page.waitForResponse((reply) => reply.url().includes("/door/state"), { timeout: 30_000 });
    await network(page, false);
    const early = await shows(page, token, "Let in 1");
    assert.match(early, /in time/);
    await page.evaluate(() => (globalThis.wrong += 3_600_000));
    const over = await shows(page, await tokenOf(t, merchant), "Don’t let in");
    assert.match(over, /Expired at \d\d:\d\d/);
    await isRight(page, "expired");
    await page.evaluate(() => (globalThis.wrong += 25 * 3_600_000));
    await page.locator("#strip.old").waitFor();
    assert.match(await page.locator("#strip").innerText(), /Keys of yesterday: send people to the desk if in doubt\./);
    await isRight(page, "old keys");
    await page.evaluate(() => (globalThis.wrong -= 40 * 3_600_000));
    assert.match(await shows(page, await tokenOf(t, merchant), "Ask at the desk"), /This phone’s clock is wrong/);
  },

  async "a key that is unknown is fetched online, and offline is for the desk"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    // This door's copy is of before the rotation: it is cut off from the new key, as it would be by a cut network.
    let copy = { keys: [] };
    let isCut = false;
    await page.route("**/door/state*", async (route) => {
      if (isCut) return route.abort();
      const reply = await route.fetch();
      const state = await reply.json();
      return route.fulfill({ response: reply, json: copy ? { ...state, keys: copy } : state });
    });
    await page.waitForResponse((reply) => reply.url().includes("/door/state"), { timeout: 30_000 });
    const [one, two] = [await tokenOf(t, merchant), await tokenOf(t, merchant)];
    // The gateway knows it.
    await shows(page, one, "Let in 1");
    isCut = true;
    await network(page, false);
    assert.match(await shows(page, two, "Ask at the desk"), /Its key isn’t known here\s+The keys may have changed since \d\d:\d\d\. It can’t be checked: ask at the desk\./);
    await isRight(page, "unknown key");
    copy = undefined;
    isCut = false;
    await network(page, true);
    await shows(page, two, "Let in 1");
  },

  async "an emptied storage is said, with how many entries went with it"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await keptDoor(t, merchant);
    await network(page, false);
    await shows(page, await tokenOf(t, merchant), "Let in 1");
    await page.evaluate(() => new Promise((done, fail) => Object.assign(indexedDB.deleteDatabase("perkgate-door"), { onsuccess: done, onerror: fail })));
    await says(page, "Storage was emptied.");
    assert.match(await page.locator("main").innerText(), /1 entry is lost\s+The browser emptied this page’s storage: it waited to be sent since \d\d:\d\d\. Who came in before may come in again\. Tell the lounge\./);
    await isRight(page, "emptied");
    // It goes on, under another key.
    await shows(page, await tokenOf(t, merchant), "Let in 1");
    await network(page, true);
    await says(page, "Back online. 1 entry sent.");
    assert.match(await page.locator("main").innerText(), /1 entry is lost/);
    assert.equal(await redeemed(merchant), 1);
  },

  async "a full list, an online-only token and a browser that keeps nothing let nobody in offline"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    let isCut = false;
    await page.route("**/door/state*", async (route) => {
      if (isCut) return route.abort();
      const reply = await route.fetch();
      return route.fulfill({ response: reply, json: { ...(await reply.json()), most: 1 } });
    });
    await page.waitForResponse((reply) => reply.url().includes("/door/state"), { timeout: 30_000 });
    isCut = true;
    await network(page, false);
    await shows(page, await tokenOf(t, merchant), "Let in 1");
    assert.match(await shows(page, await tokenOf(t, merchant), "Ask at the desk"), /This door’s list is full/);
    assert.equal((await stored(page)).waiting, 1);

    const online = await loungeWithDoors(t, { token: { audience: "online", ttl: "PT30M", online_only: true } });
    const strict = await door(t, Object.assign(online, { audience: "online" }));
    await network(strict.page, false);
    assert.match(await shows(strict.page, await tokenOf(t, online), "Ask at the desk"), /Only while online/);

    const bare = await door(t, merchant);
    await bare.page.evaluate(() => {
      IDBDatabase.prototype.transaction = () => {
        throw new DOMException("no room", "QuotaExceededError");
      };
    });
    await shows(bare.page, await tokenOf(t, merchant), "Let in 1");
    await network(bare.page, false);
    assert.match(await shows(bare.page, await tokenOf(t, merchant), "Ask at the desk"), /Nothing can be kept here/);
    await button(bare.page, "Scan the next").click();
    await bare.page.getByText("This browser keeps nothing for this page.").waitFor();
    await isRight(bare.page, "no storage");
  },

  async "who is signed off keeps what waits, and sends it when paired again"(t) {
    const merchant = await loungeWithDoors(t);
    const { page, device } = await door(t, merchant);
    await network(page, false);
    await shows(page, await tokenOf(t, merchant), "Let in 1");
    await merchant.api("DELETE", `/v1/devices/${device}`);
    await page.context().setOffline(false);
    await says(page, "Signed off");
    assert.match(await page.locator("main").innerText(), /1 entry waits in this browser\. Pair it again as a door, and they are sent\./);
    await isRight(page, "signed off");
    const again = await door(t, merchant);
    const cookies = await again.page.context().cookies();
    await again.page.context().close();
    await page.context().addCookies(cookies);
    await page.goto("/door");
    await says(page, "Back online. 1 entry sent.");
    assert.equal(await redeemed(merchant), 1);
  },

  async "a token for many entries opens again, also offline"(t) {
    const merchant = await loungeWithDoors(t, { token: { audience: "often", ttl: "PT30M", single_use: false } });
    const { page } = await door(t, Object.assign(merchant, { audience: "often" }));
    const token = await tokenOf(t, merchant);
    const again = async () => {
      assert.ok(!(await shows(page, token, "Let in 1")).includes("no door again"));
      await button(page, "Scan the next").click();
    };
    await again();
    await again();
    await network(page, false);
    await again();
    await again();
    assert.equal((await stored(page)).waiting, 2);
    await network(page, true);
    await says(page, "Back online. 2 entries sent.");
    assert.equal(await redeemed(merchant), 4);
  },

  async "a code in front of the camera is read once while it is held there"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    await page.addInitScript(() => {
      globalThis.held = [];
      globalThis.BarcodeDetector = class {
        static getSupportedFormats = async () => ["qr_code"];
        detect = async () => globalThis.held.splice(0, 1).filter(Boolean).map((rawValue) => ({ rawValue }));
      };
      navigator.mediaDevices.getUserMedia = async ({ video }) => {
        globalThis.facing = video.facingMode;
        return document.createElement("canvas").captureStream();
      };
    });
    await page.reload();
    let asked = 0;
    page.on("request", (request) => (asked += request.url().endsWith("/door/redeem") ? 1 : 0));
    await button(page, "Use the camera").click();
    await page.locator("video").waitFor();
    assert.equal(await page.evaluate(() => globalThis.facing), "environment");
    await isRight(page, "camera");
    const [one, two] = [await tokenOf(t, merchant), await tokenOf(t, merchant, { people: 2 })];
    // A picture is missed now and then.
    await page.evaluate((code) => globalThis.held.push(code, "", code, code), one);
    await says(page, "Let in 1");
    await page.waitForFunction(() => globalThis.held.length === 0);
    await page.evaluate((code) => globalThis.held.push(code, code), two);
    await says(page, "Let in 2");
    assert.equal(asked, 2);
  },

  async "it can be typed or pasted, and is installable"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await door(t, merchant);
    await button(page, "Type or paste it").click();
    await isRight(page, "typing");
    await page.fill("#token", ` ${await tokenOf(t, merchant)}\n`);
    await button(page, "Check it").click();
    await says(page, "Let in 1");
    const manifest = await page.evaluate(async () => (await fetch(document.querySelector("link[rel=manifest]").href)).json());
    assert.deepEqual([manifest.start_url, manifest.display], ["/door", "standalone"]);
  },
};

// A kiosk: a merchant with a lounge, and browsers that are paired with it.

import { createHash } from "node:crypto";
import http from "node:http";

import { justNow } from "./world.mjs";

const COOKIE = "perkgate-device";
let made = 0;

const rule = (audience, more = {}) => ({
  time_zone: "America/Los_Angeles",
  score: { source: "klout", max_age: "P30D" },
  tiers: [
    { id: "first", rank: 2, name: "First lounge", when: { attr: "score", op: "gte", value: 60 }, guests: { free: 2, max: 2 } },
    { id: "main", rank: 1, name: "Main lounge", when: { attr: "score", op: "gte", value: 40 }, guests: { free: 1, max: 3 } },
  ],
  limits: [{ id: "person-day", scope: ["subject"], max: 1, window: { calendar: "day" } }],
  otherwise: { offers: [{ text: { en: "Come in with a day pass", es: "Entre con un pase de día" }, price: { amount: "59.00", currency: "USD" } }] },
  token: { audience, ttl: "PT30M" },
  ...more,
});

/** A lounge of a merchant of its own. `more` is added to its rule. */
export async function lounge(t, more) {
  const merchant = await t.world.merchant(`k${process.pid}-${(made += 1)}`, "Cathay Pacific");
  const perk = `${merchant.slug}-lounge`;
  await merchant.api("POST", "/v1/perks", { perk, name: "San Francisco lounge", rule: rule(perk, more), publish: true, change_note: "New." });
  const scores = { rich: 72, ada: 50, short: 37, poor: 12 };
  const lines = Object.entries(scores).map(([name, value]) => JSON.stringify({ subject: `twitter:${name}`, value, observed_at: justNow() }));
  await merchant.api("POST", "/v1/scores/klout/import", `${lines.join("\n")}\n`);
  return Object.assign(merchant, { perk });
}

/** Sends JSON as a page's script does, from an address of this machine that no other pairing comes from. */
function send(gateway, path, value) {
  made += 1;
  const body = JSON.stringify(value);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), "sec-fetch-site": "same-origin" };
  return new Promise((done, fail) => {
    const request = http.request(new URL(path, gateway.url), { method: "POST", headers, localAddress: `127.0.0.${2 + (made % 250)}` }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => done({ status: response.statusCode, value: JSON.parse(Buffer.concat(parts).toString("utf8")) }));
    });
    request.on("error", fail);
    request.end(body);
  });
}

/** A new screen of the merchant, without a browser: what was made, and its code. */
export const newScreen = (merchant, label = "SFO A12", more = {}) =>
  merchant.api("POST", "/v1/devices", { role: "kiosk", label, location: "SFO-A", kiosk: "A12", perk: merchant.perk, airports: ["SFO"], ...more });

/** A cookie of a screen that works. */
export async function pairedCookie(t, merchant, more) {
  const { device, code } = await newScreen(merchant, undefined, more);
  const secret = createHash("sha256").update(device).digest("base64url");
  const { status, value } = await send(t.gateway, "/pair", { code, device_secret: secret });
  if (status !== 200) throw new Error(`pairing: ${status} ${JSON.stringify(value)}`);
  await merchant.api("POST", `/v1/devices/${device}/confirm`, { words: value.words });
  return { device, cookie: { name: COOKIE, value: secret, url: t.gateway.url, httpOnly: true, sameSite: "Strict" } };
}

/** A kiosk's page that waits for someone. What fails there on purpose is not watched where `watched` is false. */
export async function kiosk(t, merchant, { watched = true, ...options } = {}) {
  const { device, cookie } = await pairedCookie(t, merchant);
  const more = { viewport: { width: 1080, height: 1920 }, serviceWorkers: "block", ...options };
  let page;
  if (watched) {
    page = await t.page(undefined, more);
  } else {
    const context = await t.browser.newContext({ baseURL: t.gateway.url, locale: "en-GB", ...more });
    context.setDefaultTimeout(10_000);
    t.opened.push({ context, wrong: () => [] });
    page = await context.newPage();
  }
  await page.context().addCookies([cookie]);
  await page.goto("/kiosk");
  await page.locator("h1").waitFor();
  return { page, device };
}

/** Holds something under the reader: many keys in a moment, however slow this machine is. */
export const scan = (page, text) =>
  page.evaluate((keys) => {
    for (const key of keys) document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  }, [...text, "Enter"]);

/** Lets time pass in the page, as its clock tells it. */
export const later = (page, wait) =>
  page.evaluate((more) => {
    const was = Date.now;
    Date.now = () => was() + more;
  }, wait);

/** Holds the calls of this path until the test lets them go. */
export async function hold(page, path) {
  let go;
  const open = new Promise((done) => (go = done));
  const keys = [];
  const handler = async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    await open;
    return route.continue().catch(() => {});
  };
  await page.route(path, handler);
  return { keys, go };
}

/** Waits until the screen says this. */
export const says = (page, words) => page.getByRole("heading", { level: 1, name: words }).waitFor();

/** All that the browser keeps, and all that the page shows. */
export const traces = (page) =>
  page.evaluate(() => [document.documentElement.outerHTML, ...Object.values(sessionStorage), ...Object.values(localStorage)].join("\n"));

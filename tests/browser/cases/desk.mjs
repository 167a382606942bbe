// The desk: an evening with scripts and without, what it does while the gateway is away, and what holds of each of its
// states: axe, by day, by night and on a phone; targets of 48 px; nothing of a person in an address.

import assert from "node:assert/strict";

import { lounge, pairedCookie, screenPage } from "../support/kiosk.mjs";
import { AXE } from "../support/modules.mjs";
import { button, go, heading } from "../support/visitor.mjs";

const PIN = "470283915274";
const TABLET = { width: 1180, height: 820 };

/** Seats, and ways to let in by hand and for pay. */
const HOUSE = {
  tiers: [
    { id: "first", rank: 2, name: "First lounge", when: { attr: "score", op: "gte", value: 60 }, guests: { free: 2, max: 2 } },
    { id: "main", rank: 1, name: "Main lounge", when: { attr: "score", op: "gte", value: 40 }, guests: { free: 1, max: 3, under: 2 } },
  ],
  limits: [
    { id: "person-day", scope: ["subject"], max: 1, window: { calendar: "day" } },
    { id: "seats", scope: ["perk"], max: 120, cost: "party", window: { concurrent: { max_stay: "PT4H" } } },
  ],
  override: { reasons: ["missed_connection", "mobility", "our_mistake"], max: 1, window: { calendar: "day" } },
  token: { ttl: "PT30M", online_only: true },
  paid: { max: 20, window: { calendar: "day" }, tiers: ["main"] },
};

/** The same, where each location is counted by itself, so that its desk corrects the count. */
const OWN_HOUSE = { ...HOUSE, limits: HOUSE.limits.map((limit) => (limit.id === "seats" ? { ...limit, scope: ["location"] } : limit)) };

/** A desk's page of a merchant of its own, with a clerk. What fails there on purpose is not watched where `watched` is false. */
async function desk(t, { watched = true, clerks = true, house = HOUSE, ...options } = {}) {
  const merchant = await lounge(t, house);
  const clerk = clerks && (await merchant.api("POST", "/v1/desk/clerks", { name: "Ines", pin: PIN })).clerk;
  const { device, cookie } = await pairedCookie(t, merchant, { role: "desk", perk: merchant.perk, airports: ["SFO"] });
  const page = await screenPage(t, "/desk", cookie, watched, { viewport: TABLET, ...options });
  return { page, merchant, clerk, device };
}

/** The two ways in which a form is sent: by the script, and by a browser without it. */
const WAYS = {
  live: { options: {}, press: (page, locator) => locator.click() },
  plain: { options: { javaScriptEnabled: false }, press: (page, locator) => go(page, locator) },
};

/** Waits until the page says this first. */
const says = (page, words) => page.getByRole("heading", { level: 1, name: words }).waitFor();

async function scan(page, press, text) {
  await page.fill("#scan", text);
  await press(page, button(page, "Check"));
}

async function signIn(page, press) {
  await page.selectOption("#clerk", { label: "Ines" });
  await page.fill("#pin", PIN);
  await press(page, page.getByRole("button", { name: /^Sign in/ }));
  await page.locator("#who .name").waitFor();
}

/** Waits until the page says that this was done. */
const notes = (page, words) => page.locator("#shown .note").getByText(words).waitFor();

const inside = (page) => page.locator("#side .occ .vh").innerText();

async function axeFindsNothing(page, name) {
  for (const [mode, colorScheme, width] of [["day", "light", 1180], ["night", "dark", 1180], ["phone", "light", 390]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 820 });
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
    assert.deepEqual(violations.map(({ id, nodes }) => `${name} by ${mode}: ${id} ${nodes[0].html.slice(0, 160)}`), []);
    const { over, small } = await page.evaluate(() => {
      const pressed = [...document.querySelectorAll("a[href], button, input:not([type=hidden]):not([type=radio]), select, .reasons label")];
      const seen = pressed.filter((it) => !it.closest(".vh, .skip, .note") && it.checkVisibility());
      const small = seen.filter((it) => it.getBoundingClientRect().height < 48).map((it) => it.outerHTML.slice(0, 90));
      return { over: document.scrollingElement.scrollWidth - document.documentElement.clientWidth, small };
    });
    assert.deepEqual([over, small], [0, []], `${name} by ${mode}: nothing is wider than its window, or too small to press`);
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(TABLET);
}

/** One evening; the same with scripts and without. */
async function evening(t, { options, press }) {
  const { page } = await desk(t, { house: OWN_HOUSE, ...options });
  await says(page, "Who is next?");
  await scan(page, press, "twitter:ada");
  await says(page, "Main lounge");
  assert.match(page.url(), /\/desk\/checks\/chk_[0-9a-f]{32}$/, "nothing of a person is in the address");
  assert.match(await page.locator(".d-answer").innerText(), /Say: “Welcome, please come in.”/);
  assert.equal(await inside(page), "1");
  await signIn(page, press);
  await press(page, page.getByRole("button", { name: "One more person" }));
  await page.getByText("Welcome. You and your guest come in free.", { exact: true }).waitFor();
  assert.equal(await page.locator(".stepper output").first().innerText(), "2");
  assert.equal(await inside(page), "2");
  await press(page, page.getByRole("button", { name: "One child more" }));
  await page.getByText("Welcome. You and your 2 guests come in free.", { exact: true }).waitFor();
  assert.equal(await inside(page), "2", "a child of under two takes no seat");
  await press(page, button(page, "Undo"));
  await says(page, "This was undone");

  await scan(page, press, "twitter:short");
  await says(page, "Not admitted: 3 points short");
  assert.ok(!/37|short/.test(await page.locator(".d-answer .tell").first().innerText()), "neither score nor handle is said");
  await page.getByLabel("Our mistake").check();
  await page.getByRole("radiogroup", { name: "To which tier" }).getByLabel("Main lounge").check();
  await page.fill("#note", "We lost her upgrade.");
  await press(page, button(page, "Let them in"));
  await says(page, "Main lounge");

  await scan(page, press, "twitter:poor");
  await says(page, "Not admitted");
  assert.match(await page.locator(".d-answer").innerText(), /None are left/);
  assert.equal(await page.inputValue("#amount"), "59.00", "the offer's price");
  await page.fill("#reference", "T4-20931");
  await press(page, button(page, "Let them in for pay"));
  await says(page, "Main lounge");
  assert.equal(await inside(page), "2");

  await press(page, page.getByRole("link", { name: "Correct the count" }));
  await page.fill("#delta", "-1");
  await page.fill("#why", "One left by the other door.");
  await press(page, button(page, "Correct the count"));
  await notes(page, "The count is corrected.");
  assert.equal(await inside(page), "1");
  await press(page, page.getByRole("link", { name: "All visits" }));
  await says(page, "Who is inside");
  assert.equal(await page.locator(".visits li").count(), 2);
  await press(page, page.locator(".visits").getByRole("button", { name: /^Leaves/ }).first());
  await page.locator(".visits li").nth(1).waitFor({ state: "detached" });

  await press(page, page.getByRole("link", { name: "Close the place" }));
  await press(page, button(page, "Close the place"));
  await page.locator("#side").getByText(/Closed until \d\d:\d\d/).waitFor();
  await scan(page, press, "twitter:rich");
  await says(page, "The place is closed");
  await press(page, button(page, "Open it now"));
  await notes(page, "The place is open again.");
  await scan(page, press, "twitter:rich");
  await says(page, "First lounge");
  await press(page, page.locator("#who button"));
  await notes(page, "You are signed off.");
  assert.equal(await page.locator("#who button").count(), 0);
}

/** Keys as a scanner sends them, a hundredth of a second apart, however busy this machine is; Enter at the end. */
async function scanned(page, text) {
  const devtools = await page.context().newCDPSession(page);
  const began = Date.now() / 1_000;
  for (const [nth, key] of [...text, "Enter"].entries()) {
    const said = key === "Enter" ? { key, code: key, text: "\r", windowsVirtualKeyCode: 13 } : { key, text: key };
    for (const type of ["keyDown", "keyUp"]) {
      await devtools.send("Input.dispatchKeyEvent", { ...said, type, timestamp: began + nth / 100, ...(type === "keyUp" && { text: undefined }) });
    }
  }
}

export const tests = {
  "an evening with scripts": (t) => evening(t, WAYS.live),

  "an evening without scripts": (t) => evening(t, WAYS.plain),

  async "a scanner is heard wherever the focus is, and the page is never left"(t) {
    const { page } = await desk(t, { clerks: false });
    await page.evaluate(() => (globalThis.stillHere = true));
    assert.equal(await page.evaluate(() => document.activeElement.id), "scan");
    for (const [who, words] of [["twitter:ada", "Main lounge"], ["twitter:rich", "First lounge"], ["twitter:poor", "Not admitted"]]) {
      await page.evaluate(() => document.activeElement.blur());
      await page.keyboard.type(`${who}\n`);
      await says(page, words);
      assert.deepEqual(await page.evaluate(() => [document.activeElement.id, document.activeElement.value]), ["scan", ""]);
      assert.match(await page.locator("#said").innerText(), new RegExp(words), "the result is announced");
    }
    assert.equal(await page.evaluate(() => globalThis.stillHere), true);
    assert.equal(await page.evaluate(() => history.length), 2, "no page is behind it that shows someone else");
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.equal(kept, '[{},{},""]', "nothing is kept in the browser, and no script reads a session");
  },

  async "guests are counted once the gateway says so, and undo says what is left"(t) {
    const { page } = await desk(t, { clerks: false });
    await scan(page, WAYS.live.press, "twitter:ada");
    await says(page, "Main lounge");
    assert.match(await page.locator("footer time").evaluate((it) => it.nextElementSibling.textContent), /\((9|10) min left\)/);
    let release;
    const held = new Promise((done) => (release = done));
    await page.route("**/guests", async (route) => {
      await held;
      await route.continue();
    });
    const more = page.getByRole("button", { name: "One more person" });
    await more.click();
    await more.click();
    assert.equal(await page.locator(".stepper output").first().innerText(), "1", "nothing is shown that isn't so");
    release();
    await page.getByText("Welcome. You and your guest come in free.", { exact: true }).waitFor();
    assert.equal(await page.locator(".stepper output").first().innerText(), "2", "pressed twice in its time is one more");
    await page.evaluate(() => {
      const was = Date.now;
      Date.now = () => was() + 11 * 60_000;
    });
    await page.locator(".undo").waitFor({ state: "hidden", timeout: 15_000 });
  },

  async "while the gateway is away nothing that was typed is lost, and sent again it is done once"(t) {
    const { page, merchant } = await desk(t, { watched: false, clerks: false });
    // It is done, and its answer is lost.
    await page.route("**/desk/checks", async (route) => {
      await route.fetch({ maxRedirects: 0 }).catch(() => {});
      await route.abort();
    });
    await scan(page, WAYS.live.press, "twitter:ada");
    await page.getByText(/The gateway is away since \d\d:\d\d/).waitFor();
    assert.equal(await page.inputValue("#scan"), "twitter:ada");
    await axeFindsNothing(page, "away");
    await page.unroute("**/desk/checks");
    await button(page, "Check").click();
    await says(page, "Main lounge");
    assert.equal(await page.locator("#away").innerText(), "");
    assert.equal((await merchant.api("GET", "/v1/audit/events?kind=check.decided")).events.length, 1);
  },

  async "a proxy that says by a page that the gateway is away loses nothing either"(t) {
    const { page, merchant } = await desk(t, { watched: false, clerks: false });
    const attempt = await page.inputValue("#ask [name=attempt]");
    const pages = [[502, "<!doctype html><h1>Bad gateway</h1>"], [429, "<!doctype html><h1>Too many</h1><p class=lead>Wait.</p>"]];
    for (const [status, body] of pages) {
      await page.route("**/desk/checks", (route) => route.fulfill({ status, contentType: "text/html", body }));
      await scan(page, WAYS.live.press, "twitter:ada");
      await page.locator("#away").getByText(/What you typed is still here/).waitFor();
      assert.match(page.url(), /\/desk$/);
      assert.deepEqual([await page.inputValue("#scan"), await page.inputValue("#ask [name=attempt]")], ["twitter:ada", attempt]);
      await page.unroute("**/desk/checks");
    }
    await button(page, "Check").click();
    await says(page, "Main lounge");
    assert.equal((await merchant.api("GET", "/v1/audit/events?kind=check.decided")).events.length, 1);
  },

  async "the next guest who is scanned while a page is on its way is read whole"(t) {
    const { page } = await desk(t, { clerks: false });
    await scan(page, WAYS.live.press, "twitter:ada");
    await says(page, "Main lounge");
    let release;
    const held = new Promise((done) => (release = done));
    await page.route("**/desk", async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("link", { name: "Next guest" }).click();
    await page.focus("#scan");
    await page.keyboard.type("twitter:");
    release();
    await says(page, "Who is next?");
    await page.keyboard.type("rich\n");
    await says(page, "First lounge");
  },

  async "a scanner that types into another field is taken out of it"(t) {
    const { page } = await desk(t, { clerks: false });
    await scan(page, WAYS.live.press, "twitter:short");
    await says(page, "Not admitted: 3 points short");
    await page.fill("#note", "We lost");
    await page.focus("#note");
    await scanned(page, "twitter:rich");
    await says(page, "First lounge");
  },

  async "who is inside is shown as it changes, and not under a finger"(t) {
    const { page, merchant } = await desk(t, { clerks: false });
    const ask = (subject) => merchant.api("POST", "/v1/checks", { perk: merchant.perk, subject });
    await page.mouse.move(100, 400);
    await ask("twitter:ada");
    await page.locator("#side .occ .vh").getByText("1", { exact: true }).waitFor();
    await page.locator("#side").hover();
    const looked = () => page.waitForResponse((reply) => reply.url().endsWith("/desk/side"));
    await ask("twitter:rich");
    await looked();
    await looked();
    assert.equal(await inside(page), "1", "it moves under no finger");
    await page.mouse.move(100, 400);
    await page.locator("#side .occ .vh").getByText("2", { exact: true }).waitFor();
  },

  async "a screen that was signed off leads to where it is paired"(t) {
    const { page, merchant, device } = await desk(t, { watched: false });
    await merchant.api("DELETE", `/v1/devices/${device}`);
    await page.fill("#scan", "twitter:ada");
    await button(page, "Check").click();
    await page.waitForURL("**/pair");
  },

  async "axe finds nothing in any state, and all that is pressed is large"(t) {
    const { page } = await desk(t, { watched: false, house: OWN_HOUSE });
    const { press } = WAYS.live;
    await says(page, "Who is next?");
    await axeFindsNothing(page, "idle");
    await scan(page, press, "nobody at all");
    await says(page, "This can’t be read");
    await axeFindsNothing(page, "unread");
    await scan(page, press, "twitter:short");
    await says(page, /3 points short/);
    await axeFindsNothing(page, "refused, signed off");
    await page.selectOption("#clerk", { label: "Ines" });
    await page.fill("#pin", "918273645546");
    await button(page, "Sign in").click();
    await says(page, "This PIN is wrong");
    await axeFindsNothing(page, "a wrong PIN");
    await signIn(page, press);
    await says(page, /3 points short/);
    await axeFindsNothing(page, "refused");
    await page.getByLabel("Our mistake").check();
    await page.getByRole("radiogroup", { name: "To which tier" }).getByLabel("Main lounge").check();
    await button(page, "Let them in").click();
    await says(page, "Main lounge");
    await axeFindsNothing(page, "granted");
    await scan(page, press, "twitter:poor");
    await says(page, "Not admitted");
    await axeFindsNothing(page, "none left");
    await page.fill("#reference", "T4-20931");
    await page.fill("#amount", "many");
    await button(page, "Let them in for pay").click();
    await says(page, "Something doesn’t fit");
    await axeFindsNothing(page, "an amount that doesn't fit");
    for (const path of ["/desk/inside", "/desk/count", "/desk/close", "/desk/checks/chk_00000000000070008000000000000001"]) {
      await page.goto(path);
      await axeFindsNothing(page, path);
    }
    await page.goto("/desk/close");
    await button(page, "Close the place").click();
    await notes(page, "The place is closed.");
    await axeFindsNothing(page, "closed");
  },

  async "the first view is small, and each answer comes soon"(t) {
    const { page, merchant } = await desk(t, { clerks: false });
    const [{ name, value }] = await page.context().cookies();
    const load = async (path) => (await t.gateway.ask("GET", path, { cookie: `${name}=${value}` })).text;
    const first = await load("/desk");
    const files = await Promise.all([...first.matchAll(/"(\/screens\/assets\/[^"]+)"/g)].map(([, path]) => load(path)));
    const size = [first, ...files].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    assert.equal(files.length, 3, "styles, a script and an icon");
    assert.ok(size > 10_000 && size <= 150_000, `${size} bytes`);
    await merchant.api("POST", "/v1/scores/klout/import", Array.from({ length: 5 }, (_, nth) => JSON.stringify({ subject: `twitter:t${nth}`, value: 50, observed_at: `${new Date(Date.now() - 60_000).toISOString().slice(0, 19)}Z` })).join("\n"));
    const times = [];
    for (let nth = 0; nth < 5; nth += 1) {
      await page.fill("#scan", `twitter:t${nth}`);
      const came = page.waitForResponse((reply) => reply.url().includes("/desk/checks/"));
      await button(page, "Check").click();
      await (await came).finished();
      const began = Date.now();
      await page.waitForFunction(() => document.activeElement.id === "scan" && document.querySelector("#scan").value === "");
      times.push(Date.now() - began);
    }
    t.say(`${size} bytes at first; on the screen ${times.join(", ")} ms after the gateway's answer`);
    assert.equal(await heading(page), "Main lounge");
  },
};

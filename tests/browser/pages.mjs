// Every page of the console, each with a line; what holds for all pages is held for these. A test in Rust finds a route
// that stands in neither of the lists.

import { PASSWORD } from "./support/world.mjs";
import { button, go } from "./support/visitor.mjs";

/**
 * A route, who looks at it (of `World.people`), and more addresses of it. Ids stand in braces, as in the route; where the
 * world calls one of them otherwise, an object before the addresses says how: `{ key: "account" }`.
 */
function page(route, who, ...more) {
  const names = typeof more[0] === "object" ? more.shift() : {};
  const address = route.replace(/\{(\w+)\}/g, (_, name) => `{${names[name] ?? name}}`);
  return { address, who, addresses: [address, ...more] };
}

export const PAGES = [
  page("/console/login", "nobody", "/console/login?ended=yes"),
  page("/console/links/{token}", "nobody", "/console/links/over"),
  page("/console/account", "admin"),
  page("/console/account/code", "admin"),
  page("/console/accounts", "admin"),
  page("/console/accounts/new", "admin"),
  page("/console/accounts/{key}", "admin", { key: "account" }),
  page("/console/accounts/{key}/{step}", "admin", { key: "account" }),
  page("/console/accounts/{key}/subject", "admin", { key: "account" }),
  page("/console/clerks", "admin"),
  page("/console/clerks/{key}", "admin", { key: "clerk" }),
  page("/console/settings", "admin"),
  page("/console/settings/privacy", "admin"),
  page("/console/sources", "admin"),
  page("/console/members", "admin"),
  page("/console/health", "operator"),
  page("/console/merchants", "operator"),
  page("/console/merchants/new", "operator"),
  page("/console/merchants/{slug}", "operator"),
  page("/console/merchants/{slug}/keys/{key}/revoke", "operator", { key: "adminKey" }),
  page("/console/today", "admin", "/console/today?perk={perk}"),
  page("/console/waiting", "admin"),
  page("/console/log", "auditor", "/console/log?kind=check.decided"),
  page("/console/checks/{check}", "auditor"),
  page("/console/verify", "auditor"),
  page("/console/perks", "admin", "/console/perks?q=nothing+is+called+so"),
  page("/console/new-perk", "admin", "/console/new-perk?template=member-offer"),
  page("/console/perks/{perk}", "admin", "/console/perks/sfo-lounge", "/console/perks/no-such-perk"),
  page("/console/perks/{perk}/rule", "admin"),
  page("/console/perks/{perk}/rule.json", "admin"),
  page("/console/perks/{perk}/backtest", "admin"),
  page("/console/perks/{perk}/everyone", "admin"),
  page("/console/perks/{perk}/close", "admin"),
  page("/console/perks/{perk}/try", "admin"),
  page("/console/perks/{perk}/picture", "admin"),
  page("/console/perks/{perk}/versions/{version}", "admin", "/console/perks/{perk}/versions/2", "/console/perks/{perk}/versions/1"),
  page("/console/perks/{perk}/versions/{version}/rollback", "admin", { version: "retired" }),
  page("/console/reports/{report}", "auditor", "/console/reports/grants?by=perk", "/console/reports/billing?by=day", "/console/reports/fairness", "/console/reports/grants?from=never"),
  page("/console/keys", "admin"),
  page("/console/keys/new", "admin"),
  page("/console/keys/{key}/revoke", "admin"),
  page("/console/devices", "admin"),
  page("/console/devices/{device}/remove", "admin"),
];

/** Routes that are no page: they lead on, or answer with something else than HTML. */
export const NO_PAGES = ["", "/", "/logout", "/openid/begin", "/openid/return", "/assets/{hash}/{name}", "/perks/{perk}/picture.json", "/reports", "/reports/{report}/csv", "/today/events"];

/** Pages that someone gets to by doing something. `act` does it; nothing of it may be in the way of a second time. */
export const STATES = [
  { name: "the first perk", who: "newcomer", path: "/console/perks" },
  { name: "an operator's keys", who: "operator", path: "/console/keys" },
  { name: "a provider's answer that is over", who: "nobody", path: "/console/openid/return?code=x&state=y" },
  { name: "another role's page", who: "auditor", path: "/console/keys" },
  {
    name: "a refused log-in",
    who: "nobody",
    path: "/console/login",
    async act(page) {
      await page.fill("#a", `nobody-${Date.now()}@cathay.example`);
      await page.fill("#p", PASSWORD);
      await go(page, button(page, "Log in"));
    },
  },
  {
    name: "a key that was not made",
    who: "admin",
    path: "/console/keys/new",
    async act(page) {
      await page.selectOption("#role", "kiosk");
      await page.fill("#label", " ");
      await go(page, button(page, "Make the key"));
    },
  },
  {
    name: "a key that was made",
    who: "admin",
    path: "/console/keys/new",
    async act(page) {
      await page.selectOption("#role", "kiosk");
      await page.fill("#label", "SFO B7");
      await go(page, button(page, "Make the key"));
    },
  },
  {
    name: "a rule with an error",
    who: "admin",
    path: "/console/perks/{perk}/rule.json",
    async act(page) {
      await page.fill("#text", "at_least: 400\nscore: klout\n");
      await go(page, button(page, "Check it"));
    },
  },
  {
    name: "a rule with nothing odd",
    who: "admin",
    path: "/console/perks/{perk}/rule.json",
    act: (page) => go(page, button(page, "Check it")),
  },
  {
    name: "a trial that lets in",
    who: "admin",
    path: "/console/perks/{perk}/try",
    async act(page) {
      await page.fill("#score", "70");
      await go(page, button(page, "Try"));
    },
  },
  {
    name: "a trial that refuses",
    who: "admin",
    path: "/console/perks/{perk}/try",
    async act(page) {
      await page.fill("#person", "twitter:nobody-knows");
      await go(page, button(page, "Try"));
    },
  },
  {
    name: "a trial that can't be read",
    who: "admin",
    path: "/console/perks/{perk}/try",
    async act(page) {
      await page.fill("#score", "many");
      await page.fill("#at", "tomorrow");
      await go(page, button(page, "Try"));
    },
  },
  {
    name: "the picture, moved",
    who: "admin",
    path: "/console/perks/{perk}/picture",
    async act(page) {
      await page.locator("#r-main").focus();
      for (let nth = 0; nth < 3; nth += 1) await page.keyboard.press("ArrowRight");
    },
  },
  {
    name: "a changed password's refusal",
    who: "admin",
    path: "/console/account",
    async act(page) {
      await page.fill("#o", PASSWORD);
      await page.fill("#p", "one long password");
      await page.fill("#g", "another long password");
      await go(page, button(page, "Change the password"));
    },
  },
];

/** Asks at a desk for someone, and waits for what it says. */
const asked = (who, title) => async (page) => {
  await page.fill("#scan", who);
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: title }).waitFor();
};

/** The desk's pages, which stand at other addresses than the console's. */
const DESK = [
  { name: "a desk", who: "desk", path: "/desk" },
  { name: "a desk's answer", who: "desk", path: "/desk", act: asked("twitter:nobody-knows", /^Not admitted/) },
  { name: "who is inside, at a desk", who: "desk", path: "/desk/inside" },
  { name: "the count of a desk", who: "desk", path: "/desk/count" },
  { name: "closing a place at a desk", who: "desk", path: "/desk/close" },
];

/** An address with ids in the place of its braces. */
export function addressOf(template, ids) {
  return template.replace(/\{(\w+)\}/g, (_, name) => {
    if (!(name in ids)) throw new Error(`${template}: the world has no ${name}: give Merchant.ids one`);
    return ids[name];
  });
}

/** Every page and every state, ready to be opened: `open(page)` gets there. */
export function everything(world) {
  const { ids } = world.cathay;
  const opens = (path, act) => async (page) => {
    await page.goto(addressOf(path, ids));
    // The picture is ready when its script has taken what only its form needed away.
    if (await page.evaluate(() => document.querySelector("[data-picture]") !== null)) await page.locator("[data-no-script]").waitFor({ state: "hidden" });
    await act?.(page);
  };
  const pages = PAGES.flatMap(({ who, addresses }) => addresses.map((path) => ({ name: path, who, open: opens(path) })));
  return [...pages, ...[...STATES, ...DESK].map(({ name, who, path, act }) => ({ name, who, open: opens(path, act) }))];
}

/** Opens all of it in one window for each person, and gives each page to `look`. */
export async function eachPage(t, options, look) {
  const windows = new Map();
  for (const { name, who, open } of everything(t.world)) {
    if (!windows.has(who)) windows.set(who, await t.page(t.world.people[who], options));
    const page = windows.get(who);
    await open(page);
    await look(page, name, who);
  }
}

// The keyboard alone gets to every control of every page, and it is seen where one is.

import assert from "node:assert/strict";

import { eachPage } from "../pages.mjs";

const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";

/** Marks every control that is there to be used, and says how many there are. */
function mark(query) {
  document.querySelectorAll("[data-nth]").forEach((it) => delete it.dataset.nth);
  const controls = [...document.querySelectorAll(query)].filter((it) => !it.disabled && it.tabIndex >= 0 && it.checkVisibility({ visibilityProperty: true }));
  controls.forEach((it, nth) => (it.dataset.nth = nth));
  return controls.map((it) => it.outerHTML.slice(0, 110));
}

/** The control that has the focus, and whether a ring shows it. */
function focused() {
  const it = document.activeElement;
  if (!it || it === document.body) return undefined;
  const style = getComputedStyle(it);
  const hasRing = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const box = it.getBoundingClientRect();
  return { nth: it.dataset.nth, hasRing, html: it.outerHTML.slice(0, 110), isSeen: box.bottom > 0 && box.top < innerHeight, type: it.type };
}

async function walk(page, name, tries = 3) {
  // As if nothing had been looked at yet, whatever the page put the focus on.
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
  });
  const wanted = await page.evaluate(mark, CONTROLS);
  const reached = new Set();
  for (let nth = 0; nth <= wanted.length + 3; nth += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(focused);
    if (!at) {
      if (reached.size > 0) break;
      continue;
    }
    if (at.nth !== undefined && reached.has(at.nth)) break;
    reached.add(at.nth);
    // The ring of a handle is its thumb's, which no script can look at: below its picture is compared.
    assert.ok(at.hasRing || at.type === "range", `${name}: no ring around ${at.html}`);
    assert.ok(at.isSeen, `${name}: ${at.html} has the focus out of sight`);
  }
  // A page that is live puts new parts in the place of others: then it is walked through again.
  if (tries > 0 && (await page.locator("[data-nth]").count()) < wanted.length) return walk(page, name, tries - 1);
  const missed = wanted.filter((_, nth) => !reached.has(String(nth)));
  assert.deepEqual(missed, [], `${name}: the keyboard does not get there`);
  return wanted.length;
}

export const tests = {
  async "the keyboard gets to every control, and shows where it is"(t) {
    let controls = 0;
    await eachPage(t, {}, async (page, name) => {
      controls += await walk(page, name);
      await page.setViewportSize({ width: 390, height: 844 });
      await walk(page, `${name}, on a phone`);
      await page.setViewportSize({ width: 1280, height: 900 });
    });
    t.say(`${controls} controls`);
  },

  async "a handle of the picture shows that it has the focus"(t) {
    const page = await t.page(t.world.people.admin);
    await page.goto(`/console/perks/${t.world.cathay.ids.perk}/picture`);
    const plot = page.locator(".picture");
    const before = await plot.screenshot();
    await page.locator("#r-main").focus();
    // Only a key makes a ring.
    await page.keyboard.press("Shift");
    assert.ok(!before.equals(await plot.screenshot()), "it looks as before");
  },

  async "the skip link leads to the content"(t) {
    const page = await t.page(t.world.people.admin);
    await page.goto("/console/keys");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.querySelector("main").contains(document.activeElement)));
  },
};

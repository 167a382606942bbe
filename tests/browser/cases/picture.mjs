// What the script counts as a handle moves is what the server counts.

import assert from "node:assert/strict";

/** All that the picture says, and where it draws it. */
function said() {
  const texts = (query) => [...document.querySelectorAll(query)].map((it) => it.textContent.trim());
  const drawn = (query, ...names) => [...document.querySelectorAll(query)].map((it) => names.map((name) => it.getAttribute(name)).join(" "));
  return {
    tallies: texts("[data-tally] .vh"),
    changes: texts("[data-change]"),
    week: texts("[data-week]"),
    days: texts("[data-day] .val"),
    inexact: !document.querySelector("[data-inexact]").hidden,
    bars: drawn(".bars rect", "class"),
    cuts: drawn(".cut", "x1", "x2"),
    near: drawn(".near-band", "x", "width"),
    spoken: drawn("input[type=range]", "aria-valuetext"),
  };
}

const POSITIONS = [
  ...Array.from({ length: 12 }, (_, nth) => [3 + nth * 7, 10 + nth * 7]),
  ...[[0, 100], [0, 1], [99, 100], [40, 60], [59, 60], [60, 60], [70, 50], [40.5, 60], [40.001, 60.999], [12.345, 67.89], [0, 0], [100, 100]],
];

export const tests = {
  async "the picture's numbers by script are the server's"(t) {
    const { perk } = t.world.cathay.ids;
    const page = await t.page(t.world.people.admin);
    const plain = await t.page(t.world.people.admin, { javaScriptEnabled: false });
    await page.goto(`/console/perks/${perk}/picture?version=2`);
    await page.locator("[data-no-script]").waitFor({ state: "hidden" });
    for (const [main, first] of POSITIONS) {
      await page.fill("#n-main", String(main));
      await page.fill("#n-first", String(first));
      await plain.goto(`/console/perks/${perk}/picture?version=2&at=${encodeURIComponent(`main:${main},first:${first}`)}`);
      const [script, server] = [await page.evaluate(said), await plain.evaluate(said)];
      assert.deepEqual(script, server, `main ${main}, first ${first}`);
    }
    t.say(`${POSITIONS.length} positions of two handles`);
  },
};

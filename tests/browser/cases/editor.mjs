// The rule as forms: what is typed is checked on the way, and only the newest of it.

import assert from "node:assert/strict";

import { button, go } from "../support/visitor.mjs";

export const tests = {
  async "a check that is overtaken is called off"(t) {
    const merchant = await t.world.merchant();
    const rule = { score: "klout", at_least: 40 };
    await merchant.api("POST", "/v1/perks", { perk: "lounge", name: "Lounge", rule, publish: false });
    const page = await t.page(await merchant.person("admin"));
    await page.goto("/console/perks/lounge/rule");
    const field = page.locator("[data-score]").first();
    let first;
    await page.route("**/rule/check", async (route) => {
      // The first has no answer before the second is asked.
      if (first) await route.continue();
      else first = route.request();
    });
    await Promise.all([page.waitForRequest("**/rule/check"), field.fill("400")]);
    const calledOff = page.waitForEvent("requestfailed", (request) => request === first);
    await Promise.all([page.waitForResponse("**/rule/check"), field.fill("45")]);
    assert.match((await calledOff).failure().errorText, /ABORTED/);
  },

  async "what was typed and not saved is not left without a question"(t) {
    const merchant = await t.world.merchant();
    await merchant.api("POST", "/v1/perks", { perk: "lounge", name: "Lounge", rule: { score: "klout", at_least: 40 }, publish: false });
    const page = await t.page(await merchant.person("admin"), { mayAsk: true });
    let asked = 0;
    page.on("dialog", () => (asked += 1));
    const leaving = async () => {
      const before = asked;
      await page.goto("/console/perks");
      return asked - before;
    };
    const rule = "/console/perks/lounge/rule";
    await page.goto(rule);
    assert.equal(await leaving(), 0, "nothing was typed");
    const field = page.locator("[data-score]").first();
    await page.goto(rule);
    await field.fill("45");
    assert.equal(await leaving(), 1, "it was typed");
    await page.goto(rule);
    await field.fill("many");
    assert.equal((await go(page, button(page, "Save draft"))).status(), 422);
    assert.equal(await leaving(), 1, "it was refused, and so is not saved");
    await page.goto(rule);
    await field.fill("46");
    await go(page, button(page, "Save draft"));
    assert.equal(await leaving(), 0, "it is saved");
  },
};

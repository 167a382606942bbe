// The rule as forms: what is typed is checked on the way, and only the newest of it.

import assert from "node:assert/strict";

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
};

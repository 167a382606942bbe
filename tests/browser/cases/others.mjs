// The days of those who run no perks.

import assert from "node:assert/strict";

import { PASSWORD } from "../support/world.mjs";
import { button, go, heading } from "../support/visitor.mjs";

const links = (page) => page.locator("nav[aria-label=Main] a").allInnerTexts();

async function logIn(t, person) {
  const page = await t.page(undefined);
  await page.goto("/console");
  await page.fill("#a", person.name);
  await page.fill("#p", PASSWORD);
  await go(page, button(page, "Log in"));
  return page;
}

export const tests = {
  async "the auditor's day"(t) {
    const auditor = await t.world.cathay.person("auditor");
    const page = await logIn(t, auditor);
    assert.match(await heading(page), /^Today/);
    assert.ok(!(await links(page)).includes("Perks"));
    await go(page, page.getByRole("link", { name: "Reports", exact: true }));
    assert.equal(await heading(page), "Grants");
    await page.selectOption("#by", "perk");
    await go(page, button(page, "Show"));
    assert.match(new URL(page.url()).search, /by=perk/);
    const rows = await page.locator("tbody tr").count();
    assert.ok(rows >= 2, "one row for each perk that was asked for");
    assert.equal(await page.locator("svg.chart").count(), 1);

    // The table as a file: the same rows.
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
    assert.equal(file.suggestedFilename(), "perkgate-grants.csv");
    const stream = await file.createReadStream();
    let text = "";
    for await (const part of stream) text += part;
    assert.ok(text.trim().split("\n").length > rows, text);

    await go(page, page.getByRole("link", { name: "Billing", exact: true }));
    assert.equal(await heading(page), "Billing");
    await go(page, page.getByRole("link", { name: "Fairness", exact: true }));
    assert.match(await page.locator("main").innerText(), /to below/);
    await page.goto("/console/reports/grants?from=never");
    assert.match(await page.locator("[role=alert]").innerText(), /can’t be counted/);

    // What is not an auditor's is not shown, and not done.
    for (const path of ["/console/perks", `/console/perks/${t.world.cathay.ids.perk}`, "/console/keys", "/console/keys/new"]) {
      assert.equal((await page.goto(path)).status(), 403, path);
    }
    await page.goto("/console/account");
    await go(page, button(page, "Log out"));
    assert.equal((await page.goto("/console/reports/grants")).url().includes("/console/login"), true);
  },

  async "the operator's day"(t) {
    const operator = await t.world.cathay.person("operator");
    const page = await logIn(t, operator);
    assert.equal(await heading(page), "Merchants");
    assert.match(await page.locator("table").innerText(), /Cathay Pacific[\s\S]*American Airlines|American Airlines[\s\S]*Cathay Pacific/);
    for (const path of ["/console/perks", `/console/perks/${t.world.cathay.ids.perk}`, "/console/reports/grants"]) {
      assert.equal((await page.goto(path)).status(), 403, path);
    }

    // A key of the operator's own, and its end.
    await page.goto("/console/keys/new");
    const roles = await page.locator("#role option").allInnerTexts();
    assert.ok(!roles.some((it) => /kiosk/i.test(it)), roles.join(", "));
    await page.selectOption("#role", { index: 1 });
    await page.fill("#label", "night shift");
    await go(page, button(page, "Make the key"));
    const secret = await page.locator("pre[aria-label='The key']").innerText();
    assert.match(secret, /^pgk_/);
    await t.gateway.api(secret, "GET", "/v1/merchants");
    await go(page, page.getByRole("link", { name: "I have copied it" }));
    assert.ok(!(await page.content()).includes(secret), "it is shown once");
    await go(page, page.locator("tr", { hasText: "night shift" }).getByRole("link", { name: /Revoke/ }));
    await go(page, button(page, "Revoke it for good"));
    await assert.rejects(t.gateway.api(secret, "GET", "/v1/merchants"), /401/);
  },
};

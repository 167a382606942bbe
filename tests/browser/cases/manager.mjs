// The manager's day: from a template to a rule that decides, with a second pair of eyes, to the report, and back.

import assert from "node:assert/strict";

import { PASSWORD, justNow } from "../support/world.mjs";
import { button, go, heading } from "../support/visitor.mjs";

/** Takes a handle with the mouse, and lets it go at a score. */
async function drag(page, tier, score) {
  const plot = await page.locator(".plot > svg").first().boundingBox();
  const now = Number(await page.inputValue(`#n-${tier}`));
  const range = await page.locator(`#r-${tier}`).boundingBox();
  const x = (value) => plot.x + (plot.width * value) / 100;
  const y = range.y + range.height / 2;
  await page.mouse.move(x(now), y);
  await page.mouse.down();
  await page.mouse.move(x(score), y, { steps: 8 });
  await page.mouse.up();
}

const tally = (page, id) => page.locator(`[data-tally="${id}"] .vh`).innerText();

export const tests = {
  async "the manager's day"(t) {
    const merchant = await t.world.merchant();
    await merchant.api("PUT", "/v1/approvals", { required: true });
    const at = justNow();
    const scores = Array.from({ length: 400 }, (_, nth) => JSON.stringify({ subject: `twitter:p${nth}`, value: (nth % 100) + 0.5, observed_at: at }));
    await merchant.api("POST", "/v1/scores/klout/import", `${scores.join("\n")}\n`);
    const [mei, rafael] = [await merchant.person("admin"), await merchant.person("admin")];

    // Logs in.
    const page = await t.page(undefined);
    await page.goto("/console/perks");
    assert.match(page.url(), /\/console\/login\?return=/);
    await page.fill("#a", mei.name);
    await page.fill("#p", PASSWORD);
    await go(page, button(page, "Log in"));
    assert.equal(new URL(page.url()).pathname, "/console/perks");
    assert.equal(await heading(page), "Who may come in?");

    // Begins with a template.
    await go(page, page.locator("a.choice").first());
    await page.fill("#name", "Airport lounge");
    await page.fill("#slug", "airport");
    await go(page, button(page, "Make it, as a draft"));
    assert.match(await heading(page), /^Version 1/);

    // Drags the threshold, with the mouse and by keys.
    await page.goto("/console/perks/airport/picture");
    await page.locator("[data-no-script]").waitFor({ state: "hidden" });
    const before = await tally(page, "tier-main");
    await drag(page, "main", 50);
    assert.equal(await page.inputValue("#n-main"), "50");
    assert.notEqual(await tally(page, "tier-main"), before);
    await page.locator("#r-first").focus();
    for (const key of ["PageUp", "ArrowLeft", "ArrowLeft"]) await page.keyboard.press(key);
    assert.equal(await page.inputValue("#n-first"), "68");
    assert.match(await page.getAttribute("#r-main", "aria-valuetext"), /^50: 200 people admitted, 12 just short$/);
    // It stops before its neighbour.
    await drag(page, "main", 90);
    assert.equal(await page.inputValue("#n-main"), "67");
    await page.fill("#n-main", "45");
    await go(page, button(page, "Save draft"));
    assert.match(await page.locator("main").innerText(), /45/);

    // Sends it, and can't approve it.
    assert.equal(await button(page, "Publish now").count(), 0);
    await page.fill("#note", "As we agreed.");
    await go(page, button(page, "Send for approval"));
    assert.match(await page.locator("main").innerText(), /someone else has to approve it/);
    assert.equal(await button(page, "Approve").count(), 0);

    // Another one approves it.
    const other = await t.page(rafael);
    await other.goto("/console/perks/airport/versions/1");
    await go(other, button(other, "Approve"));
    await page.reload();
    await go(page, button(page, "Publish now"));
    assert.match(await heading(page), /published|decides/i);
    await page.goto("/console/perks");
    assert.match(await page.locator(".board tbody tr").innerText(), /Airport lounge[\s\S]*45/);

    // People ask.
    const { key } = await t.gateway.command("key", "create", "--merchant", merchant.slug, "--role", "kiosk", "--label", "A12", "--location", "SFO-A");
    const ask = (nth) => t.gateway.api(key, "POST", "/v1/checks", { perk: "airport", subject: `twitter:p${nth}`, context: { concourse: "A" } });
    const decided = [];
    for (const nth of [30, 46, 47, 70]) decided.push((await ask(nth)).decision);
    const granted = decided.filter((it) => it === "granted").length;

    // Reads the report.
    await go(page, page.getByRole("link", { name: "Reports", exact: true }));
    await page.selectOption("#by", "perk");
    await go(page, button(page, "Show"));
    const total = await page.locator("tfoot tr").first().innerText();
    assert.deepEqual(total.split(/\s+/).slice(1, 3), ["4", String(granted)]);

    // A second version, and back to the first.
    await page.goto("/console/perks/airport/rule.json");
    await page.fill("#text", (await page.inputValue("#text")).replace("value: 45", "value: 60"));
    await page.fill("#note", "Too many came.");
    await go(page, button(page, "Save as a draft"));
    await go(page, button(page, "Send for approval"));
    await other.goto("/console/perks/airport/versions/2");
    assert.match(await other.locator(".diff").innerText(), /45[\s\S]*60/);
    await go(other, button(other, "Approve"));
    await go(other, button(other, "Publish now"));
    await page.goto("/console/perks/airport/versions/1");
    await go(page, page.getByText("Roll back to this…", { exact: true }));
    await go(page, button(page, "Roll back to version 1"));
    assert.equal(new URL(page.url()).pathname, "/console/perks/airport");
    assert.match(await page.locator("main").innerText(), /Version 3[\s\S]*Version 2[\s\S]*Version 1/);
    const events = JSON.stringify(await merchant.api("GET", "/v1/audit/events?limit=100"));
    for (const kind of ["rule.submitted", "rule.approved", "rule.published", "rule.rolled_back"]) assert.ok(events.includes(kind), `${kind} in the log`);
  },
};

// What happens twice: one form pressed two times, and one draft in two hands.

import assert from "node:assert/strict";

import { button, go } from "../support/visitor.mjs";

export const tests = {
  async "a form that is pressed twice is sent once"(t) {
    const page = await t.page(await t.world.cathay.person("admin"));
    await page.goto("/console/keys/new");
    await page.selectOption("#role", "kiosk");
    await page.fill("#label", "Pressed twice");
    let sent = 0;
    page.on("request", (request) => (sent += Number(request.method() === "POST")));
    await Promise.all([page.waitForNavigation(), button(page, "Make the key").dblclick()]);
    assert.equal(sent, 1);
    // Loading the answer again sends the form again, which makes no second key either.
    await page.reload();
    assert.equal(sent, 2);
    assert.match(await page.locator("main").innerText(), /made already/);
    const { text } = await t.world.people.admin.open("/console/keys");
    assert.equal(text.split("<strong>Pressed twice</strong>").length, 2);
  },

  async "who saves a draft that has changed meanwhile keeps what they typed"(t) {
    const merchant = await t.world.merchant();
    await merchant.fill({ people: 10, asked: 0 });
    const address = `/console/perks/${merchant.ids.perk}/rule.json?version=3`;
    const [one, other] = [await t.page(await merchant.person("admin")), await t.page(await merchant.person("admin"))];
    await one.goto(address);
    await other.goto(address);
    const rule = await one.inputValue("#text");
    await one.fill("#text", rule.replace("value: 45", "value: 46"));
    await go(one, button(one, "Save draft"));
    const typed = rule.replace("value: 45", "value: 47");
    await other.fill("#text", typed);
    const answer = await go(other, button(other, "Save draft"));
    assert.equal(answer.status(), 412);
    assert.equal((await other.inputValue("#text")).trim(), typed.trim());
    assert.match(await other.locator("main").innerText(), /was not saved/);
  },
};

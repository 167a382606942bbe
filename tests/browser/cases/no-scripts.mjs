// Every form, in a browser that runs no scripts.

import assert from "node:assert/strict";

import { PASSWORD } from "../support/world.mjs";
import { button, go, heading } from "../support/visitor.mjs";
import { totp } from "../support/totp.mjs";

const PLAIN = { javaScriptEnabled: false };
const main = (page) => page.locator("main").innerText();

export const tests = {
  async "accounts: link, log-in, password, second factor, sessions, log-out"(t) {
    const { name, path } = await t.world.cathay.invitation("admin");
    const page = await t.page(undefined, PLAIN);
    await page.goto(path);
    await page.fill("#p", PASSWORD);
    await page.fill("#g", "something else entirely");
    assert.equal((await go(page, button(page, "Set the password and log in"))).status(), 422);
    await page.fill("#p", PASSWORD);
    await page.fill("#g", PASSWORD);
    await go(page, button(page, "Set the password and log in"));
    assert.equal(new URL(page.url()).pathname, "/console/perks");
    assert.equal((await page.goto(path)).status(), 404, "the link is over");

    await page.goto("/console/account");
    const next = "another horse of that colour";
    await page.fill("#o", "wrong");
    await page.fill("#p", next);
    await page.fill("#g", next);
    assert.equal((await go(page, button(page, "Change the password"))).status(), 422);
    await page.fill("#o", PASSWORD);
    await page.fill("#p", next);
    await page.fill("#g", next);
    await go(page, button(page, "Change the password"));
    assert.match(await main(page), /Your password is changed/);

    await go(page, page.getByRole("link", { name: "Set it up" }));
    const secret = await page.locator("pre[aria-label='The set-up key']").innerText();
    await page.fill("#t", "000000");
    await page.fill("#p", next);
    assert.equal((await go(page, button(page, "Set it up"))).status(), 422);
    const shown = await page.locator("pre[aria-label='The set-up key']").innerText();
    assert.equal(shown, secret, "the key remains while its code is typed");
    await page.fill("#t", totp(secret));
    await page.fill("#p", next);
    await go(page, button(page, "Set it up"));
    const recovery = await page.locator(".codes li").allInnerTexts();
    assert.ok(recovery.length > 1, await main(page));

    await page.goto("/console/account");
    await go(page, button(page, "Log out"));
    assert.match(await main(page), /You are logged out/);
    const logIn = async (code) => {
      await page.fill("#a", name);
      await page.fill("#p", next);
      await page.fill("#t", code);
      return go(page, button(page, "Log in"));
    };
    assert.equal((await logIn("")).status(), 422);
    await logIn(recovery[0]);
    assert.equal(new URL(page.url()).pathname, "/console/perks");
    await page.goto("/console/account/code");
    await page.fill("#t", recovery[0]);
    assert.equal((await go(page, button(page, "Remove it"))).status(), 422, "each recovery code works once");
    await page.fill("#t", recovery[1]);
    await go(page, button(page, "Remove it"));
    await go(page, button(page, "Log out everywhere"));
    assert.match(page.url(), /\/console\/login/);
  },

  async "rules: new perk, text, picture, trial, and the steps of a version"(t) {
    const merchant = await t.world.merchant();
    await merchant.fill({ people: 200, asked: 0 });
    const { perk } = merchant.ids;
    const [mei, rafael] = [await merchant.person("admin"), await merchant.person("admin")];
    const page = await t.page(mei, PLAIN);
    const other = await t.page(rafael, PLAIN);
    const path = () => new URL(page.url()).pathname;

    await page.goto("/console/new-perk?template=priority-queue");
    await go(page, button(page, "Check it"));
    assert.match(await main(page), /Nothing stops it/);
    await page.fill("#slug", "Not A Slug");
    assert.equal((await go(page, button(page, "Make it, as a draft"))).status(), 422);
    assert.match(await main(page), /The short name can’t be/);
    await page.fill("#slug", "queue");
    await go(page, button(page, "Make it, as a draft"));
    assert.equal(path(), "/console/perks/queue/versions/1");

    await page.goto("/console/perks");
    await page.fill("#q", "two");
    await go(page, button(page, "Find"));
    assert.equal(await page.locator(".board tbody tr").count(), 1);

    await page.goto(`/console/perks/${perk}/picture`);
    await page.fill("#n-main", "200");
    assert.equal((await go(page, button(page, "Redraw"))).status(), 422);
    await page.fill("#n-main", "50");
    await go(page, button(page, "Redraw"));
    assert.match(decodeURIComponent(page.url()), /at=main:50,first:60/);
    await go(page, button(page, "Make a draft of it"));
    assert.match(path(), /versions\/4$/);
    assert.match(await main(page), /50/);

    await page.goto(`/console/perks/${perk}/rule.json?version=4`);
    await page.fill("#text", "tiers: [");
    await go(page, button(page, "Check it"));
    assert.match(await main(page), /stops it/);
    assert.equal(await page.inputValue("#text"), "tiers: [");
    await page.goto(`/console/perks/${perk}/rule.json?version=4`);
    await page.fill("#text", (await page.inputValue("#text")).replace("value: 50", "value: 51"));
    await go(page, button(page, "Save draft"));
    assert.match(await main(page), /51/);

    for (const [who, name, status] of [
      [page, "Send for approval", /in review|waits/i],
      [page, "Take it back", /draft/i],
      [page, "Send for approval", /in review|waits/i],
      [other, "Send it back", /draft/i],
      [page, "Send for approval", /in review|waits/i],
      [other, "Approve", /approved/i],
      [page, "Publish now", /decides|published/i],
    ]) {
      await who.goto(`/console/perks/${perk}/versions/4`);
      await who.fill("#note", "By hand.");
      await go(who, button(who, name));
      assert.match(await heading(who), status, name);
    }
    await page.goto(`/console/perks/${perk}/versions/1`);
    await go(page, page.getByText("Roll back to this…", { exact: true }));
    await go(page, button(page, "Roll back to version 1"));
    assert.match(await main(page), /Version 5/);

    await page.goto(`/console/perks/${perk}/try`);
    await page.fill("#score", "75");
    await page.fill("#people", "1");
    await go(page, button(page, "Try"));
    assert.match(await page.locator("#answer h2").first().innerText(), /First lounge/);
    await page.fill("#score", "12");
    await go(page, button(page, "Try"));
    assert.match(await page.locator("#answer h2").first().innerText(), /Not now/);
  },

  async "keys and reports"(t) {
    const page = await t.page(await t.world.cathay.person("admin"), PLAIN);
    await page.goto("/console/keys/new");
    await page.selectOption("#role", "kiosk");
    await page.fill("#label", "No scripts");
    await page.fill("#location", "SFO-B");
    await page.selectOption("#expires", { index: 1 });
    await go(page, button(page, "Make the key"));
    const secret = await page.locator("pre[aria-label='The key']").innerText();
    assert.equal((await t.gateway.api(secret, "GET", "/v1/me")).role, "kiosk");
    await page.goto("/console/keys");
    await go(page, page.locator("tr", { hasText: "No scripts" }).first().getByRole("link", { name: /Revoke/ }));
    await go(page, button(page, "Revoke it for good"));
    await assert.rejects(t.gateway.api(secret, "GET", "/v1/me"), /401/);

    await page.goto("/console/reports/grants");
    await page.fill("#perk", t.world.cathay.ids.perk);
    await page.selectOption("#by", "tier");
    await go(page, button(page, "Show"));
    assert.match(await main(page), /Main lounge|main/);
  },
};

// What other sites, other people and patient guessers try.

import assert from "node:assert/strict";
import http from "node:http";

import { PASSWORD, cookieOf } from "../support/world.mjs";
import { button, go } from "../support/visitor.mjs";

/** A page of another site, on this machine. */
async function siteWith(page) {
  const server = http.createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(page));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { port: server.address().port, close: () => new Promise((done) => server.close(done)) };
}

const isIn = async (person) => (await person.open("/console/account")).status === 200;

async function typeIn(page, name, password) {
  await page.fill("#a", name);
  await page.fill("#p", password);
  return go(page, button(page, "Log in"));
}

export const tests = {
  async "a form of another site does nothing"(t) {
    const person = await t.world.cathay.person("admin");
    const token = await person.formToken();
    const fields = `<input type="hidden" name="form_token" value="${token}">`;
    const site = await siteWith(`<form method="post" action="${t.gateway.url}/console/account/sessions/end">${fields}<button>Win</button></form>`);
    try {
      // The same machine by another name is another site; by the same name and another port it is the same one.
      for (const host of ["localhost", "127.0.0.1"]) {
        const browser = await t.browser.newContext();
        await browser.addCookies(person.cookies());
        const page = await browser.newPage();
        await page.goto(`http://${host}:${site.port}/`);
        const answer = await go(page, button(page, "Win"));
        assert.equal(answer.status(), 403, host);
        await browser.close();
        assert.ok(await isIn(person), host);
      }
    } finally {
      await site.close();
    }
  },

  async "a form without its session's token does nothing"(t) {
    const [person, other] = [await t.world.cathay.person("admin"), await t.world.cathay.person("admin")];
    for (const token of [undefined, "", "0", await other.formToken()]) {
      const form = token === undefined ? {} : { form_token: token };
      const reply = await t.gateway.send("/console/account/sessions/end", form, { cookie: person.cookie });
      assert.equal(reply.status, 403, `${token}`);
    }
    assert.ok(await isIn(person));
    const own = await t.gateway.send("/console/account/sessions/end", { form_token: await person.formToken() }, { cookie: person.cookie });
    assert.equal(own.status, 303);
    assert.ok(!(await isIn(person)));
  },

  async "a log-in begins a session that nobody planted"(t) {
    const person = await t.world.cathay.person("auditor");
    const planted = "p".repeat(43);
    const page = await t.page(undefined);
    await page.context().addCookies([{ name: "perkgate-session", value: planted, url: t.gateway.url }]);
    await page.goto("/console/login");
    await typeIn(page, person.name, PASSWORD);
    const [cookie, ...more] = await page.context().cookies();
    assert.equal(more.length, 0);
    assert.notEqual(cookie.value, planted);
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.expires], [true, "Lax", -1]);
    assert.equal(await page.evaluate(() => document.cookie), "");
    assert.equal((await t.gateway.ask("GET", "/console/account", { cookie: `perkgate-session=${planted}` })).status, 303);

    // Logging in again ends the session before.
    const again = await t.gateway.send("/console/login", { account: person.name, password: PASSWORD }, { cookie: `perkgate-session=${cookie.value}` });
    assert.equal(again.status, 303);
    assert.notEqual(cookieOf(again), `perkgate-session=${cookie.value}`);
    assert.equal((await t.gateway.ask("GET", "/console/account", { cookie: `perkgate-session=${cookie.value}` })).status, 303);
  },

  async "no page shows ours within its own"(t) {
    const { admin } = t.world.people;
    const site = await siteWith(`<title>other</title><iframe src="${t.gateway.url}/console/perks"></iframe>`);
    const browser = await t.browser.newContext();
    try {
      await browser.addCookies(admin.cookies());
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${site.port}/`);
      const frame = page.frames().find((it) => it !== page.mainFrame());
      await frame.waitForLoadState().catch(() => {});
      assert.match(frame.url(), /^chrome-error:/);
      assert.equal(await frame.locator(".band").count(), 0);
    } finally {
      await browser.close();
      await site.close();
    }
    for (const path of ["/console/perks", "/console/login", "/console/nothing"]) {
      const { headers } = await admin.open(path);
      assert.equal(headers["x-frame-options"], "DENY", path);
      assert.match(headers["content-security-policy"], /frame-ancestors 'none'/, path);
    }
  },

  async "the sixth guess is not taken, and locks nobody else out"(t) {
    const [person, other] = [await t.world.cathay.person("auditor"), await t.world.cathay.person("auditor")];
    const page = await t.page(undefined);
    await page.goto("/console/login");
    for (let left = 4; left >= 0; left -= 1) {
      const answer = await typeIn(page, person.name, "not the password");
      assert.equal(answer.status(), 422);
      const words = await page.locator("[role=alert]").innerText();
      assert.match(words, left === 0 ? /No more tries/ : left === 1 ? /One more try/ : new RegExp(`${left} more tries`));
    }
    const refused = await typeIn(page, person.name, PASSWORD);
    assert.equal(refused.status(), 429);
    assert.ok(Number(refused.headers()["retry-after"]) > 0);
    assert.match(await page.locator("[role=alert]").innerText(), /Too many passwords were wrong/);
    assert.ok(await isIn(person), "who is logged in goes on");
    assert.equal((await typeIn(page, other.name, PASSWORD)).status(), 200);
  },

  async "a log-in leads to our own pages only"(t) {
    const person = await t.world.cathay.person("auditor");
    for (const wanted of ["https://evil.example/console", "//evil.example", "/\\evil.example", "/console\\evil", "javascript:alert(1)", "/console/../evil", "/console/%2e%2e/v1/perks", "/v1/perks"]) {
      const page = await t.page(undefined);
      await page.goto(`/console/login?return=${encodeURIComponent(wanted)}`);
      await typeIn(page, person.name, PASSWORD);
      const { origin, pathname } = new URL(page.url());
      assert.deepEqual([origin, pathname.startsWith("/console/")], [t.gateway.url, true], `${wanted} led to ${page.url()}`);
      // Who is logged in already is led on too.
      await page.goto(`/console/login?return=${encodeURIComponent(wanted)}`);
      assert.equal(new URL(page.url()).origin, t.gateway.url, wanted);
      await page.context().close();
    }
  },
};

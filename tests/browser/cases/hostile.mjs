// Text that would like to be more than text, in every field of every form, is shown as it was typed.

import assert from "node:assert/strict";

import { PAGES, addressOf } from "../pages.mjs";

/** What a template that forgets to escape would make an element of, in text, in an attribute and in a script. */
const TEXT = `"'></textarea></title><b data-planted>x</b><img data-planted src=/x onerror=alert(1)>{{7*7}}\${7*7}`;
const FIELDS = "input:not([type=hidden]):not([type=range]):not([type=checkbox]):not([type=radio]):not([type=file]), textarea";
const BUTTONS = "button:not([type=button]):not([type=reset])";

const planted = (page) => page.locator("[data-planted]").count();

/** Fills every field, whatever it asks for, and sends the form by one of its buttons. */
function send([form, at, text, fields, buttons]) {
  const it = document.forms[form];
  it.noValidate = true;
  for (const field of it.querySelectorAll(fields)) {
    field.removeAttribute("maxlength");
    if (field.type === "number") field.type = "text";
    field.value = text;
  }
  for (const choice of it.querySelectorAll("select")) choice.selectedIndex = choice.options.length - 1;
  for (const tick of it.querySelectorAll("input[type=checkbox]")) tick.checked = true;
  it.requestSubmit([...it.querySelectorAll(buttons)][at] ?? null);
}

/** The forms of a page, each once for every button that sends it. */
const formsOf = (page) =>
  page.evaluate((query) => {
    const found = [];
    for (const form of document.forms) {
      const buttons = [...form.querySelectorAll(query)];
      for (const button of buttons.length > 0 ? buttons : [undefined]) {
        const action = button?.getAttribute("formaction") ?? form.getAttribute("action") ?? "";
        const where = { nth: [...document.forms].indexOf(form), at: buttons.indexOf(button) };
        found.push({ ...where, action: new URL(action, location.href).pathname, words: button?.textContent.trim() ?? "" });
      }
    }
    return found;
  }, BUTTONS);

export const tests = {
  async "what is stored is shown as text"(t) {
    const merchant = await t.world.merchant(undefined, TEXT.slice(0, 100));
    await merchant.fill({ people: 50, asked: 20 });
    const short = TEXT.slice(0, 80);
    // By the API, which takes more than forms do.
    const rule = { time_zone: "UTC", score: { source: "klout" }, tiers: [{ id: "main", rank: 1, name: short, when: { attr: "score", op: "gte", value: 40 } }] };
    await merchant.api("POST", "/v1/perks", { perk: "hostile", name: TEXT.slice(0, 120), rule, publish: true, change_note: TEXT });
    await merchant.api("POST", "/v1/perks/hostile/versions", { rule: { ...rule, tiers: [{ ...rule.tiers[0], name: `${short.slice(0, 70)}2` }] }, change_note: TEXT });
    const made = await merchant.api("POST", "/v1/keys", { role: "kiosk", label: short, location: short, kiosk: short });
    await t.gateway.api(made.key, "POST", "/v1/checks", { perk: "hostile", subject: "twitter:p1" });
    const page = await t.page(await merchant.person("admin"));
    const ids = { ...merchant.ids, perk: "hostile", version: "2", key: made.id };
    let shown = 0;
    for (const { addresses, who } of PAGES.filter(({ who }) => who !== "nobody" && who !== "operator")) {
      for (const address of addresses) {
        await page.goto(addressOf(address, ids));
        assert.equal(await planted(page), 0, `${address} for ${who}`);
        shown += Number((await page.locator("body").innerText()).includes("<b data-planted>"));
        assert.ok(!(await page.title()).includes("&lt;"), `${address} escapes twice`);
        assert.ok(!(await page.locator("body").innerText()).includes("&lt;b"), `${address} escapes twice`);
      }
    }
    assert.ok(shown >= 10, `it was looked for where it is shown: on ${shown} pages`);
    for (const by of ["perk", "location", "kiosk"]) {
      await page.goto(`/console/reports/grants?by=${by}`);
      assert.equal(await planted(page), 0, by);
      assert.match(await page.locator("main").innerText(), /planted/, by);
    }
  },

  async "what is sent back is shown as text"(t) {
    const merchant = await t.world.merchant();
    await merchant.fill({ people: 50, asked: 20 });
    // A rule that was typed and refused is not left without a question.
    const open = async () => t.page(await merchant.person("admin"), { mayAsk: true });
    let page = await open();
    const done = new Set();
    for (const { address: template } of PAGES.filter(({ who }) => who !== "operator" && who !== "nobody")) {
      const address = addressOf(template, merchant.ids);
      await page.goto(address);
      for (const { action, words } of await formsOf(page)) {
        const name = `${action} by “${words}”`;
        if (done.has(name)) continue;
        done.add(name);
        await page.goto(address);
        // What was sent before may have taken it away.
        const form = (await formsOf(page)).find((it) => it.action === action && it.words === words);
        if (!form) continue;
        const { nth, at } = form;
        const [answer] = await Promise.all([page.waitForNavigation(), page.evaluate(send, [nth, at, TEXT, FIELDS, BUTTONS])]);
        assert.ok(answer.status() < 500 && answer.status() !== 404 && answer.status() !== 405, `${name}: ${answer.status()}`);
        assert.match(answer.headers()["content-type"], /^text\/html/, name);
        assert.equal(await planted(page), 0, name);
        if (page.url().includes("/login")) {
          // The form has ended the session.
          page = await open();
        }
      }
    }
    t.say(`${done.size} forms and buttons`);
  },

  async "what stands in an address is shown as text"(t) {
    const page = await t.page(t.world.people.admin);
    const text = encodeURIComponent(TEXT);
    const { perk } = t.world.cathay.ids;
    for (const [path, isShown] of [
      [`/console/perks?q=${text}`, true],
      [`/console/perks?cursor=${text}`],
      [`/console/new-perk?template=${text}`],
      [`/console/perks/${text}`],
      [`/console/perks/${perk}/picture?at=main:${text}`, true],
      [`/console/perks/${perk}/rule?version=${text}`],
      [`/console/reports/grants?from=${text}&to=${text}&perk=${text}&by=${text}`, true],
      [`/console/reports/${text}`],
      [`/console/${text}`],
      [`/console/links/${text}`],
      [`/console/perks?${text}=1`],
    ]) {
      await page.goto(path);
      assert.equal(await planted(page), 0, path);
      const whole = await page.evaluate(() => [document.body.innerText, ...[...document.querySelectorAll("input")].map((it) => it.value)].join(" "));
      if (isShown) assert.ok(whole.includes("<b data-planted>"), path);
    }
    const plain = await t.page(undefined);
    await plain.goto(`/console/login?return=${text}`);
    await plain.fill("#a", TEXT.slice(0, 120));
    await plain.fill("#p", TEXT);
    await Promise.all([plain.waitForNavigation(), plain.keyboard.press("Enter")]);
    assert.equal(await planted(plain), 0);
    assert.equal(await plain.inputValue("#a"), TEXT.slice(0, 120));
  },
};

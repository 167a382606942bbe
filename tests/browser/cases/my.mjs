// The page of a person, as it is without scripts: each of its states in six languages, by day, by night and in a narrow
// window, and a contest and the requests as a person sends them.

import assert from "node:assert/strict";

import { lounge } from "../support/kiosk.mjs";
import { AXE } from "../support/modules.mjs";
import { button, go } from "../support/visitor.mjs";

const LANGUAGES = { en: "en-GB", "zh-Hant": "zh-HK", "zh-Hans": "zh-CN", es: "es-MX", ja: "ja-JP", ar: "ar-EG" };

/** A lounge with a key that asks for people. */
async function askers(t, more) {
  const merchant = await lounge(t, more);
  const { key } = await t.gateway.command("key", "create", "--merchant", merchant.slug, "--role", "kiosk", "--label", "A12", "--location", "SFO-A", "--kiosk", "A12");
  const ask = (subject) => t.gateway.api(key, "POST", "/v1/checks", { perk: merchant.perk, subject: `twitter:${subject}` });
  return { merchant, ask };
}

/** Waits until the page says this first. */
const says = (page, words) => page.getByRole("heading", { level: 1, name: words }).waitFor();

const pathOf = ({ link }) => new URL(link).pathname;

const MODES = [["day", "light", 320], ["night", "dark", 390], ["wide", "light", 1280]];

async function axeFindsNothing(page, name, modes = MODES) {
  for (const [mode, colorScheme, width] of modes) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 844 });
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
    assert.deepEqual(violations.map(({ id, nodes }) => `${name} by ${mode}: ${id} ${nodes[0].html.slice(0, 160)}`), []);
    const { over, small } = await page.evaluate(() => {
      const pressed = [...document.querySelectorAll("nav a, button, textarea")].filter((it) => it.checkVisibility());
      const small = pressed.filter((it) => it.getBoundingClientRect().height < 48).map((it) => it.outerHTML.slice(0, 90));
      return { over: document.scrollingElement.scrollWidth - document.documentElement.clientWidth, small };
    });
    assert.deepEqual([over, small], [0, []], `${name} by ${mode}: nothing is wider than its window, or too small to press`);
  }
}

export const tests = {
  async "every page is right in every language"(t) {
    const { ask } = await askers(t);
    const [refused, granted, far] = [await ask("short"), await ask("ada"), await ask("poor")].map(pathOf);
    const early = pathOf(await ask("ada"));
    for (const [tag, locale] of Object.entries(LANGUAGES)) {
      const page = await t.page(undefined, { locale });
      for (const path of [refused, granted, far, early, `${refused}/record`, `${refused}/erasure`]) {
        await page.goto(path);
        assert.equal(await page.getAttribute("html", "lang"), tag);
        assert.doesNotMatch(await page.locator("body").innerText(), /\bmy\.|\bkiosk\.|\breason\.|\bdate\.|[{}]/, `${tag} ${path}`);
        // What differs by language alone is its width and its direction.
        await axeFindsNothing(page, `${tag} ${path.replace(/chk_\w+\.\w+/, "…")}`, tag === "en" || tag === "ar" ? MODES : MODES.slice(0, 1));
      }
      await page.context().close();
    }
  },

  async "a person contests, asks for their record and to be erased"(t) {
    const { merchant, ask } = await askers(t);
    const path = pathOf(await ask("short"));
    const page = await t.page(undefined, { javaScriptEnabled: false });
    await page.goto(path);
    await says(page, "Why you were not let in");
    const size = (await page.content()).length;
    assert.ok(size < 12_000, `${size}`);
    await page.fill("#reason", "My score was 44 this morning.");
    await go(page, button(page, "Ask a person to look again"));
    await page.getByText("Nobody has decided yet").waitFor();
    assert.equal(new URL(page.url()).pathname, path);
    const { contests } = await merchant.api("GET", "/v1/contests");
    assert.equal(contests.length, 1);
    await page.getByRole("link", { name: "My record" }).click();
    await go(page, button(page, "Ask for my record"));
    await page.getByText("Cathay Pacific has not decided yet.").waitFor();
    await page.getByRole("link", { name: "Erase me" }).click();
    await go(page, button(page, "Ask to be erased"));
    await page.getByText("at the earliest").waitFor();
    await page.getByRole("link", { name: "العربية" }).click();
    assert.equal(await page.getAttribute("html", "dir"), "rtl");
    await page.getByRole("link", { name: "لماذا" }).click();
    assert.equal(await page.getAttribute("html", "dir"), "rtl", "the language that was chosen goes on");
    await page.goto("/my/over");
    await says(page, "This page is over");
    await axeFindsNothing(await t.page().then(async (seen) => (await seen.goto("/my/over"), seen)), "over");
  },
};

// Pictures of every page and every state, by day, by night and on a phone, for people to look at:
// `node tests/browser/screenshots.mjs target/debug/perkgate OUT [--only WORDS]`. With `--readme` it takes the three of the
// README, whose OUT is `src/console/pictures`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { everything } from "./pages.mjs";
import { launch } from "./support/chromium.mjs";
import { visit } from "./support/visitor.mjs";
import { World } from "./support/world.mjs";

const MODES = [
  { mode: "day", options: { colorScheme: "light" } },
  { mode: "night", options: { colorScheme: "dark" } },
  { mode: "phone", options: { colorScheme: "light", viewport: { width: 390, height: 844 } } },
];

/** The README's, each as much of a page as a window of this size shows. */
const README = { picture: "the picture, moved", version: "/console/perks/{perk}/versions/{version}", report: "/console/reports/fairness" };
const WINDOW = { width: 1100, height: 720 };

const words = process.argv.slice(2);
const forReadme = words.includes("--readme");
if (forReadme) words.splice(words.indexOf("--readme"), 1);
const at = words.indexOf("--only");
const only = at < 0 ? "" : (words.splice(at, 2)[1] ?? "");
const [binary, out] = words;
if (!binary || !out || words.length > 2) {
  console.error("usage: node tests/browser/screenshots.mjs BINARY OUT [--only WORDS | --readme]");
  process.exit(2);
}

mkdirSync(out, { recursive: true });
const world = await World.build(binary);
const { browser } = await launch();
try {
  for (const [file, wanted] of Object.entries(forReadme ? README : {})) {
    const { who, open } = everything(world).find(({ name }) => name === wanted);
    const { context } = await visit(browser, world.gateway, world.people[who], { colorScheme: "light", viewport: WINDOW });
    const page = await context.newPage();
    await open(page);
    await page.screenshot({ path: join(out, `${file}.png`) });
  }
  for (const { mode, options } of forReadme ? [] : MODES) {
    const pages = new Map();
    for (const { name, who, open } of everything(world).filter(({ name }) => name.includes(only))) {
      if (!pages.has(who)) pages.set(who, await (await visit(browser, world.gateway, world.people[who], options)).context.newPage());
      const page = pages.get(who);
      await open(page);
      const file = name.replace(/[^a-z0-9]+/gi, "-").replace(/^-console-|^-|-$/g, "");
      await page.screenshot({ path: join(out, `${file}.${mode}.png`), fullPage: true });
    }
    console.log(`${mode}: done`);
  }
} finally {
  await browser.close();
  await world.stop();
}

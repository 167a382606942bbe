// The console in a browser: `node tests/browser/run.mjs target/debug/perkgate [--only WORDS]`.
//
// Each file of `cases/` exports `tests`, by name; one that measures exports `alone` too. `pages.mjs` names every page:
// what holds for all of them is held for a new one by its line there. What a run writes is under `target/browser/`.
//
// There are no pictures to compare with: another machine has other fonts, and a tolerance that forgives those forgives
// what a person sees at once. What such pictures would catch is held as rules instead: nothing wider than its window,
// nothing over another, nothing that moves while it loads. `screenshots.mjs` takes the pictures for people to look at.

import { readdirSync } from "node:fs";
import { join } from "node:path";

import { launch } from "./support/chromium.mjs";
import { HERE } from "./support/modules.mjs";
import { runAll } from "./support/runner.mjs";
import { World } from "./support/world.mjs";

const words = process.argv.slice(2);
const at = words.indexOf("--only");
const only = at < 0 ? "" : (words.splice(at, 2)[1] ?? "");
const [binary] = words;
if (!binary || words.length > 1) {
  console.error("usage: node tests/browser/run.mjs BINARY [--only WORDS]");
  process.exit(2);
}

const tests = [];
for (const name of readdirSync(join(HERE, "cases")).sort()) {
  const { tests: own, alone } = await import(`./cases/${name}`);
  const file = name.replace(/\.mjs$/, "");
  for (const [title, run] of Object.entries(own)) tests.push({ file, name: title, run, alone });
}
const chosen = tests.filter(({ file, name }) => `${file}: ${name}`.includes(only));
if (chosen.length === 0) {
  console.error(`no test has “${only}” in its name`);
  process.exit(2);
}

const began = Date.now();
const world = await World.build(binary);
let held = false;
try {
  const { browser, version } = await launch();
  console.log(`${chosen.length} tests with ${version}, Node ${process.versions.node}`);
  held = await runAll(world, browser, chosen);
  await browser.close();
} finally {
  await world.stop();
}
console.log(`${held ? "all of it held" : "NOT all of it held"}, after ${Math.round((Date.now() - began) / 1000)} s`);
process.exit(held ? 0 : 1);

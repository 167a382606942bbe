// Runs tests, some at a time, and tells what failed with a picture of every page that was open.

import { mkdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join, relative } from "node:path";

import { REPOSITORY, TARGET } from "./modules.mjs";
import { visit } from "./visitor.mjs";

const FAILURES = join(TARGET, "failures");
/** One that takes longer has gone wrong. */
const PATIENCE = 400_000;

/** What a test is given. */
class Stage {
  constructor(world, browser) {
    Object.assign(this, { world, browser, gateway: world.gateway, opened: [], notes: [] });
  }

  /** A page of a new window of someone's, which is watched until the test ends. */
  async page(person, options) {
    const visited = await visit(this.browser, this.gateway, person, options);
    this.opened.push(visited);
    return visited.context.newPage();
  }

  /** Prints a line under the test's own. */
  say(line) {
    this.notes.push(line);
  }
}

async function perform(world, browser, { file, name, run }) {
  const stage = new Stage(world, browser);
  const began = Date.now();
  let failure;
  try {
    let timer;
    const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error(`not done after ${PATIENCE / 1000} s`)), PATIENCE)));
    await Promise.race([run(stage), late]).finally(() => clearTimeout(timer));
    const faults = stage.opened.flatMap((it) => it.wrong());
    if (faults.length > 0) throw new Error(`what must not happen in a browser did:\n${[...new Set(faults)].join("\n")}`);
  } catch (error) {
    failure = error;
    const pages = stage.opened.flatMap((it) => it.context.pages());
    for (const [nth, page] of pages.entries()) {
      const path = join(FAILURES, `${file}-${name}-${nth}.png`.replace(/[^a-z0-9.-]+/gi, "-"));
      const taken = await page.screenshot({ path, fullPage: true, timeout: 5_000 }).catch(() => undefined);
      if (taken) stage.say(`${page.url()}: ${relative(REPOSITORY, path)}`);
    }
  }
  await Promise.all(stage.opened.map((it) => it.context.close().catch(() => {})));
  const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(5);
  console.log(`${failure ? "FAIL" : "ok  "} ${seconds} s  ${file}: ${name}`);
  for (const line of stage.notes) console.log(`            ${line.replaceAll("\n", "\n            ")}`);
  if (failure) console.log(`            ${String(failure.stack ?? failure).replaceAll("\n", "\n            ")}`);
  return !failure;
}

/** Tests at a time: one more than processors, since they mostly wait, for a page or for a network that is idle. */
const AT_ONCE = Math.min(3, cpus().length + 1);

/** True when all of them held. Those that measure run by themselves, at the end. */
export async function runAll(world, browser, tests) {
  rmSync(FAILURES, { recursive: true, force: true });
  mkdirSync(FAILURES, { recursive: true });
  const queue = tests.filter((test) => !test.alone);
  let held = true;
  const work = async (from) => {
    for (let test = from.shift(); test; test = from.shift()) held = (await perform(world, browser, test)) && held;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(queue)));
  await work(tests.filter((test) => test.alone));
  return held;
}

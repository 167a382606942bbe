// What a first view costs a connection, by the bytes that crossed it.

import assert from "node:assert/strict";

import { everything } from "../pages.mjs";

const MOST = 100_000;
/** Pages of lists of which one reads many: less than others may. */
const MOST_OF_LISTS = 60_000;
const MOST_SCRIPTS = 40_000;
const COLUMNS = ["Document", "Stylesheet", "Script", "other", "whole"];

/** Opens a page in a window that holds nothing yet. */
async function weigh(t, { who, open }, scripts) {
  const page = await t.page(t.world.people[who]);
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const kinds = new Map();
  const sizes = { Document: 0, Stylesheet: 0, Script: 0, other: 0, whole: 0 };
  session.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const kind = kinds.get(requestId);
    sizes[kind in sizes ? kind : "other"] += encodedDataLength;
    sizes.whole += encodedDataLength;
  });
  const bodies = [];
  page.on("response", (response) => {
    if (response.request().resourceType() === "script") bodies.push([response.url().split("/").pop(), response.body()]);
  });
  await open(page);
  // A page that is live never stops listening.
  await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => {});
  for (const [name, body] of bodies) scripts.set(name, (await body).length);
  await page.context().close();
  return sizes;
}

export const tests = {
  async "a first view is at most 100 kB, and all scripts together 40 kB"(t) {
    const scripts = new Map();
    const rows = [];
    for (const it of everything(t.world).filter(({ name }) => name.startsWith("/"))) rows.push([it.name, await weigh(t, it, scripts)]);
    const wide = Math.max(...rows.map(([name]) => name.length));
    const line = (name, cells) => t.say(`${name.padEnd(wide)} ${cells.map((it) => String(it).padStart(10)).join(" ")}`);
    line("bytes", COLUMNS);
    for (const [name, sizes] of rows) line(name, COLUMNS.map((it) => sizes[it]));
    t.say(`scripts, unpacked: ${[...scripts].map(([name, size]) => `${name} ${size}`).join(", ")}`);
    const whole = [...scripts.values()].reduce((sum, size) => sum + size, 0);
    assert.ok(scripts.size > 0 && whole <= MOST_SCRIPTS, `${whole} bytes of scripts`);
    for (const [name, { whole }] of rows) assert.ok(whole <= (name.startsWith("/console/log") ? MOST_OF_LISTS : MOST), `${name}: ${whole} bytes`);
  },
};

// The camera of a browser that reads no codes by itself, as Chromium on Linux: the gateway reads its pictures. And the other
// way about: the code that a kiosk shows is read by another program.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { boardingPass, before } from "../support/camera.mjs";
import { door, loungeWithDoors, shows, tokenOf } from "../support/door.mjs";
import { kiosk, lounge, says, scan } from "../support/kiosk.mjs";
import { TARGET } from "../support/modules.mjs";
import { button } from "../support/visitor.mjs";

const SEES = { permissions: ["camera"], watched: false };

/** The kiosk's page before a code: what it read, and what it sent for that. */
async function reads(t, merchant, [bcid, text]) {
  return before(t, bcid, text, async (stage) => {
    const { page } = await kiosk(stage, merchant, SEES);
    const [first, frames] = [Date.now(), []];
    page.on("request", (request) => request.url().includes("/screens/frames") && frames.push({ at: Date.now() - first, bytes: request.postDataBuffer()?.length }));
    const asked = await page.waitForRequest((request) => request.url().endsWith("/kiosk/checks"), { timeout: 20_000 });
    await page.locator("body.yes, body.kind, body.idle, body.busy").waitFor();
    return { read: asked.postDataJSON().read, frames };
  });
}

export const tests = {
  async "a member card and boarding passes before a kiosk's camera are read by the gateway"(t) {
    const merchant = await lounge(t);
    const pass = boardingPass();
    for (const code of [["qrcode", "twitter:ada"], ["azteccode", pass], ["pdf417", pass]]) {
      const { read, frames } = await reads(t, merchant, code);
      assert.equal(read, code[1], code[0]);
      assert.ok(frames.every(({ bytes }) => bytes === undefined || bytes === 1280 * 720), JSON.stringify(frames));
    }
  },

  async "a token before a door's camera opens it once"(t) {
    const merchant = await loungeWithDoors(t);
    const token = await tokenOf(t, merchant);
    await before(t, "qrcode", token, async (stage) => {
      const { page } = await door(stage, merchant, { permissions: ["camera"] });
      await page.getByRole("heading", { level: 1, name: "Let in 1" }).waitFor({ timeout: 20_000 });
      // It is held there on and on, and stays one entry.
      await says(page, "Scan a token");
      const { events } = await merchant.api("GET", "/v1/audit/events?kind=token.redeemed");
      assert.equal(events.length, 1);
    });
  },

  async "where there is no camera none is offered"(t) {
    const { page } = await kiosk(t, await lounge(t));
    await says(page, "Scan your boarding pass");
    assert.equal(await button(page, "Use the camera").count(), 0);
  },

  async "the code on a kiosk's screen is read by another program, and opens the door"(t) {
    const merchant = await loungeWithDoors(t);
    const { page } = await kiosk(t, merchant);
    await scan(page, "twitter:rich");
    await says(page, "Welcome.");
    const path = join(TARGET, `shown-${process.pid}.png`);
    await page.screenshot({ path });
    let token;
    try {
      token = execFileSync("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", path], { encoding: "utf8" }).trim();
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
      return t.say("not read back: no zbarimg here (Debian's package zbar-tools)");
    }
    const opened = await door(t, merchant);
    return shows(opened.page, token, "Let in 1");
  },
};

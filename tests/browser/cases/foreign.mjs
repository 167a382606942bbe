// What belongs to another merchant is answered as what does not exist.

import assert from "node:assert/strict";

import { NO_PAGES, PAGES, addressOf } from "../pages.mjs";

export const tests = {
  async "foreign and unknown ids are the same page"(t) {
    const { cathay, people } = t.world;
    const unknown = { perk: "no-such-perk", version: "9", retired: "9" };
    for (const [name, known] of Object.entries(cathay.ids)) unknown[name] ??= known.replace(/_.*/, "_00000000000070008000000000000001");
    // An operator sees every merchant; reports and links have no ids of a merchant's.
    const pages = PAGES.filter(({ who }) => who !== "operator").map(({ address }) => address);
    const routes = [...pages, ...NO_PAGES.map((route) => `/console${route}`)].filter((route) => {
      const ids = [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      return ids.length > 0 && !ids.some((name) => ["report", "token", "hash"].includes(name));
    });
    assert.ok(routes.length > 5);
    const read = async (route, ids) => {
      const path = addressOf(route, { ...cathay.ids, ...ids });
      const { status, text, headers } = await people.stranger.open(path);
      return { status, text: text.replaceAll(headers["x-request-id"], "request").replace(/<b>\d\d:\d\d<\/b>/g, "") };
    };
    const nothing = await read("/console/perks/{perk}", unknown);
    assert.equal(nothing.status, 404);
    for (const route of routes) {
      const ids = Object.fromEntries(Object.entries(unknown).filter(([name]) => route.includes(`{${name}}`)));
      assert.deepEqual(await read(route, {}), nothing, `${route}: another merchant's`);
      assert.deepEqual(await read(route, ids), nothing, `${route}: nobody's`);
      const own = await people.admin.open(addressOf(route, cathay.ids));
      assert.equal(own.status, 200, `${route}: its own`);
    }
    t.say(`${routes.length} routes with ids`);
  },
};

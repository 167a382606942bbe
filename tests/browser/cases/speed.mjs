// How long a page takes beside a JSON answer of the same data, in the same run: measured alone.

import assert from "node:assert/strict";

export const alone = true;

const TIMES = 60;
/** Twice is what is wanted of a build for use. This one is not optimised, and its neighbours are loud. */
const MOST = 4;

const p95 = (times) => times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)];

export const tests = {
  async "a page takes about as long as its JSON"(t) {
    const { cathay, people } = t.world;
    const { perk } = cathay.ids;
    const authorization = `Bearer ${cathay.key}`;
    const api = (path, body) => () => t.gateway.ask(body ? "POST" : "GET", path, { headers: { authorization, "content-type": "application/json" }, body: body && JSON.stringify(body) });
    const page = (path) => () => people.admin.open(path);
    const slow = [];
    for (const [name, one, other] of [
      ["keys", page("/console/keys"), api("/v1/keys")],
      ["a report", page("/console/reports/grants?by=perk"), api("/v1/reports/grants?group_by=perk")],
      ["fairness", page("/console/reports/fairness"), api("/v1/reports/fairness")],
      ["the picture", page(`/console/perks/${perk}/picture`), page(`/console/perks/${perk}/picture.json`)],
      ["a version", page(`/console/perks/${perk}/versions/3`), api(`/v1/perks/${perk}/versions/3`)],
    ]) {
      const times = { page: [], json: [] };
      for (let nth = 0; nth < TIMES; nth += 1) {
        for (const [kind, ask] of [["page", one], ["json", other]]) {
          const began = process.hrtime.bigint();
          const { status } = await ask();
          if (nth >= 5) times[kind].push(Number(process.hrtime.bigint() - began) / 1e6);
          assert.equal(status, 200, `${name}, ${kind}`);
        }
      }
      const [own, json] = [p95(times.page), p95(times.json)];
      t.say(`${name.padEnd(12)} p95 ${own.toFixed(1).padStart(6)} ms, JSON ${json.toFixed(1).padStart(6)} ms: ${(own / json).toFixed(2)} times`);
      // Under some milliseconds the ratio is of noise.
      if (own / json > MOST && own > 25) slow.push(`${name}: ${own} ms, JSON ${json} ms`);
    }
    assert.deepEqual(slow, []);
  },
};

// Merchants with what their pages show, and the people who look at them.

import { createHash } from "node:crypto";

import { Gateway } from "./gateway.mjs";

export const PASSWORD = "a horse of another colour";
const COOKIE = "perkgate-session";

/** A minute ago, as scores have it. */
export const justNow = () => `${new Date(Date.now() - 60_000).toISOString().slice(0, 19)}Z`;

/** Numbers that are the same in every run. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const rule = (main, first, audience, names = ["Main lounge", "First lounge"]) => ({
  time_zone: "America/Los_Angeles",
  score: { source: "klout", max_age: "P30D" },
  schedule: { open: [{ days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from: "00:00", to: "24:00" }] },
  tiers: [
    { id: "first", rank: 2, name: names[1], when: { attr: "score", op: "gte", value: first } },
    { id: "main", rank: 1, name: names[0], when: { attr: "score", op: "gte", value: main } },
  ],
  limits: [
    { id: "person-day", scope: ["subject"], max: 1, window: { calendar: "day" } },
    { id: "house-day", scope: ["perk"], max: 40, cost: "party", window: { calendar: "day" } },
  ],
  token: { audience, ttl: "PT30M" },
});

/** A screen that is paired. */
export class Screen {
  constructor(gateway, secret) {
    Object.assign(this, { gateway, secret, cookie: `perkgate-device=${secret}` });
  }

  /** The secret, as a browser's context takes it. */
  cookies() {
    return [{ name: "perkgate-device", value: this.secret, url: this.gateway.url, httpOnly: true, sameSite: "Strict" }];
  }
}

/** Someone with an account, logged in. */
export class Person {
  constructor(gateway, name, role, cookie) {
    Object.assign(this, { gateway, name, role, cookie });
  }

  /** The session, as a browser's context takes it. */
  cookies() {
    return this.cookie ? [{ name: COOKIE, value: this.cookie.split("=")[1], url: this.gateway.url, httpOnly: true, sameSite: "Lax" }] : [];
  }

  open(path) {
    return this.gateway.ask("GET", path, { cookie: this.cookie });
  }

  /** The token of this session's forms. */
  async formToken() {
    return /name="form_token" value="([^"]+)"/.exec((await this.open("/console/account")).text)[1];
  }
}

export function cookieOf(reply) {
  const given = (reply.headers["set-cookie"] ?? []).find((line) => line.startsWith(`${COOKIE}=`));
  return given?.split(";")[0];
}

/** A merchant: its keys, and the ids that stand in the addresses of its pages. */
export class Merchant {
  constructor(gateway, slug, key) {
    Object.assign(this, { gateway, slug, key, people: 0, ids: { report: "grants", slug } });
  }

  api(method, path, value) {
    return this.gateway.api(this.key, method, path, value);
  }

  /** A new account, which has set its password and is logged in. */
  async person(role) {
    const name = `${role}${(this.people += 1)}@${this.slug}.example`;
    const whose = role === "operator" ? [] : ["--merchant", this.slug];
    const { link } = await this.gateway.command("account", "create", name, "--role", role, ...whose);
    const form = { password: PASSWORD, again: PASSWORD };
    const reply = await this.gateway.send(new URL(link).pathname, form);
    if (reply.status !== 303) throw new Error(`the link of ${name}: ${reply.status} ${reply.text}`);
    return new Person(this.gateway, name, role, cookieOf(reply));
  }

  /** A new desk of the merchant's perk. */
  async desk() {
    const { device, code } = await this.api("POST", "/v1/devices", { role: "desk", label: "SFO desk", location: "SFO-A", perk: this.ids.perk });
    const secret = createHash("sha256").update(device).digest("base64url");
    const headers = { "content-type": "application/json", "sec-fetch-site": "same-origin" };
    const { text } = await this.gateway.ask("POST", "/pair", { headers, body: JSON.stringify({ code, device_secret: secret }) });
    await this.api("POST", `/v1/devices/${device}/confirm`, { words: JSON.parse(text).words });
    return new Screen(this.gateway, secret);
  }

  /** An address of a link that sets a password. */
  async invitation(role) {
    const name = `${role}${(this.people += 1)}@${this.slug}.example`;
    const { link } = await this.gateway.command("account", "create", name, "--role", role, "--merchant", this.slug);
    return { name, path: new URL(link).pathname };
  }

  /** A perk with people who have a score for it, of whom some have asked. */
  async fill({ people = 2_000, asked = 60 } = {}) {
    const perk = `${this.slug}-lounge`;
    await this.api("POST", "/v1/perks", { perk, name: "Two lounges", rule: rule(40, 60, perk), publish: true, change_note: "As it was announced." });
    await this.api("POST", `/v1/perks/${perk}/versions`, { rule: rule(42, 60, perk), publish: true, change_note: "Too many came." });
    await this.api("POST", `/v1/perks/${perk}/versions`, { rule: rule(45, 65, perk), change_note: "For the summer." });
    const next = numbers(7);
    const at = justNow();
    const score = () => Math.min(100, Math.max(1, 42 + 14 * (next() + next() + next() + next() - 2) * 1.7)).toFixed(2);
    const line = (_, nth) => JSON.stringify({ subject: `twitter:p${nth}`, value: Number(score()), observed_at: at });
    await this.api("POST", "/v1/scores/klout/import", `${Array.from({ length: people }, line).join("\n")}\n`);
    const { key, id } = await this.gateway.command("key", "create", "--merchant", this.slug, "--role", "kiosk", "--label", "A12", "--location", "SFO-A");
    let check;
    for (let nth = 0; nth < asked; nth += 20) {
      const checks = Array.from({ length: Math.min(20, asked - nth) }, (_, more) => ({ perk, subject: `twitter:p${nth + more}` }));
      const { results } = await this.gateway.api(key, "POST", "/v1/checks/batch", { checks });
      check ??= results[0].check;
    }
    const account = await this.gateway.command("account", "create", `invited@${this.slug}.example`, "--role", "auditor", "--merchant", this.slug);
    const admin = await this.gateway.command("key", "create", "--merchant", this.slug, "--role", "admin", "--label", "Head office");
    const { clerk } = await this.api("POST", "/v1/desk/clerks", { name: "Grace", pin: "482915" });
    const { device } = await this.api("POST", "/v1/devices", { role: "kiosk", label: "SFO A14", location: "SFO-A", perk });
    Object.assign(this.ids, { device, perk, version: "3", retired: "1", key: id, check, account: account.key, clerk, adminKey: admin.id, step: "end" });
    return this;
  }
}

export class World {
  static async build(binary) {
    const world = new World();
    world.gateway = await Gateway.start(binary);
    try {
      await world.fill();
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  async fill() {
    const { gateway } = this;
    this.made = 0;
    this.cathay = new Merchant(gateway, "cathay", gateway.keys.admin);
    this.american = new Merchant(gateway, "american");
    await this.cathay.fill();
    this.newcomer = await this.merchant();
    // Who only looks shares a session: one for each role.
    this.people = {
      admin: await this.cathay.person("admin"),
      auditor: await this.cathay.person("auditor"),
      operator: await this.cathay.person("operator"),
      stranger: await this.american.person("admin"),
      newcomer: await this.newcomer.person("admin"),
      desk: await this.cathay.desk(),
      nobody: new Person(gateway, undefined, undefined, undefined),
    };
    const { path } = await this.cathay.invitation("auditor");
    this.cathay.ids.token = path.split("/").pop();
  }

  /** A merchant that nobody else looks at. */
  async merchant(slug = `m${(this.made += 1)}`, name = `Merchant ${slug}`) {
    await this.gateway.command("merchant", "create", slug, "--name", name);
    const { key } = await this.gateway.command("key", "create", "--merchant", slug, "--role", "admin", "--label", "set-up");
    return new Merchant(this.gateway, slug, key);
  }

  stop() {
    return this.gateway.stop();
  }
}

// What an integrator writes with a generated client: a rule, scores, checks and a redemption. Each line that is
// printed is held to what the test expects.
import createClient from "openapi-fetch";
import type { components, paths } from "./perkgate.js";

type Schemas = components["schemas"];

declare const process: { env: Record<string, string | undefined>; exitCode?: number };

const env = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const client = (key: string) =>
  createClient<paths>({ baseUrl: env("GATEWAY"), headers: { Authorization: `Bearer ${env(key)}` } });
const [admin, feeder, kiosk, door] = [client("ADMIN"), client("FEEDER"), client("KIOSK"), client("DOOR")];
const say = (step: string, said: unknown): void => console.log(`${step}: ${JSON.stringify(said)}`);

/** The answer, or an error with the problem's code. */
function answered<T>(step: string, answer: { data?: T; error?: Schemas["Problem"] }): T {
  if (answer.data === undefined) throw new Error(`${step}: ${answer.error?.code}: ${answer.error?.detail}`);
  return answer.data;
}

const rule: Schemas["Rule"] = {
  time_zone: "America/Los_Angeles",
  score: { source: "klout", max_age: "P7D", on_missing: "refer" },
  schedule: { open: [{ days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from: "06:00", to: "23:00" }] },
  when: { any: [{ attr: "context.terminal", op: "in", values: ["A", "G"] }, { not: { attr: "context.terminal", op: "exists" } }] },
  tiers: [
    { id: "first", rank: 2, name: "First lounge", when: { attr: "score", op: "gte", value: 60 } },
    { id: "standard", rank: 1, name: "Main lounge", when: { attr: "score", op: "gte", value: 40 } },
  ],
  limits: [{ id: "house-day", scope: ["perk"], max: 200, cost: "party", window: { calendar: "day" } }],
  token: { audience: "sfo-lounge", ttl: "PT30M", single_use: true },
};
// @ts-expect-error: what is no member of a rule does not compile
({ at_leats: 40, score: "klout" }) satisfies Schemas["Rule"];
// @ts-expect-error: nor does an operator that isn't there
({ attr: "score", op: "is", value: 40 }) satisfies Schemas["Condition"];
// @ts-expect-error: nor an object in a visit
({ terminal: { name: "A" } }) satisfies Schemas["Context"];

const PERK = "typescript-lounge";
const made = answered("rule", await admin.POST("/v1/perks", {
  body: { perk: PERK, name: "San Francisco lounge", purpose: "lounge", rule, publish: true },
}));
const version = answered("version", await admin.GET("/v1/perks/{perk}/versions/{version}", {
  params: { path: { perk: PERK, version: made.version } },
}));
const at_least = version.rule.tiers?.map((tier) => tier.when?.value);
say("rule", { status: made.status, version: made.version, at_least, created_by: version.created_by.startsWith("key_") });

const rows = "subject,value,observed_at\nts:ada,47.25,2012-05-08T18:00:00Z\nts:bob,37,2012-05-08T18:00:00Z\nts:eve,470,2012-05-08T18:00:00Z\n";
const imported = answered("import", await feeder.POST("/v1/scores/{source}/import", {
  params: { path: { source: "klout" } },
  body: rows,
  headers: { "Content-Type": "text/csv" },
  bodySerializer: (text: string) => text,
}));
say("import", { accepted: imported.accepted, rejected: imported.rejected, codes: imported.errors.map((error) => error.code) });

/** A sentence for each decision: one that is not handled does not compile. */
function sentence(check: Schemas["CheckView"]): string {
  switch (check.decision) {
    case "granted":
      return `welcome to ${check.tier}`;
    case "denied":
      return check.reasons.map((reason) => `${reason.code}, short by ${reason.short_by}`).join("; ");
    case "referred":
      return "please wait";
    default:
      return check.decision satisfies never;
  }
}
const ask = { perk: PERK, subject: "ts:ada", context: { terminal: "A", party: 2, vip: true } } satisfies Schemas["CheckBody"];
const check = () => kiosk.POST("/v1/checks", { body: ask, params: { header: { "Idempotency-Key": "typescript-1" } } });
const checked = answered("check", await check());
const again = answered("check", await check());
say("check", { said: sentence(checked), remaining: checked.limits.map((limit) => limit.remaining), same: again.token === checked.token });

const batch = answered("batch", await kiosk.POST("/v1/checks/batch", {
  body: { checks: [{ perk: PERK, subject: "ts:bob" }, { perk: PERK, subject: "ts:eve" }, { perk: "nowhere", subject: "ts:bob" }] },
}));
say("batch", batch.results.map((result) => "problem" in result ? `${result.status} ${result.problem.code}` : sentence(result)));

const redeem = (attempt: string) =>
  door.POST("/v1/tokens/redeem", { body: { token: checked.token ?? "", door: "SFO-A-3", attempt } });
const redeemed = answered("redeem", await redeem("1"));
const refused = await redeem("2");
say("redeem", { tier: redeemed.tier, grant: redeemed.grant === checked.grant, again: refused.error?.code, status: refused.response.status });

const paused = answered("pause", await admin.POST("/v1/perks/{perk}/pause", { params: { path: { perk: PERK } } }));
const unread = await kiosk.POST("/v1/checks", { body: { perk: PERK, subject: "" } });
say("pause", { status: paused.status, pointers: unread.error?.errors?.map((spot) => spot.pointer) });

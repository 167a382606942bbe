// What our stand-ins for networks say in tests is held to what the networks publish of their interfaces.
import { readFile } from "node:fs/promises";
import { lexicons } from "@atproto/api";

const read = async (name) => JSON.parse(await readFile(new URL(`networks/${name}.json`, import.meta.url), "utf8"));

for (const [call, name] of [
  ["app.bsky.actor.getProfiles", "bluesky-profiles"],
  ["app.bsky.feed.getAuthorFeed", "bluesky-feed"],
  ["app.bsky.feed.getAuthorFeed", "bluesky-feed-end"],
]) {
  lexicons.assertValidXrpcOutput(call, await read(name));
  console.log(`${name}: ${call}`);
}
const wrong = await read("bluesky-profiles");
wrong.profiles[0].followersCount = "many";
try {
  lexicons.assertValidXrpcOutput("app.bsky.actor.getProfiles", wrong);
  console.log("wrong: taken");
} catch {
  console.log("wrong: refused");
}
for (const [call, parameters] of [
  ["app.bsky.actor.getProfiles", { actors: ["did:plc:ada", "shy.test"] }],
  ["app.bsky.feed.getAuthorFeed", { actor: "did:plc:ada", limit: 100, filter: "posts_no_replies" }],
]) {
  lexicons.assertValidXrpcParams(call, parameters);
  console.log(`asked: ${call}`);
}

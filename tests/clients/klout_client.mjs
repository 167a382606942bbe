// What a program that was written for Klout does, with the client from npm as it is.
import { promisify } from "node:util";
import Klout from "coffee_klout";

const show = (name, value) => console.log(`${name}: ${JSON.stringify(value)}`);

function client(key) {
  const klout = new Klout({ key });
  klout.baseUri = `${process.env.GATEWAY}/v2`;
  return (method, argument) => promisify(klout[method].bind(klout))(argument);
}

const ask = client(process.env.READER);
const refused = (asked) => asked.catch((error) => error.message);
const sorted = (value) => Object.fromEntries(Object.entries(value).sort());

const ada = { twitter_screen_name: "Ada" };
const identity = await ask("getKloutIdentity", ada);
show("identity", [identity.network, /^\d+$/.test(identity.id)]);
show("score", sorted({ ...(await ask("getUserScore", identity.id)) }));
const user = await ask("getUser", ada);
show("user", [user.kloutId === identity.id, user.nick, user.score, user.scoreDeltas]);
show("influence", await ask("getUserInfluence", ada));
show("topics", await ask("getUserTopics", identity.id));
show("itself", (await ask("getKloutIdentity", { klout_id: identity.id })).id === identity.id);
show("nobody", await refused(ask("getKloutIdentity", { twitter_screen_name: "eve" })));
show("stranger", await refused(client("pgk_wrong")("getKloutIdentity", ada)));

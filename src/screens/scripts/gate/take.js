// A token that someone shows: spent online, else kept until it can be reported. Its attempt is stored before it is first
// sent, so that neither a lost answer nor a reload makes a second entry of it.
const A_DAY = 86_400_000;
/** A door that has heard of no key that was withdrawn for longer believes none. */
const LONGEST_ALONE = 3 * A_DAY;
const ASKS_FOR = 2_500;

const termsOf = ({ perk }) => door?.perks.find((it) => it.perk === perk);
const nameOf = (claims) => termsOf(claims)?.tiers[claims.tier]?.name ?? claims.tier;
/** By the version that the token was granted under, not by today's. One that this door never heard of opens once. */
const isReusable = ({ perk, rule }) => door?.versions?.[`${perk} ${rule}`] === true;

const MOST_VERSIONS = 1_000;
/** The versions of perks that this door has heard of: whether their tokens open it more than once. */
function versionsOf({ perks }) {
  const now = perks.map(({ perk, version, reusable }) => [`${perk} ${version}`, reusable]);
  const fresh = Object.fromEntries(now);
  const before = Object.entries(door?.versions ?? {}).filter(([name]) => !(name in fresh));
  return Object.fromEntries([...before, ...now].slice(-MOST_VERSIONS));
}
const forgetAt = ({ exp }) => Math.max(exp * 1_000, gatewayTime()) + A_DAY;

/**
 * The attempt for a token: the one that was begun, while it has no answer. `before` is what this door has taken and not
 * yet reported. Without a store there is an attempt, and nothing remembers it.
 */
async function attemptFor(claims) {
  const fresh = crypto.randomUUID();
  try {
    return await within(["taken"], "readwrite", async (of) => {
      const known = await done(of("taken").get(claims.jti));
      if (known?.waits && !isReusable(claims)) return { before: known };
      const attempt = known?.asking ?? fresh;
      of("taken").put({ ...known, asking: attempt, until: forgetAt(claims) }, claims.jti);
      return { attempt };
    });
  } catch (error) {
    return { attempt: fresh, isLoose: true, error };
  }
}

/** The people who came in today, with these. */
async function countIn(of, at, people) {
  const [day, before] = [dayOf(at), await done(of("kept").get("today"))];
  const today = { day, people: (before?.day === day ? before.people : 0) + people };
  of("kept").put(today, "today");
  return today;
}

/** The gateway has answered an attempt. Storage that fails takes nothing back: the gateway knows. */
function wasAnswered(claims, answer) {
  return within(["kept", "taken"], "readwrite", async (of) => {
    const known = await done(of("taken").get(claims.jti));
    if (answer.outcome === "admitted") {
      if (known?.asking) await countIn(of, gatewayTime(), answer.party);
      of("taken").put({ in: Date.parse(answer.redeemed_at), until: forgetAt(claims) }, claims.jti);
    } else if (known?.in) {
      of("taken").put({ ...known, asking: undefined }, claims.jti);
    } else if (answer.outcome === "used") {
      // What is known to be spent opens nothing here when nobody can be asked.
      of("taken").put({ in: Date.parse(answer.redeemed_at), door: answer.door, until: forgetAt(claims) }, claims.jti);
    } else if (answer.code in ENDED) {
      of("taken").put({ ended: answer.code, until: forgetAt(claims) }, claims.jti);
    } else {
      of("taken").delete(claims.jti);
    }
  }).catch(() => {});
}

/** Takes a token alone. Nobody is let in before it is on the disk that they were. */
async function takeAlone(token, claims, attempt) {
  const at = gatewayTime();
  const people = claims.party ?? 1;
  const entry = { token, attempt, at: new Date(at).toISOString(), jti: claims.jti, tier: nameOf(claims), people };
  // For which audience it was taken stands outside of the seal: it is nobody's.
  const sealed = { ...(await seal(entry)), aud: claims.aud };
  const taken = await within(["kept", "taken", "queue"], "readwrite", async (of) => {
    const known = await done(of("taken").get(claims.jti));
    if (known?.ended || (known?.in && !isReusable(claims))) return { before: known };
    // The key went with the database, after this was sealed: nobody could read it.
    if ((await done(of("kept").get("key")))?.id !== sealed.by) throw new DOMException("the key is another one", "DataError");
    const waiting = await done(of("queue").count());
    if (waiting >= door.most) return { isFull: true };
    of("queue").add(sealed);
    of("taken").put({ in: at, waits: true, until: forgetAt(claims) }, claims.jti);
    of("kept").put(at, "latest");
    await countIn(of, at, people);
    return { waiting: waiting + 1, at };
  });
  if (taken.waiting) noteWaiting(taken.waiting);
  return taken;
}

/** A page from the worker's shell has no token of its own yet; neither has one that was loaded before the last start. */
async function freshPage() {
  const reply = await fetch("/door", { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(5_000) }).catch(() => null);
  if (!reply?.ok) return false;
  const loaded = new DOMParser().parseFromString(await reply.text(), "text/html").body.dataset;
  page.page = loaded.page;
  return true;
}

/**
 * Calls with the token of the page, which is fetched again where it is another one by now. A browser that is refused all
 * the same is no door any more, as one that was signed off.
 */
async function callDoor(path, more) {
  let reply = await call(path, more);
  if (reply?.status === 403 && (await freshPage())) reply = await call(path, more);
  return reply?.status === 403 ? { ...reply, status: 401 } : reply;
}

/** Asks twice, with one attempt; null where the gateway could not be asked. */
async function redeem(token, attempt) {
  let isBusy = false;
  for (let nth = 0; nth < 2; nth += 1) {
    const reply = await callDoor("/door/redeem", { body: JSON.stringify({ token, attempt }), patience: ASKS_FOR });
    if (reply?.status === 200) return reply.value;
    if (reply?.status === 401) return { outcome: "off" };
    if (reply?.status === 429) {
      // It is there, and has much to do: a door that went on alone would let in what another one has taken.
      isBusy = true;
      if (nth === 0) await sleep(Math.min(2, Math.max(1, reply.wait)) * 1_000);
    } else if (reply && reply.status < 500) {
      return null;
    }
  }
  return isBusy ? { outcome: "busy" } : null;
}

/** What to say to who shows this. */
async function answerTo(token) {
  let checked = await check(token);
  if (checked.fault === "unknown_key" && !offlineSince) {
    await look();
    checked = await check(token);
  }
  const { fault, claims } = checked;
  if (["unreadable", "forged", "wrong_door"].includes(fault)) return { no: fault, claims };
  if (["unknown_key", "unable"].includes(fault)) {
    // The gateway may know a key that is a moment old; nobody else does.
    const answer = offlineSince ? null : await redeem(token, crypto.randomUUID());
    return answer ? answerOf(answer, null) : { ask: door ? fault : "no_keys" };
  }
  // In two tabs, one after the other.
  return navigator.locks.request(`door ${claims.jti}`, () => decide(token, claims, fault));
}

async function decide(token, claims, fault) {
  const begun = await attemptFor(claims);
  if (begun.before) return usedHere(begun.before);
  if (!offlineSince) {
    const answer = await redeem(token, begun.attempt);
    if (answer) {
      if (!["off", "busy"].includes(answer.outcome)) await wasAnswered(claims, answer);
      return answerOf(answer, claims);
    }
    look();
  }
  // The phone's clock was set back since the gateway was asked: nothing can be said of times.
  if (gatewayTime() < Math.max(door.at, latest) - APART * 1_000) return { ask: "clock" };
  if (gatewayTime() - door.at > LONGEST_ALONE) return { ask: "old_keys" };
  if (fault) return { no: fault, claims };
  if (claims.online_only) return { ask: "online_only" };
  if (begun.isLoose) return { ask: "storage" };
  const taken = await takeAlone(token, claims, begun.attempt).catch(() => null);
  if (!taken) return { ask: "storage" };
  if (taken.isFull) return { ask: "full" };
  if (taken.before) return usedHere(taken.before);
  return { yes: "alone", claims, people: claims.party ?? 1, waiting: taken.waiting, at: taken.at };
}

function usedHere(before) {
  if (before.ended) return { no: before.ended };
  return { no: "used", door: before.door ?? door.door, at: before.in, isHere: !before.door };
}

function answerOf(answer, claims) {
  if (answer.outcome === "off") return { off: true };
  if (answer.outcome === "busy") return { ask: "busy" };
  if (answer.outcome === "used") return { no: "used", door: answer.door, at: Date.parse(answer.redeemed_at) };
  if (answer.outcome === "refused") return { no: answer.code, claims };
  return { yes: "online", claims: claims ?? answer, people: answer.party, guests: answer.guests, at: Date.parse(answer.redeemed_at) };
}

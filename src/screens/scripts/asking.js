// Attempts. One is asked until it is answered. Its key is stored before it is sent, so that neither a lost answer nor a
// reload makes a second visit of it; and so are those that nobody waits for any more, until what they made is taken back.
const KEPT = "attempt";
const LEFT = "left";
const SAME_FOR = 90_000;
const GIVE_UP = 300_000;
const UNDO_FOR = 600_000;
const PAUSES = [1_000, 2_000, 4_000, 8_000];

/** The last one, while the same read is the same attempt. */
let recent = null;
/** Those that are taken back. */
let left = [];

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const jitter = (wait) => wait * (0.8 + Math.random() * 0.4);
const sleep = (wait) => new Promise((done) => setTimeout(done, wait));
const pause = (nth) => jitter(PAUSES[Math.min(nth, PAUSES.length - 1)]);
const isYounger = (attempt, most) => attempt !== null && Date.now() - attempt.at < most;

/** The attempt for what was read: the same one again, where the same was read a moment ago. */
async function attemptFor(read, people) {
  const body = JSON.stringify(people > 1 ? { read, people } : { read });
  const said = await digest(body);
  const given = left.find((it) => it.said === said);
  // One that is taken back just now is not asked again before that is over: its code would be shown, and open no door.
  await given?.undoing;
  if (given && left.includes(given)) {
    leaves(given);
    recent = { ...given, isAgain: true };
  } else if (recent?.said !== said || !isYounger(recent, SAME_FOR) || gatewayTime() > (recent.until ?? Infinity)) {
    recent = { said, key: newKey(), at: Date.now(), body };
  }
  return recent;
}

/** The attempt for the same read once more, where a grant of the one before was taken back. */
function attemptAfter({ said, body }) {
  recent = { said, key: newKey(), at: Date.now(), body };
  return recent;
}

/**
 * An answer was shown. A grant is the same one for a moment, and one that was seen is not taken back. A no is asked
 * again: what it came from may have changed.
 */
function wasShown(attempt, answer) {
  const isGranted = answer.form === "granted";
  recent = isGranted ? { ...attempt, isAgain: false, isSeen: true, until: Date.parse(answer.until) } : answer.form === "waiting" ? { ...attempt, isAgain: false } : null;
}

function stored(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name));
  } catch {
    return null;
  }
}
const store = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));
const keep = (attempt) => store(KEPT, attempt);
const forget = () => sessionStorage.removeItem(KEPT);

/** The attempt that a reload broke off. What is too old to go on with is taken back. */
function takeUp() {
  const [attempt, others] = [stored(KEPT), stored(LEFT) ?? []];
  const goesOn = isYounger(attempt, GIVE_UP);
  if (!goesOn) forget();
  storeLeft();
  for (const it of goesOn || !attempt ? others : [...others, attempt]) drop(it);
  return goesOn ? attempt : null;
}

/**
 * Asks until there is an answer: `waits` is called before each pause. Returns the answer, or a word for why there is none:
 * "off", "unread", "fault", "stale", "over".
 */
async function ask(attempt, { waits, isOver, until }) {
  for (let nth = 0; ; nth += 1) {
    const reply = await call("/kiosk/checks", { body: attempt.body, key: attempt.key });
    if (isOver()) return "over";
    if (reply?.status === 200) return reply.value;
    if (reply?.status === 401) return "off";
    if (reply?.status === 403) return "stale";
    if (reply?.status === 422) return reply.value?.errors?.some((it) => it.pointer === "/read") ? "unread" : "fault";
    const comesAgain = !reply || reply.status >= 500 || reply.status === 429 || (reply.status === 409 && reply.value?.code === "in_progress");
    if (!comesAgain) return "fault";
    if (!isYounger(attempt, until)) return "over";
    await waits(Math.max(pause(nth), (reply?.wait ?? 0) * 1_000), reply);
    if (isOver()) return "over";
  }
}

const storeLeft = () => (left.length > 0 ? store(LEFT, left.map(({ said, key, at, body }) => ({ said, key, at, body }))) : sessionStorage.removeItem(LEFT));

function leaves(attempt) {
  left = left.filter((it) => it !== attempt);
  storeLeft();
}

/** Nobody waits for the answer any more: a grant that nobody saw is taken back. */
async function drop({ isSeen, ...attempt }) {
  if (isSeen || !isYounger(attempt, UNDO_FOR)) return;
  if (recent?.key === attempt.key) recent = null;
  left.push(attempt);
  storeLeft();
  const isOver = () => !left.includes(attempt);
  const answer = await ask(attempt, { waits: sleep, isOver, until: UNDO_FOR });
  // The page that comes after this one goes on with it.
  if (answer === "stale") return;
  for (let nth = 0; answer.grant && isYounger(attempt, UNDO_FOR) && !isOver(); nth += 1) {
    attempt.undoing = call("/kiosk/undo", { body: JSON.stringify({ grant: answer.grant }) });
    const reply = await attempt.undoing;
    if (reply?.status === 403) return;
    if (reply && reply.status < 500 && reply.status !== 429) break;
    await sleep(pause(nth));
  }
  leaves(attempt);
}

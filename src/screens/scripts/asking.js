// An attempt: asked until it is answered. Its key is stored before it is sent, so that neither a lost answer nor a reload
// makes a second visit of it.
const KEPT = "attempt";
const SAME_FOR = 90_000;
const GIVE_UP = 300_000;
const UNDO_FOR = 600_000;
const PAUSES = [1_000, 2_000, 4_000, 8_000];

let recent = null;

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const jitter = (wait) => wait * (0.8 + Math.random() * 0.4);

/** The attempt for what was read: the same one again, where the same was read a moment ago. */
async function attemptFor(read, people) {
  const body = JSON.stringify(people > 1 ? { read, people } : { read });
  const said = await digest(body);
  if (recent?.said === said && Date.now() - recent.at < SAME_FOR) return { ...recent, body };
  recent = { said, key: newKey(), at: Date.now() };
  return { ...recent, body };
}

const keep = (attempt) => sessionStorage.setItem(KEPT, JSON.stringify(attempt));
const forget = () => sessionStorage.removeItem(KEPT);

function kept() {
  try {
    const attempt = JSON.parse(sessionStorage.getItem(KEPT));
    return attempt && Date.now() - attempt.at < GIVE_UP ? attempt : null;
  } catch {
    return null;
  }
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
    if (Date.now() - attempt.at > until) return "over";
    const wait = Math.max(jitter(PAUSES[Math.min(nth, PAUSES.length - 1)]), (reply?.wait ?? 0) * 1_000);
    await waits(wait, reply);
    if (isOver()) return "over";
  }
}

const sleep = (wait) => new Promise((done) => setTimeout(done, wait));

/** Nobody waits for the answer any more: a grant that nobody saw is taken back. */
async function drop(attempt) {
  if (recent?.key === attempt.key) recent = null;
  const answer = await ask(attempt, { waits: sleep, isOver: () => false, until: UNDO_FOR });
  if (!answer?.grant) return;
  for (let nth = 0; Date.now() - attempt.at < UNDO_FOR; nth += 1) {
    const reply = await call("/kiosk/undo", { body: JSON.stringify({ grant: answer.grant }) });
    if (reply && reply.status < 500 && reply.status !== 429) return;
    await sleep(jitter(PAUSES[Math.min(nth, PAUSES.length - 1)]));
  }
}

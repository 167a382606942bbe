// Holds a receipt to its signature, proofs to the receipt, and an answer to its event, here in the browser: nothing is
// sent anywhere. It says what `src/audit/receipt` says, step by step.

const utf8 = new TextEncoder();
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const leafHash = (text) => sha256(join([0], utf8.encode(text)));
const nodeHash = (left, right) => sha256(join([1], left, right));

const fail = (why) => {
  throw new Error(why);
};
const FORM = "a log key is NAME+ID+KEY";
const NOTE = "it is no signed note of origin, size and root";

// Strictly: one value has one text.
function fromBase64(text, what, write = base64) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch {
    fail(what);
  }
  if (write(bytes) !== text) fail(what);
  return bytes;
}

function fromHex(text) {
  if (!isText(text) || !/^[0-9a-fA-F]{64}$/.test(text)) fail("a hash is 64 hexadecimal digits");
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

function fromRoot(text) {
  const what = "a root is the base64 of 32 bytes";
  const bytes = fromBase64(isText(text) ? text : "?", what);
  if (bytes.length !== 32) fail(what);
  return bytes;
}

const isText = (value) => typeof value === "string";
const same = (a, b) => hex(a) === hex(b);
const isNested = (value) => Object(value) === value;
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

// Of a member that stands twice a reader might take the other.
function parse(text, what) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail(`${what}: ${error.message}`);
  }
  const open = [];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const name = JSON.parse(token.slice(0, -1));
      if (open.at(-1).has(name)) fail(`${what}: the member ${JSON.stringify(name)} stands twice`);
      open.at(-1).add(name);
    }
  }
  if (!isNested(value) || Array.isArray(value)) fail(`${what}: it is no object`);
  return value;
}

const IS_NAME = /^[^\p{White_Space}\p{Cc}+]+$/u;

async function keyOf(name, publicKey) {
  const id = (await sha256(join(utf8.encode(name), [10, 1], publicKey))).slice(0, 4);
  return { name, publicKey, id };
}

async function readKey(line) {
  const [name, id, ...rest] = line.split("+");
  if (rest.length === 0) fail(FORM);
  const typed = fromBase64(rest.join("+"), FORM);
  if (typed[0] !== 1 || typed.length !== 33) fail("not an Ed25519 key");
  if (!IS_NAME.test(name)) fail(FORM);
  const key = await keyOf(name, typed.slice(1));
  if (hex(key.id) !== id) fail("the key’s id is another’s");
  return key;
}

export async function readKeys(text) {
  const lines = text.trimStart().startsWith("{")
    ? (JSON.parse(text).keys ?? []).map((key) => key.verifier_key)
    : text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (lines.length === 0) fail("there is no log key");
  return Promise.all(lines.map(readKey));
}

function readNote(note) {
  const at = note.lastIndexOf("\n\n");
  const [text, signatures] = [note.slice(0, at + 1), note.slice(at + 2)];
  const fits = utf8.encode(note).length <= 100_000 && !/[\x00-\x09\x0b-\x1f]/.test(note);
  const [origin, size, root, ...rest] = text.slice(0, -1).split("\n");
  if (!fits || at < 0 || !signatures.endsWith("\n") || root === undefined || rest.length > 0 || origin === "") fail(NOTE);
  if (!/^(0|[1-9][0-9]*)$/.test(size) || !isCount(Number(size))) fail(NOTE);
  return { text, lines: signatures.slice(0, -1).split("\n"), origin, size: Number(size), root: fromRoot(root) };
}

// A key that is named like an origin signs that log alone; one of the older name signs every log of its gateway.
async function keysOf(origin, trusted) {
  const legacy = trusted.filter((key) => !key.name.includes("/"));
  const renamed = IS_NAME.test(origin) ? await Promise.all(legacy.map((key) => keyOf(origin, key.publicKey))) : [];
  return [...trusted.filter((key) => key.name === origin), ...renamed, ...legacy];
}

async function openNote(note, trusted) {
  const { text, lines, ...said } = readNote(note);
  const keys = await keysOf(said.origin, trusted);
  const signers = [];
  for (const line of lines) {
    const found = /^\u2014 ([^ ]*) (.*)$/.exec(line);
    if (!found || !IS_NAME.test(found[1])) fail(NOTE);
    const bytes = fromBase64(found[2], NOTE);
    if (bytes.length < 5) fail(NOTE);
    const key = keys.find((it) => it.name === found[1] && same(it.id, bytes.slice(0, 4)));
    if (!key) continue;
    const imported = await crypto.subtle.importKey("raw", key.publicKey, "Ed25519", false, ["verify"]);
    const isSigned = await crypto.subtle.verify("Ed25519", imported, bytes.slice(4), utf8.encode(text));
    if (!isSigned) fail("a signature does not fit its text");
    signers.push(base64(key.publicKey));
  }
  if (signers.length === 0) fail("no key that you trust signed it");
  return { ...said, signers };
}

// The way up from a node, where each sibling is met on the left or on the right; false if the path ends elsewhere.
async function walk(at, last, path, meet) {
  for (const sibling of path) {
    if (last === 0n) return false;
    const isLeft = (at & 1n) === 1n || at === last;
    await meet(sibling, isLeft);
    while (isLeft && (at & 1n) === 0n && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n;
}

// RFC 9162 §2.1.3.2, keeping each hash on the way.
async function climb(hash, index, size, path) {
  const trail = [];
  const fits = await walk(BigInt(index), BigInt(size - 1), path, async (sibling, isLeft) => {
    hash = await (isLeft ? nodeHash(sibling, hash) : nodeHash(hash, sibling));
    trail.push(hex(hash));
  });
  return fits ? { hash, trail } : null;
}

// RFC 9162 §2.1.4.2.
async function continues(from, old, to, root, path) {
  if (from > to) return false;
  if (from === to) return path.length === 0 && same(old, root);
  if (from === 0) return path.length === 0 && same(old, await sha256(new Uint8Array()));
  const isPower = Number.isInteger(Math.log2(from));
  if (!isPower && path.length === 0) return false;
  const [seed, rest] = isPower ? [old, path] : [path[0], path.slice(1)];
  let [at, last] = [BigInt(from - 1), BigInt(to - 1)];
  while ((at & 1n) === 1n) [at, last] = [at >> 1n, last >> 1n];
  let [before, after] = [seed, seed];
  const fits = await walk(at, last, rest, async (node, isLeft) => {
    if (isLeft) before = await nodeHash(node, before);
    after = await (isLeft ? nodeHash(node, after) : nodeHash(after, node));
  });
  return fits && same(before, old) && same(after, root);
}

const mayBeText = (value) => isText(value ?? "");

function readReceipt(text) {
  const what = "it is no receipt and no answer of a check";
  const whole = parse(text, what);
  const isAnswer = whole.receipt !== undefined;
  const fields = isAnswer ? whole.receipt : whole;
  if (!isText(fields?.log) || !isCount(fields.index) || !isText(fields.checkpoint)) fail(what);
  const { log, index, leaf_hash: leaf, checkpoint } = fields;
  return { whole, isAnswer, held: [], log, index, leaf: fromHex(leaf), checkpoint };
}

function readProof(text) {
  const whole = parse(text, "it is no proof");
  try {
    const read = { ...whole, path: whole.path.map(fromHex), whole, held: [] };
    if (isCount(whole.index) && isCount(whole.size) && [whole.event, whole.log, whole.checkpoint, whole.body].every(mayBeText)) {
      return { ...read, kind: "leaf", leaf: fromHex(whole.leaf_hash), root: fromRoot(whole.root) };
    }
    if (isCount(whole.from) && isCount(whole.to) && mayBeText(whole.log) && whole.checkpoints.every((it) => isText(it.checkpoint))) {
      return { ...read, kind: "consistency" };
    }
  } catch {
    // Said below.
  }
  fail("it is no proof");
}

// Members that hold, by their pointers (RFC 6901); what stands under them holds too.
const hold = (document, names, prefix = "") => document.held.push(...names.split(" ").map((name) => `${prefix}/${name}`));
const holdEach = (proof, names) => proof.checkpoints.forEach((_, nth) => hold(proof, names, `/checkpoints/${nth}`));

function leaves(value, at = "") {
  const members = isNested(value) ? Object.entries(value) : [];
  if (members.length === 0) return [at];
  return members.flatMap(([name, it]) => leaves(it, `${at}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`));
}

const unproven = ({ whole, held }) => leaves(whole).filter((it) => !held.some((is) => it === is || it.startsWith(`${is}/`)));

class Heads {
  constructor(trusted, log, signed) {
    Object.assign(this, { trusted, log, origin: signed.origin, roots: new Map([[signed.size, signed.root]]) });
  }

  async open(note) {
    const signed = await openNote(note, this.trusted);
    if (signed.origin !== this.origin) fail(`its checkpoint is of ${signed.origin}`);
    const known = this.roots.get(signed.size) ?? signed.root;
    this.roots.set(signed.size, known);
    if (!same(known, signed.root)) fail(`two roots were signed for the size ${signed.size}`);
    return signed;
  }

  root(size) {
    const root = this.roots.get(size);
    if (!root) fail(`no checkpoint of the size ${size} came with it`);
    return root;
  }

  requireLog(log) {
    if (isText(log) && log !== this.log) fail(`it is of the log of ${log}`);
  }
}

async function included(receipt, proof, heads) {
  const [{ index, leaf }, { size }] = [receipt, proof];
  if (proof.index !== index || !same(proof.leaf, leaf)) fail("the proof is of another event");
  heads.requireLog(proof.log);
  if (isText(proof.checkpoint) && (await heads.open(proof.checkpoint)).size !== size) fail(`its checkpoint is not of size ${size}`);
  const root = heads.root(size);
  if (!same(root, proof.root)) fail("its root is not the signed one");
  const reached = index < size ? await climb(leaf, index, size, proof.path) : null;
  if (!reached || !same(reached.hash, root)) fail("the path does not lead from the leaf to the signed root");
  let body = null;
  if (isText(proof.body)) {
    if (!same(await leafHash(proof.body), proof.leaf)) fail("the body does not hash to the leaf");
    body = parse(proof.body, "the body is no event");
    if (isText(proof.event) && body?.id !== proof.event) fail(`its leaf is not ${proof.event}`);
  }
  const trail = [`leaf ${index}: ${hex(leaf)}`, ...reached.trail.map((hash, nth) => `up ${nth + 1}: ${hash}`)];
  return { body, trail, detail: `the event stands at index ${index} of the log of size ${size}` };
}

async function consistent(proof, heads) {
  heads.requireLog(proof.log);
  for (const it of proof.checkpoints) {
    const signed = await heads.open(it.checkpoint);
    heads.requireLog(it.log);
    const beside = [[it.origin, signed.origin], [it.size, signed.size], [it.root, base64(signed.root)]];
    if (beside.some(([said, is]) => (said ?? is) !== is)) fail(`what stands beside its checkpoint is not what it says`);
  }
  const { from, to } = proof;
  const [old, root] = [heads.root(from), heads.root(to)];
  if (await continues(from, old, to, root, proof.path)) return `the log of size ${to} continues the one of size ${from}`;
  fail(`the log of size ${to} does not continue the one of size ${from}: the history was rewritten`);
}

function isLinked(from, to, links) {
  return from === to || links.some(([old, next]) => old === from && next > old && next <= to && isLinked(next, to, links));
}

const ALWAYS = ["check", "decision", "perk", "rule_version", "next_eligible_at"];
const OF_REASONS = ["code", "tier", "limit", "at_most", "over_by", "attribute", "blackout"];
// The least reading of rules whose events may seal when someone is eligible next.
const SEALING = 3;

const at = (value, name) => (isNested(value) ? (value[name] ?? null) : null);

// An instant as whole microseconds; null for what is none.
function instant(value) {
  const found = isText(value) && /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(value);
  const seconds = found ? Date.parse(found[1].replace(" ", "T") + found[3].toUpperCase()) : NaN;
  return Number.isNaN(seconds) ? null : `${seconds}.${(found[2] ?? "").replace(/0+$/, "")}`;
}

const canonical = (value) => JSON.stringify(value, (_, it) => (isNested(it) && !Array.isArray(it) ? Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1))) : it));
const agree = (own, said) => canonical(own) === canonical(said) || (instant(own) !== null && instant(own) === instant(said));

async function claimsOf(token, grant) {
  const [header, claims, signature, ...rest] = isText(token) ? token.split(".") : [];
  if (signature === undefined || rest.length > 0) return null;
  const url = (bytes) => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const wanted = url(utf8.encode(`{"alg":"EdDSA","kid":${JSON.stringify(at(grant, "kid"))},"typ":"eligibility+jwt"}`));
  try {
    const bytes = fromBase64(claims, "", url);
    if (at(grant, "claims_sha256") !== `sha256:${hex(await sha256(bytes))}` || header !== wanted) return null;
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

async function compare(answer, body, held) {
  const differing = [];
  if (at(body, "kind") !== "check.decided") return { differing: ["/check"], merchant: null };
  const facts = at(body, "facts");
  const has = (name) => Object.hasOwn(answer, name);
  const judge = (pointer, own, said) => (agree(own ?? null, said ?? null) ? held : differing).push(pointer);
  const judgeEach = (pointer, own, said, each) => {
    const theirs = Array.isArray(said) ? said : [];
    if (!Array.isArray(own) || own.length !== theirs.length) differing.push(pointer);
    else if (own.length === 0) held.push(pointer);
    else own.forEach((item, nth) => each(`${pointer}/${nth}`, item, theirs[nth]));
  };
  differing.push(...ALWAYS.filter((name) => !has(name)).map((name) => `/${name}`));
  judge("/check", answer.check, at(body, "about"));
  for (const name of ["decision", "perk", "rule_version", "tier", "max_wait", "guests", "resolves"]) judge(`/${name}`, answer[name], at(facts, name));
  const [hint, said] = [answer.next_eligible_at ?? null, at(facts, "next_eligible_at")];
  if (!(said === null && (at(facts, "engine") >= SEALING || hint !== null))) judge("/next_eligible_at", hint, said);
  for (const name of ["location", "kiosk"].filter(has)) judge(`/${name}`, answer[name], at(facts, name));
  const grant = at(facts, "grant");
  judge("/grant", answer.grant, at(grant, "id"));
  if (has("token_expires_at")) judge("/token_expires_at", answer.token_expires_at, at(grant, "expires_at"));
  let merchant = null;
  if (has("token")) {
    const claims = await claimsOf(answer.token, grant);
    if (claims) merchant = at(claims, "merchant");
    else differing.push("/token");
  }
  judgeEach("/reasons", answer.reasons, at(facts, "reasons"), (spot, own, is) => OF_REASONS.forEach((name) => judge(`${spot}/${name}`, at(own, name), at(is, name))));
  judgeEach("/limits", answer.limits, at(facts, "limits"), (spot, own, is) => {
    const [max, used] = [at(is, "max"), at(is, "used")];
    judge(`${spot}/id`, at(own, "id"), at(is, "id"));
    judge(`${spot}/remaining`, at(own, "remaining"), isCount(max) && isCount(used) ? Math.max(0, max - used) : null);
    judge(`${spot}/resets_at`, at(own, "resets_at"), at(is, "resets_at"));
  });
  return { differing, merchant };
}

// All that was looked at: steps, each of which `holds`, `fails` or is `not_shown`.
export async function examine(receiptText, proofTexts, trusted) {
  const [receipt, proofs] = [readReceipt(receiptText), proofTexts.map(readProof)];
  const steps = [];
  const add = (step, status, detail, trail = []) => steps.push({ step, status, detail, trail });
  let signed;
  try {
    signed = await openNote(receipt.checkpoint, trusted);
  } catch (error) {
    add("signature", "fails", error.message);
    return { steps };
  }
  const own = signed.size;
  const prefix = receipt.isAnswer ? "/receipt" : "";
  hold(receipt, "checkpoint", prefix);
  add("signature", "holds", `a trusted key signed ${signed.origin} up to size ${own}`);
  if (receipt.index < own) add("index", "holds", `the receipt’s event is in that, at index ${receipt.index}`);
  else add("index", "fails", `the receipt’s index ${receipt.index} is not in that`);
  const heads = new Heads(trusted, receipt.log, signed);
  const [links, reached] = [[], []];
  let body = null;
  for (const proof of proofs) {
    try {
      if (proof.kind === "leaf") {
        const found = await included(receipt, proof, heads);
        body = found.body ?? body;
        hold(proof, "index leaf_hash size root path checkpoint");
        if (found.body) hold(proof, "event body");
        reached.push(proof.size);
        add("leaf", "holds", found.detail, found.trail);
      } else {
        add("consistency", "holds", await consistent(proof, heads));
        links.push([proof.from, proof.to]);
        hold(proof, "from to path");
        holdEach(proof, "origin size root checkpoint");
      }
    } catch (error) {
      add(proof.kind, "fails", error.message);
    }
  }
  if (!proofs.some((proof) => proof.kind === "leaf")) add("leaf", "not_shown", "that the event stands there: give its proof");
  if (reached.length > 0) hold(receipt, "index leaf_hash", prefix);
  const sizes = [...new Set([...reached, ...links.map(([, to]) => to)])].sort((a, b) => a - b);
  for (const size of sizes.filter((it) => it !== own)) {
    const [from, to] = [Math.min(own, size), Math.max(own, size)];
    if (!isLinked(from, to, links)) add("consistency", "not_shown", `that the log of size ${to} continues the one of size ${from}: give the proof of consistency`);
  }
  let merchant = null;
  if (receipt.isAnswer) {
    if (body === null) {
      add("answer", "not_shown", "that the event says what the answer says: give a proof with its body");
    } else {
      const compared = await compare(receipt.whole, body, receipt.held);
      merchant = compared.merchant;
      const differing = compared.differing.join(", ");
      if (differing === "") add("answer", "holds", "the answer is what the event says");
      else add("answer", "fails", `the answer is not what the event says in ${differing}`);
    }
  }
  const name = signed.origin.startsWith("perkgate/log_") ? merchant : signed.origin.split("/").at(-1);
  if (name === receipt.log) {
    hold(receipt, "log", prefix);
    for (const proof of proofs) {
      hold(proof, "log");
      if (proof.kind === "consistency") holdEach(proof, "log");
    }
  } else if (isText(name)) add("log", "fails", `what is signed is the log of ${name}`);
  const open = [receipt, ...proofs].flatMap((it, nth) => unproven(it).map((pointer) => `${nth === 0 ? "receipt" : "proof"}: ${pointer || "all"}`));
  if (open.length > 0) add("members", "not_shown", `proven by nothing: ${open.join(", ")}`);
  return { steps, anchor: { ...signed, root: base64(signed.root) } };
}

// Heads that were verified here before, and the keys that signed them: a log that is shown to the same browser in another
// version gives itself away, and so do keys that its gateway publishes for one page alone.
export function keep(anchor, steps) {
  if (!anchor || steps.some(({ status }) => status === "fails")) return [];
  const { origin, size, root, signers } = anchor;
  const kept = JSON.parse(localStorage.getItem("perkgate.anchors") ?? "{}");
  const { signers: known = signers, ...of } = kept[origin] ?? {};
  const say = (step, status, detail) => ({ step, status, detail, trail: [] });
  const seen = of[size];
  if (seen && seen !== root) return [say("anchor", "fails", `this browser saw another root for the size ${size} before: the log was shown in two versions`)];
  const sizes = Object.entries({ ...of, [size]: root }).sort(([a], [b]) => a - b);
  kept[origin] = { ...Object.fromEntries(sizes.slice(-20)), signers: [...new Set([...known, ...signers])] };
  localStorage.setItem("perkgate.anchors", JSON.stringify(kept));
  const said = seen ? [say("anchor", "holds", "this browser saw the very same head before")] : [];
  if (signers.every((key) => known.includes(key))) return said;
  return [...said, say("key", "not_shown", "that its key is this log’s: this browser saw others. Compare it with yours")];
}

const WORDS = { holds: "Holds: ", fails: "Does not hold: ", not_shown: "Not shown: " };

function draw(list, verdict, steps) {
  const make = (name, textContent, className = "") => Object.assign(document.createElement(name), { textContent, className });
  const line = ({ step, status, detail, trail }) => {
    const [item, text] = [make("li"), make("span")];
    text.append(make("span", WORDS[status], "vh"), `${step}: ${detail}`);
    if (trail.length > 0) {
      const [more, hashes] = [make("details"), make("ol")];
      hashes.append(...trail.map((hash) => make("li", hash)));
      more.append(make("summary", `${trail.length - 1} hashes on the way`), hashes);
      text.append(more);
    }
    item.append(document.querySelector(`template[data-status="${status}"]`).content.cloneNode(true), text);
    return item;
  };
  list.replaceChildren(...steps.map(line));
  const wrong = steps.find(({ status }) => status === "fails");
  const isWhole = steps.every(({ status }) => status === "holds");
  verdict.className = `note ${wrong ? "bad" : isWhole ? "good" : "warn"}`;
  verdict.textContent = wrong
    ? `It does not hold: see ${wrong.step}.`
    : isWhole
      ? "Proved here, in your browser. Nothing was sent for it: cut the network and try again."
      : "It holds, but not all of it was shown.";
  verdict.hidden = false;
}

function attach(form) {
  const [list, verdict] = ["steps", "verdict"].map((name) => document.querySelector(`[data-${name}]`));
  const button = form.querySelector("[data-here]");
  if (!globalThis.crypto?.subtle) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const value = (name) => form.elements[name]?.value.trim() ?? "";
    try {
      const proofs = ["proof", "consistency"].map(value).filter(Boolean);
      const { steps, anchor } = await examine(value("receipt"), proofs, await readKeys(value("keys")));
      draw(list, verdict, [...steps, ...keep(anchor, steps)]);
    } catch (error) {
      const detail = error.name === "NotSupportedError" ? "this browser has no Ed25519: let the server verify it" : error.message;
      draw(list, verdict, [{ step: "reading", status: "fails", detail, trail: [] }]);
    }
  });
}

if (globalThis.document) for (const form of document.querySelectorAll("form[data-verify]")) attach(form);

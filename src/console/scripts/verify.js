// Holds a receipt to its signature, proofs to the receipt, and an answer to its event, here in the browser: nothing is
// sent anywhere. It says what `src/audit/receipt` says, step by step.

const utf8 = new TextEncoder();
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const leafHash = (text) => sha256(join([0], utf8.encode(text)));
const nodeHash = (left, right) => sha256(join([1], left, right));

class Wrong extends Error {}
const FORM = "a log key is NAME+ID+KEY";
const NOTE = "it is no signed note of origin, size and root";

// Strictly: one value has one text.
function fromBase64(text, what) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new Wrong(what);
  }
  if (base64(bytes) !== text) throw new Wrong(what);
  return bytes;
}

function fromHex(text) {
  if (typeof text !== "string" || !/^[0-9a-fA-F]{64}$/.test(text)) throw new Wrong("a hash is 64 hexadecimal digits");
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

function fromRoot(text) {
  const bytes = fromBase64(typeof text === "string" ? text : "?", "a root is the base64 of 32 bytes");
  if (bytes.length !== 32) throw new Wrong("a root is the base64 of 32 bytes");
  return bytes;
}

const same = (a, b) => hex(a) === hex(b);
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

// Of a member that stands twice a reader might take the other.
function parse(text, what) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Wrong(`${what}: ${error.message}`);
  }
  const open = [];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const name = JSON.parse(token.slice(0, -1));
      if (open.at(-1).has(name)) throw new Wrong(`${what}: the member ${JSON.stringify(name)} stands twice`);
      open.at(-1).add(name);
    }
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Wrong(`${what}: it is no object`);
  return value;
}

const IS_NAME = /^[^\p{White_Space}\p{Cc}+]+$/u;

async function keyOf(name, publicKey) {
  const id = (await sha256(join(utf8.encode(name), [10, 1], publicKey))).slice(0, 4);
  return { name, publicKey, id };
}

async function readKey(line) {
  const [name, id, ...rest] = line.split("+");
  if (rest.length === 0) throw new Wrong(FORM);
  const typed = fromBase64(rest.join("+"), FORM);
  if (typed[0] !== 1 || typed.length !== 33) throw new Wrong("not an Ed25519 key");
  if (!IS_NAME.test(name)) throw new Wrong(FORM);
  const key = await keyOf(name, typed.slice(1));
  if (hex(key.id) !== id) throw new Wrong("the key’s id is another’s");
  return key;
}

export async function readKeys(text) {
  const isAnswer = text.trimStart().startsWith("{");
  const lines = isAnswer
    ? (JSON.parse(text).keys ?? []).map((key) => key.verifier_key)
    : text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length === 0) throw new Wrong("there is no log key");
  return Promise.all(lines.map(readKey));
}

function splitNote(note) {
  if (utf8.encode(note).length > 100_000) throw new Wrong(NOTE);
  if (/[\x00-\x09\x0b-\x1f]/.test(note)) throw new Wrong(NOTE);
  const at = note.lastIndexOf("\n\n");
  if (at < 0) throw new Wrong(NOTE);
  const signatures = note.slice(at + 2);
  if (!signatures.endsWith("\n")) throw new Wrong(NOTE);
  return [note.slice(0, at + 1), signatures.slice(0, -1).split("\n")];
}

function readCheckpoint(text) {
  const lines = text.slice(0, -1).split("\n");
  if (lines.length !== 3) throw new Wrong(NOTE);
  const [origin, size, root] = lines;
  if (origin === "") throw new Wrong(NOTE);
  if (!/^(0|[1-9][0-9]*)$/.test(size) || !isCount(Number(size))) throw new Wrong(NOTE);
  return { origin, size: Number(size), root: fromRoot(root) };
}

// A key that is named like an origin signs that log alone; one of the older name signs every log of its gateway.
async function keysOf(origin, trusted) {
  const legacy = trusted.filter((key) => !key.name.includes("/"));
  const renamed = IS_NAME.test(origin) ? await Promise.all(legacy.map((key) => keyOf(origin, key.publicKey))) : [];
  return [...trusted.filter((key) => key.name === origin), ...renamed, ...legacy];
}

async function isSigned(key, text, signature) {
  const imported = await crypto.subtle.importKey("raw", key.publicKey, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, signature, utf8.encode(text));
}

async function openNote(note, trusted) {
  const [text, lines] = splitNote(note);
  const said = readCheckpoint(text);
  const keys = await keysOf(said.origin, trusted);
  let isKnown = false;
  for (const line of lines) {
    const found = /^\u2014 ([^ ]*) (.*)$/.exec(line);
    if (!found || !IS_NAME.test(found[1])) throw new Wrong(NOTE);
    const bytes = fromBase64(found[2], NOTE);
    if (bytes.length < 5) throw new Wrong(NOTE);
    const key = keys.find((it) => it.name === found[1] && same(it.id, bytes.slice(0, 4)));
    if (!key) continue;
    if (!(await isSigned(key, text, bytes.slice(4)))) throw new Wrong("a signature does not fit its text");
    isKnown = true;
  }
  if (!isKnown) throw new Wrong("no key that you trust signed it");
  return said;
}

// RFC 9162 §2.1.3.2, keeping each hash on the way.
async function climb(leaf, index, size, path) {
  let [at, last, hash] = [BigInt(index), BigInt(size - 1), leaf];
  const trail = [];
  for (const sibling of path) {
    if (last === 0n) return null;
    if ((at & 1n) === 1n || at === last) {
      hash = await nodeHash(sibling, hash);
      while ((at & 1n) === 0n && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      hash = await nodeHash(hash, sibling);
    }
    trail.push(hex(hash));
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n ? { hash, trail } : null;
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
  for (const node of rest) {
    if (last === 0n) return false;
    if ((at & 1n) === 1n || at === last) {
      [before, after] = [await nodeHash(node, before), await nodeHash(node, after)];
      while ((at & 1n) === 0n && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      after = await nodeHash(after, node);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n && same(before, old) && same(after, root);
}

const isText = (value) => typeof value === "string";
const mayBeText = (value) => value === undefined || value === null || isText(value);

function readReceipt(text) {
  const whole = parse(text, "it is no receipt and no answer of a check");
  const isAnswer = whole.receipt !== undefined;
  const fields = isAnswer ? whole.receipt : whole;
  if (!isText(fields?.log) || !isCount(fields.index) || !isText(fields.checkpoint)) {
    throw new Wrong("it is no receipt and no answer of a check");
  }
  return { whole, isAnswer, log: fields.log, index: fields.index, leaf: fromHex(fields.leaf_hash), checkpoint: fields.checkpoint };
}

function readProof(text) {
  const whole = parse(text, "it is no proof");
  try {
    const path = whole.path.map(fromHex);
    if (isCount(whole.index) && isCount(whole.size) && [whole.event, whole.log, whole.checkpoint, whole.body].every(mayBeText)) {
      return { kind: "inclusion", ...whole, leaf: fromHex(whole.leaf_hash), root: fromRoot(whole.root), path };
    }
    if (isCount(whole.from) && isCount(whole.to) && mayBeText(whole.log) && whole.checkpoints.every((it) => isText(it.checkpoint))) {
      return { kind: "consistency", ...whole, path };
    }
  } catch {
    // Said below.
  }
  throw new Wrong("it is no proof");
}

class Heads {
  constructor(trusted, log, signed) {
    Object.assign(this, { trusted, log, origin: signed.origin, roots: new Map([[signed.size, signed.root]]) });
  }

  async open(note) {
    const signed = await openNote(note, this.trusted);
    if (signed.origin !== this.origin) throw new Wrong(`its checkpoint is of ${signed.origin}`);
    const known = this.roots.get(signed.size) ?? signed.root;
    this.roots.set(signed.size, known);
    if (!same(known, signed.root)) throw new Wrong(`two roots were signed for the size ${signed.size}`);
    return signed;
  }

  root(size) {
    const root = this.roots.get(size);
    if (!root) throw new Wrong(`no checkpoint of the size ${size} came with it`);
    return root;
  }

  requireLog(log) {
    if (isText(log) && log !== this.log) throw new Wrong(`it is of the log of ${log}`);
  }
}

async function included(receipt, proof, heads) {
  if (proof.index !== receipt.index || !same(proof.leaf, receipt.leaf)) throw new Wrong("the proof is of another event");
  heads.requireLog(proof.log);
  if (isText(proof.checkpoint) && (await heads.open(proof.checkpoint)).size !== proof.size) throw new Wrong(`its checkpoint is not of size ${proof.size}`);
  const root = heads.root(proof.size);
  if (!same(root, proof.root)) throw new Wrong(`its root is not the signed one at size ${proof.size}`);
  const reached = receipt.index < proof.size ? await climb(receipt.leaf, receipt.index, proof.size, proof.path) : null;
  if (!reached || !same(reached.hash, root)) throw new Wrong(`the path does not lead from the leaf to the signed root at size ${proof.size}`);
  let body = null;
  if (isText(proof.body)) {
    if (!same(await leafHash(proof.body), proof.leaf)) throw new Wrong("the body does not hash to the leaf");
    body = parse(proof.body, "the body is no event");
    if (isText(proof.event) && body?.id !== proof.event) throw new Wrong(`its leaf is not ${proof.event}`);
  }
  const trail = [`leaf ${receipt.index}: ${hex(receipt.leaf)}`, ...reached.trail.map((hash, nth) => `up ${nth + 1} of ${reached.trail.length}: ${hash}`)];
  return { body, trail, detail: `the event stands at index ${receipt.index} of the log of size ${proof.size}` };
}

async function consistent(proof, heads) {
  heads.requireLog(proof.log);
  for (const it of proof.checkpoints) {
    const signed = await heads.open(it.checkpoint);
    heads.requireLog(it.log);
    const beside = [[it.origin, signed.origin], [it.size, signed.size], [it.root, base64(signed.root)]];
    if (beside.some(([said, is]) => said !== undefined && said !== null && said !== is)) throw new Wrong(`what stands beside the checkpoint of size ${signed.size} is not what it says`);
  }
  const [old, root] = [heads.root(proof.from), heads.root(proof.to)];
  if (await continues(proof.from, old, proof.to, root, proof.path)) return `the log of size ${proof.to} continues the one of size ${proof.from}`;
  throw new Wrong(`the log of size ${proof.to} does not continue the one of size ${proof.from}: the history was rewritten`);
}

function isLinked(from, to, links) {
  const reached = [from];
  while (reached.length > 0) {
    const at = reached.pop();
    if (at === to) return true;
    reached.push(...links.filter(([old, next]) => old === at && next > at && next <= to).map(([, next]) => next));
  }
  return false;
}

const ALWAYS = ["check", "decision", "perk", "rule_version", "reasons", "limits", "next_eligible_at"];
const OF_REASONS = ["code", "tier", "limit", "at_most", "over_by", "attribute", "blackout"];
// The least reading of rules whose events may seal when someone is eligible next.
const SEALING = 3;

const at = (value, name) => (value !== null && typeof value === "object" ? (value[name] ?? null) : null);

// An instant as whole microseconds; null for what is none.
function instant(value) {
  const found = isText(value) && /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(value);
  const seconds = found ? Date.parse(found[1].replace(" ", "T") + found[3].toUpperCase()) : NaN;
  return Number.isNaN(seconds) ? null : `${seconds}.${(found[2] ?? "").replace(/0+$/, "")}`;
}

const canonical = (value) => JSON.stringify(value, (_, it) => (it && typeof it === "object" && !Array.isArray(it) ? Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1))) : it));
const agree = (own, said) => canonical(own) === canonical(said) || (instant(own) !== null && instant(own) === instant(said));

async function claimsOf(token, grant) {
  const [header, claims, signature, ...rest] = isText(token) ? token.split(".") : [];
  if (signature === undefined || rest.length > 0) return null;
  const url = (text) => text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const wanted = url(base64(utf8.encode(`{"alg":"EdDSA","kid":${JSON.stringify(at(grant, "kid"))},"typ":"eligibility+jwt"}`)));
  try {
    const padded = claims.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (claims.length % 4)) % 4);
    const bytes = fromBase64(padded, "");
    if (at(grant, "claims_sha256") !== `sha256:${hex(await sha256(bytes))}` || header !== wanted) return null;
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

async function compare(answer, body) {
  const differing = [];
  if (at(body, "kind") !== "check.decided") return { differing: ["/check"], merchant: null };
  const facts = at(body, "facts");
  const has = (name) => Object.hasOwn(answer, name);
  const judge = (pointer, own, said) => {
    if (!agree(own ?? null, said ?? null)) differing.push(pointer);
  };
  const judgeEach = (pointer, own, said, each) => {
    const [mine, theirs] = [own, said].map((value) => (Array.isArray(value) ? value : []));
    if (mine.length !== theirs.length) differing.push(pointer);
    else mine.forEach((item, nth) => each(`${pointer}/${nth}`, item, theirs[nth]));
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
  add("signature", "holds", `a trusted key signed ${signed.origin} up to size ${own}`);
  if (receipt.index < own) add("index", "holds", `the receipt’s event is in that, at index ${receipt.index}`);
  else add("index", "fails", `the receipt’s index ${receipt.index} is not in that`);
  const heads = new Heads(trusted, receipt.log, signed);
  const [links, reached] = [[], []];
  let body = null;
  for (const proof of proofs) {
    try {
      if (proof.kind === "inclusion") {
        const found = await included(receipt, proof, heads);
        body = found.body ?? body;
        reached.push(proof.size);
        add("leaf", "holds", found.detail, found.trail);
      } else {
        add("consistency", "holds", await consistent(proof, heads));
        links.push([proof.from, proof.to]);
      }
    } catch (error) {
      add(proof.kind === "inclusion" ? "leaf" : "consistency", "fails", error.message);
    }
  }
  if (!proofs.some((proof) => proof.kind === "inclusion")) add("leaf", "not_shown", "that the event stands there: give its proof");
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
      const compared = await compare(receipt.whole, body);
      merchant = compared.merchant;
      if (compared.differing.length === 0) add("answer", "holds", "the answer is what the event says");
      else add("answer", "fails", `the answer is not what the event says in ${compared.differing.join(", ")}`);
    }
  }
  const name = signed.origin.startsWith("perkgate/log_") ? merchant : signed.origin.split("/").at(-1);
  if (isText(name) && name !== receipt.log) add("log", "fails", `what is signed is the log of ${name}`);
  return { steps, anchor: { origin: signed.origin, size: own, root: base64(signed.root) } };
}

// Heads that were verified here before: a log that is shown in another version to the same browser gives itself away.
function keep(anchor, steps) {
  if (!anchor || steps.some((step) => step.status === "fails")) return null;
  const kept = JSON.parse(localStorage.getItem("perkgate.anchors") ?? "{}");
  const of = kept[anchor.origin] ?? {};
  const known = of[anchor.size];
  if (known === undefined) {
    const sizes = Object.entries({ ...of, [anchor.size]: anchor.root });
    kept[anchor.origin] = Object.fromEntries(sizes.sort(([a], [b]) => a - b).slice(-20));
    localStorage.setItem("perkgate.anchors", JSON.stringify(kept));
    return null;
  }
  if (known === anchor.root) return { step: "anchor", status: "holds", detail: "this browser saw the very same head before", trail: [] };
  return { step: "anchor", status: "fails", detail: `this browser saw another root for the size ${anchor.size} before: the log was shown in two versions`, trail: [] };
}

const WORDS = { holds: "Holds: ", fails: "Does not hold: ", not_shown: "Not shown: " };

function draw(list, verdict, steps) {
  const line = ({ step, status, detail, trail }) => {
    const item = document.createElement("li");
    const template = document.querySelector(`template[data-status="${status}"]`);
    const text = document.createElement("span");
    const word = Object.assign(document.createElement("span"), { className: "vh", textContent: WORDS[status] });
    text.append(word, `${step}: ${detail}`);
    if (trail.length > 0) {
      const more = document.createElement("details");
      const summary = Object.assign(document.createElement("summary"), { textContent: `${trail.length - 1} hashes on the way` });
      const hashes = document.createElement("ol");
      hashes.append(...trail.map((hash) => Object.assign(document.createElement("li"), { textContent: hash })));
      more.append(summary, hashes);
      text.append(more);
    }
    item.append(template.content.cloneNode(true), text);
    return item;
  };
  list.replaceChildren(...steps.map(line));
  const isWrong = steps.some((step) => step.status === "fails");
  const isWhole = steps.every((step) => step.status === "holds");
  verdict.className = `note ${isWrong ? "bad" : isWhole ? "good" : "warn"}`;
  verdict.textContent = isWrong
    ? `It does not hold: see ${steps.find((step) => step.status === "fails").step}.`
    : isWhole
      ? "Proved here, in your browser. Nothing was sent to the gateway for it: cut the network and try again."
      : "It holds, but not all of it was shown.";
  verdict.hidden = false;
}

function attach(form) {
  const [list, verdict] = [document.querySelector("[data-steps]"), document.querySelector("[data-verdict]")];
  const button = form.querySelector("[data-here]");
  if (!list || !verdict || !button || !globalThis.crypto?.subtle) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const value = (name) => form.elements[name]?.value.trim() ?? "";
    try {
      const proofs = ["proof", "consistency"].map(value).filter((text) => text !== "");
      const { steps, anchor } = await examine(value("receipt"), proofs, await readKeys(value("keys")));
      const again = keep(anchor, steps);
      draw(list, verdict, again ? [...steps, again] : steps);
    } catch (error) {
      const detail = error.name === "NotSupportedError" ? "this browser has no Ed25519: let the server verify it" : error.message;
      draw(list, verdict, [{ step: "reading", status: "fails", detail, trail: [] }]);
    }
  });
}

if (globalThis.document) for (const form of document.querySelectorAll("form[data-verify]")) attach(form);

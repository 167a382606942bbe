// What the browser keeps: the last state, the ids of the tokens that came in, those that wait to be reported, and what is
// still to be read about earlier ones. One transaction holds what belongs together, also between two tabs; what waits is
// sealed under a key that no script can read.
const NAME = "perkgate-door";
/** How many wait, beside the database: a browser that emptied it is found out by that. */
const WAITING = "door-waiting";

let opening = null;
const done = (request) =>
  new Promise((found, fail) => {
    request.onsuccess = () => found(request.result);
    request.onerror = () => fail(request.error);
  });

function waited() {
  try {
    return JSON.parse(localStorage.getItem(WAITING)) ?? { count: 0 };
  } catch {
    return { count: 0 };
  }
}

function noteWaiting(count) {
  const { since } = waited();
  try {
    if (count === 0) localStorage.removeItem(WAITING);
    else localStorage.setItem(WAITING, JSON.stringify({ count, since: since ?? gatewayTime() }));
  } catch {
    // It is a mark beside what is kept, and undoes nothing that is.
  }
}

function open() {
  opening ??= new Promise((opened, fail) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      const db = request.result;
      for (const name of ["kept", "taken"]) db.createObjectStore(name);
      db.createObjectStore("queue", { autoIncrement: true });
      const notes = db.createObjectStore("notes", { autoIncrement: true });
      const { count, since } = waited();
      // It is new, and yet some waited: the browser has emptied it.
      if (count > 0) notes.add({ kind: "lost", count, since });
      noteWaiting(0);
    };
    request.onsuccess = () => {
      const db = request.result;
      db.onclose = () => { opening = null; };
      db.onversionchange = () => {
        db.close();
        opening = null;
      };
      opened(db);
    };
    request.onerror = () => {
      opening = null;
      fail(request.error);
    };
  });
  return opening;
}

async function begun(names, mode) {
  try {
    return (await open()).transaction(names, mode, { durability: "strict" });
  } catch (error) {
    // It was closed under us: once more, by a new connection.
    if (error.name !== "InvalidStateError") throw error;
    opening = null;
    return (await open()).transaction(names, mode, { durability: "strict" });
  }
}

/** Does all of `work` in one transaction, or nothing; returns when it is on the disk. */
async function within(names, mode, work) {
  const all = await begun(names, mode);
  const over = new Promise((finish, fail) => {
    all.oncomplete = finish;
    all.onabort = () => fail(all.error ?? new DOMException("nothing was kept", "AbortError"));
  });
  over.catch(() => {});
  try {
    const value = await work((name) => all.objectStore(name));
    await over;
    return value;
  } catch (error) {
    if (error.name !== "AbortError" && !all.error) all.abort();
    throw error;
  }
}

const recall = (name) => within(["kept"], "readonly", (of) => done(of("kept").get(name)));
const keep = (name, value) => within(["kept"], "readwrite", (of) => done(value === null ? of("kept").delete(name) : of("kept").put(value, name)));

/** The key that seals what waits. It is made once, and never leaves the browser, not even for this page. */
async function sealingKey() {
  const known = await recall("key");
  if (known) return known;
  const made = { id: crypto.randomUUID(), key: await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]) };
  return within(["kept"], "readwrite", async (of) => {
    const first = await done(of("kept").get("key"));
    if (!first) of("kept").put(made, "key");
    return first ?? made;
  });
}

async function seal(entry) {
  const { id, key } = await sealingKey();
  const iv = crypto.getRandomValues(new Uint8Array(12));
  return { by: id, iv, sealed: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(JSON.stringify(entry))) };
}

async function unseal({ by, iv, sealed }) {
  const { id, key } = await sealingKey();
  if (id !== by) return null;
  const bytes = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed).catch(() => null);
  return bytes && JSON.parse(new TextDecoder().decode(bytes));
}

/** Asks the browser to keep it. Returns what it says: kept for good, and nearly full. */
async function askToKeep() {
  const persisted = (await navigator.storage?.persist?.().catch(() => false)) ?? false;
  const { usage = 0, quota = Infinity } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
  return { persisted, isShort: usage > quota * 0.9 };
}

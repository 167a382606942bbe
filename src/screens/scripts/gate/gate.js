// What goes on: the reader, the gateway, and what waits.
const LOOKS = { online: 10_000, offline: 5_000 };

let waiting = 0;
let today = null;
/** The latest time that was seen since the gateway was asked. */
let latest = 0;
let camera = null;
let isAble = true;
let storage = { persisted: true, isShort: false, fault: false };

const todayIn = () => (today && door && today.day === dayOf(gatewayTime()) ? today.people : 0);
const sleep = (wait) => new Promise((over) => setTimeout(over, wait));
/** Other tabs of this door, which show what this one wrote. */
const others = new BroadcastChannel("perkgate-door");
others.onmessage = () => refresh();

/** Something was written: here, and in the other tabs, it is read again. */
function changed() {
  others.postMessage("");
  return refresh();
}

async function refresh() {
  try {
    [waiting, today] = [await waits(), await recall("today")];
    noteWaiting(waiting);
    storage.fault = false;
  } catch {
    storage.fault = true;
  }
  tick();
  if (["ready", "news"].includes(view.name)) {
    const read = await news().catch(() => null);
    if (read && ["ready", "news"].includes(view.name)) showNews(read);
    else if (!read && view.name === "news") ready();
    else if (view.name === "ready") at("warnings").replaceChildren(...warnings());
  }
}

async function scanned(words) {
  const token = words.trim();
  if (token === "" || ["asking", "off"].includes(view.name)) return;
  // A token that is held there on and on has its answer.
  if (view.name === "yes" && view.token === token) return;
  const own = show("asking", { look: "ready", say: [], focus: false });
  const slow = setTimeout(() => view === own && at("say").replaceChildren(head("One moment")), 400);
  const answer = await answerTo(token).catch(() => ({ ask: door ? "storage" : "no_keys" }));
  clearTimeout(slow);
  if (view.name === "off") return;
  // The entry is on the disk: what waits is read before it is shown, and everything else after it.
  if (answer.waiting) waiting = answer.waiting;
  if (answer.off) showOff();
  else if (answer.yes) showYes(answer);
  else if (answer.no) showNo(answer);
  else showAsk(answer);
  if (view.name === "yes") view.token = token;
  changed();
}

/** What the reader read: false where it is typed into a field. */
function taken(words) {
  if (view.name === "typing") return false;
  scanned(words);
  return true;
}

let looking = null;
/** Asks for the state and the keys; one at a time. What waits is reported when the gateway answers. */
function look() {
  looking ??= lookOnce().finally(() => { looking = null; });
  return looking;
}

async function lookOnce() {
  const reply = await callDoor(`/door/state?page=${page.version}`);
  if (reply?.status === 401) return void showOff();
  // It is there, and has much to do. Whatever else answers in its place says nothing of keys.
  if (reply?.status === 429) return refresh();
  if (reply?.status === 200 && reply.value?.keys?.keys) {
    const since = offlineSince;
    // The time by the gateway's clock, with which the phone's was compared just now.
    door = { ...reply.value, at: gatewayTime(), versions: versionsOf(reply.value) };
    latest = door.at;
    offlineSince = null;
    await keep("state", { door, skew }).catch(() => {});
    if (since) await keep("offline", null).catch(() => {});
    if (since && view.name === "ready") ready();
    // Once a version: while two of them answer at one address, each would ask for the other.
    if (door.version && door.version !== page.version && view.name === "ready" && sessionStorage.getItem("version") !== door.version) {
      sessionStorage.setItem("version", door.version);
      return location.reload();
    }
    report().then((status) => status === 401 && showOff()).catch(() => {});
  } else if (!offlineSince) {
    offlineSince = gatewayTime();
    await keep("offline", offlineSince).catch(() => {});
    if (view.name === "ready") ready();
  }
  return refresh();
}

async function follow() {
  for (;;) {
    await sleep(offlineSince ? LOOKS.offline : LOOKS.online);
    if (view.name !== "off") await look();
  }
}

async function armCamera() {
  const read = await readerOfPictures();
  if (!read) return;
  const isReady = () => !["asking", "off", "typing"].includes(view.name);
  const arm = async () => {
    camera = { picture: await listenToCamera(read, isReady, taken, "environment").catch(() => null) };
    if (view.name === "ready") ready();
  };
  const permission = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
  if (permission?.state === "granted") return void (await arm());
  if (permission?.state === "denied") return;
  camera = { ask: arm };
  if (view.name === "ready") ready();
}

/** What an earlier page knew, so that a reload without a network goes on. */
async function takeUp() {
  const kept = await recall("state").catch(() => null);
  if (!kept) return;
  ({ door, skew } = kept);
  offlineSince = (await recall("offline").catch(() => null)) ?? null;
  latest = Math.max(door.at, (await recall("latest").catch(() => null)) ?? 0);
}

listenToScanner(taken);
document.addEventListener("paste", (event) => {
  if (view.name !== "typing") scanned(event.clipboardData.getData("text"));
});
addEventListener("online", () => look());
// A phone that was asleep has looked at nothing meanwhile.
document.addEventListener("visibilitychange", () => document.hidden || look());
isAble = await canCheck();
storage = { ...storage, ...(await askToKeep()) };
await takeUp();
await refresh();
await ready();
setInterval(tick, 500);
setInterval(() => { latest = Math.max(latest, gatewayTime()); }, 5_000);
await look();
follow();
const keepTidy = () => tidy().catch(() => {});
setInterval(keepTidy, 3_600_000);
keepTidy();
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/door/worker.js", { scope: "/door" }).catch(() => {});
await armCamera();

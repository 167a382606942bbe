// The states of a kiosk.
const CLEARS = { granted: 30, refused: 45, limit: 45, early: 45, ended: 45, waiting: 180, unread: 45, fault: 45, typing: 60 };
const MOST_PEOPLE = 20;
const ANOTHER_COMES = 60_000;
const DIMS = 120_000;
const SHOWN = "shown";

let people = 1;
let camera = null;
let awaySince = null;
let nextLook = Date.now();

const icon = (d) => svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d }));

/** How many come. It stands until someone else does. */
function partyKeys() {
  const count = el("output", {}, number(people));
  const more = (by) => () => {
    people = Math.min(MOST_PEOPLE, Math.max(1, people + by));
    count.textContent = number(people);
  };
  const key = (name, d, by) => el("button", { type: "button", class: "k-btn", "aria-label": text(name), onclick: more(by) }, icon(d));
  return el("fieldset", { class: "k-party" }, el("legend", {}, text("kiosk.type.people")), key("kiosk.type.fewer", "M5 12h14", -1), count, key("kiosk.type.more", "M12 5v14M5 12h14", 1));
}

// Idle.

function pictureOfPass() {
  const bar = (x, y, width) => svg("rect", { x, y, width, height: 14, rx: 4, fill: "#c3cdd1" });
  const code = Array.from({ length: 64 }, (_, nth) => (nth * 7919) % 5 < 2 && svg("rect", { x: 556 + (nth % 8) * 18, y: 116 + Math.floor(nth / 8) * 18, width: 18, height: 18 }));
  return svg("svg", { class: "pass", viewBox: "0 0 760 392", role: "img", "aria-label": text("kiosk.idle.picture") },
    svg("rect", { x: 30, y: 30, width: 700, height: 270, rx: 22, fill: INK }), svg("rect", { x: 30, y: 30, width: 700, height: 58, rx: 22, fill: "#22313c" }), svg("rect", { x: 30, y: 66, width: 700, height: 22, fill: "#22313c" }),
    stroke("M64 150h90M300 150h90M216 150h56M258 138l14 12-14 12", "#14212a", 8), bar(64, 214, 100), bar(64, 250, 140), bar(240, 214, 80), bar(240, 250, 100), bar(380, 214, 60), bar(380, 250, 90),
    svg("path", { d: "M520 100v190", stroke: "#101a21", "stroke-width": 4, "stroke-dasharray": "4 14", "stroke-linecap": "round" }), svg("g", { fill: "#14212a" }, code.filter(Boolean)),
    stroke("M0 340h760", SIGNAL, 8), svg("path", { d: "M150 344h460l40 46H110z", fill: "#22313c" }));
}

function boardOf() {
  if (!place) return [];
  const rows = place.tiers.map((tier) => el("div", {}, el("b", {}, tier.names[language.tag] ?? tier.name), tier.free !== null && el("span", { class: "r" }, text("kiosk.idle.free", { count: tier.free }))));
  const inside = place.capacity === null ? "" : ` ${text("kiosk.idle.inside", { inside: place.inside, capacity: place.capacity })}`;
  return [el("div", { class: "k-board" }, rows), el("p", { class: "k-open" }, `${hoursOf(place)}${inside}`)];
}

function idle() {
  forget();
  sessionStorage.removeItem(SHOWN);
  people = 1;
  if (awaySince) return away();
  const board = el("div", { class: "k-wide" });
  const paint = () => {
    const picture = camera?.picture?.() ?? pictureOfPass();
    const scan = el("div", { class: "k-scan" }, picture, place?.asks_party && partyKeys(), el("div", { class: "inline" }, button("kiosk.idle.type", () => typing(), true), camera?.ask && button("kiosk.idle.camera", camera.ask)));
    board.replaceChildren(...boardOf());
    show({ look: "idle", say: [heading("kiosk.idle.title"), el("p", { class: "lead" }, text("kiosk.idle.lead"))], rest: [scan, board], focus: false });
  };
  let asked = place?.asks_party;
  const tick = () => {
    const untouched = Date.now() - Math.max(touched, state.since);
    document.body.classList.toggle("dim", untouched > DIMS);
    if (untouched <= ANOTHER_COMES) return;
    forgetLanguage();
    if (people === 1) return;
    people = 1;
    draw();
  };
  const entered = enter("idle", paint, tick);
  entered.touch = tick;
  // Only what changed is drawn: who presses a button there must not lose it.
  entered.refresh = () => {
    if (asked === place.asks_party) return board.replaceChildren(...boardOf());
    asked = place.asks_party;
    return draw();
  };
  return entered;
}

// Typing.

const KEYS = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm:_@", ".-"];

function typing() {
  let who = "";
  const paint = () => {
    const field = el("input", { id: "who", autocomplete: "off", autocapitalize: "none", spellcheck: "false", inputmode: "none", dir: "ltr", "aria-describedby": "how" });
    field.value = who;
    field.addEventListener("input", () => { who = field.value; });
    const press = (sign) => () => {
      field.value = sign === "" ? field.value.slice(0, -1) : field.value + sign;
      who = field.value;
    };
    const rows = KEYS.map((row) => el("div", {}, [...row].map((key) => el("button", { type: "button", onclick: press(key) }, key.toUpperCase()))));
    rows.at(-1).append(el("button", { type: "button", class: "wide", onclick: press("") }, text("kiosk.type.delete")));
    const form = el("form", { class: "k-type", onsubmit: (event) => { event.preventDefault(); if (who.trim()) begin(who.trim()); } },
      el("h1", {}, el("label", { for: "who" }, text("kiosk.type.title"))), el("p", { class: "lead", id: "how" }, text("kiosk.type.lead")), field,
      place?.asks_party !== false && partyKeys(),
      el("div", { class: "k-keys", role: "group", "aria-label": text("kiosk.type.keyboard"), dir: "ltr" }, rows),
      el("div", { class: "inline" }, button("kiosk.type.back", () => idle()), el("button", { class: "k-btn fill" }, text("kiosk.type.ask"))));
    const { foot, tick } = clearing(state, CLEARS.typing, { most: 3_600, key: "kiosk.type.foot", over: idle });
    every = tick;
    const begins = isNew;
    show({ look: "typing", rest: [form], one: true, foot: [foot], focus: false });
    if (begins) field.focus();
  };
  return enter("typing", paint, () => every());
}

// Asking.

async function begin(read) {
  if (state.name === "asking" || state.name === "off") return;
  const count = people;
  const own = enter("asking", () => {});
  const attempt = await attemptFor(read, count);
  if (state === own) await asking(attempt, own, { read, flight: flightOf(read), count });
}

async function asking(attempt, own, about = {}) {
  keep(attempt);
  // Who leaves here, by any way, waits for it no more.
  own.leave = () => drop(attempt);
  const isOver = () => state !== own;
  let slow = null;
  const paint = () => {
    if (own.next) return paintAway(own, () => own.next, () => idle());
    const read = about.flight ? text("kiosk.asking.pass", { flight: about.flight }) : text("kiosk.asking.read");
    const done = "M4 12.5 9.5 18 20 6.5";
    const steps = [[read, done], about.count > 1 && [text("kiosk.asking.guests", { guests: about.count - 1 }), done], [text("kiosk.asking.busy"), "M12 7v5.5l3.5 2M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0"]];
    slow = el("span", { role: "status" }, Date.now() - own.since > 2_000 && text("kiosk.asking.slow"));
    const items = steps.filter(Boolean).map(([words, d]) => el("li", {}, icon(d), el("span", {}, words)));
    show({ look: "busy", say: [heading("kiosk.asking.title")], rest: [el("ul", { class: "k-steps" }, items, el("li", { class: "todo" }, slow))], one: true, foot: [el("p", {}, text("kiosk.asking.foot"))], acts: [button("kiosk.cancel", () => idle())] });
    return undefined;
  };
  const begins = () => {
    draw = paint;
    paint();
  };
  const isPlain = () => !isOver() && !own.next;
  const timers = [setTimeout(() => isPlain() && begins(), 400), setTimeout(() => isPlain() && slow.replaceChildren(text("kiosk.asking.slow")), 2_050)];
  const waits = async (wait, reply) => {
    const isFirst = !own.next;
    own.next = Date.now() + wait;
    if (reply?.status !== 429) awaySince ??= Date.now();
    if (isFirst) {
      isNew = true;
      begins();
    }
    await sleep(wait);
  };
  const answer = await ask(attempt, { waits, isOver, until: GIVE_UP });
  timers.forEach(clearTimeout);
  if (isOver()) return undefined;
  if (answer === "over") return idle();
  awaySince = null;
  if (answer === "stale" && !attempt.isReloaded) {
    // The page that comes goes on with it.
    keep({ ...attempt, isReloaded: true });
    return location.reload();
  }
  own.leave = null;
  forget();
  if (answer === "off") return off();
  if (typeof answer === "string") {
    recent = null;
    return sorry(answer === "unread" ? answer : "fault");
  }
  if (answer.form === "ended" && attempt.isAgain) {
    own.next = null;
    return asking(attemptAfter(attempt), own, about);
  }
  wasShown(attempt, answer);
  return answered(answer, { read: about.read });
}

/** The screen of a gateway that can't be reached, built once: only its seconds run. */
function paintAway(own, next, cancel) {
  const words = el("span", {});
  every = () => {
    words.textContent = text("kiosk.away.next", { time: time((awaySince ?? own.since) + skew, zone()), seconds: Math.max(0, Math.ceil((next() - Date.now()) / 1_000)) });
  };
  show({ look: "away", role: "alert", one: true, say: [MARKS.away(), heading("kiosk.away.title"), el("p", { class: "lead" }, text("kiosk.away.lead")), el("p", { class: "also" }, text("kiosk.away.also"))], foot: [el("p", {}, words)], acts: [cancel && button("kiosk.cancel", cancel)] });
  every();
}

/** Nobody asks, and the gateway can't be reached. */
function away() {
  return enter("away", () => paintAway(state, () => nextLook), () => every());
}

/** The gateway can be reached, and this screen can't be used as it was set up. */
function unready({ detail }) {
  sessionStorage.removeItem(SHOWN);
  const paint = () => show({ look: "away", one: true, say: [MARKS.away(), heading("kiosk.fault.title"), el("p", { class: "lead" }, text("kiosk.fault.lead")), el("p", { class: "also", lang: "en", dir: "ltr" }, detail)] });
  return enter("unready", paint);
}

// Answers.

function answered(answer, { read = null, until } = {}) {
  const own = enter(answer.form, () => {});
  Object.assign(own, { read, until });
  draw = () => {
    const shown = screenOf(answer, zone());
    const { foot, tick } = clearing(own, CLEARS[answer.form], { over: idle, ...(answer.form === "granted" ? { most: 120 } : {}) });
    every = () => {
      shown.tick();
      tick();
    };
    show({ ...shown, one: !shown.rest, foot: [foot], acts: [button("kiosk.done", () => idle(), true)] });
  };
  draw();
  every();
  store(SHOWN, { answer, until: own.until });
  sound(answer.form);
  if (answer.form === "waiting") poll(answer, own);
}

async function poll(answer, own) {
  while (state === own) {
    await sleep(2_000);
    if (state !== own) return;
    const reply = await call("/kiosk/checks/again", { body: JSON.stringify({ check: answer.check }) });
    if (state !== own) return;
    if (reply?.status === 401) off();
    else if (reply?.status === 200 && reply.value.form !== "waiting") answered(reply.value, { read: own.read });
  }
}

const SORRY = { unread: ["kiosk.unread.title", "kiosk.unread.lead"], fault: ["kiosk.fault.title", "kiosk.fault.lead"] };

function sorry(why) {
  const [title, lead] = SORRY[why];
  const own = enter(why, () => {});
  draw = () => {
    const { foot, tick } = clearing(own, CLEARS[why], { over: idle });
    every = tick;
    show({ look: "kind", one: true, say: [MARKS.refused(), heading(title), el("p", { class: "lead" }, text(lead))], foot: [foot], acts: [button("kiosk.idle.type", () => typing()), button("kiosk.done", () => idle(), true)] });
  };
  draw();
  every();
}

function off() {
  forget();
  sessionStorage.removeItem(SHOWN);
  const since = gatewayTime();
  const paint = () => show({ look: "away", role: "alert", one: true, say: [MARKS.away(), heading("kiosk.off.title"), el("p", { class: "lead" }, text("kiosk.off.lead", { time: time(since, zone()) }))], acts: [el("a", { class: "k-btn", href: "/pair" }, text("kiosk.off.pair"))] });
  return enter("off", paint);
}

// What goes on beside the states.

/** What the reader read: true where it is no key for what is on the screen. */
function taken(scanned) {
  if (state.name === "asking" || state.name === "off") return true;
  if (state.name === "typing" && scanned.length < 20) return false;
  // A pass that is held there on and on has its answer.
  if (state.name !== "granted" || state.read !== scanned) begin(scanned);
  return true;
}

async function armCamera() {
  const read = await readerOfPictures();
  if (!read) return;
  const ready = () => ["idle", "granted", "refused", "limit", "early", "ended", "unread", "fault"].includes(state.name);
  const arm = async () => {
    camera = { picture: await listenToCamera(read, ready, taken).catch(() => null) };
    if (state.name === "idle") draw();
  };
  const permission = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
  if (permission?.state === "granted") return void (await arm());
  if (permission?.state === "denied") return;
  camera = { ask: arm };
  if (state.name === "idle") draw();
}

const isOfAnotherVersion = () => place.version && place.version !== page.version;

async function look() {
  const reply = await call(`/kiosk/state?page=${page.version}`);
  const waits = ["loading", "idle", "away", "unready"].includes(state.name);
  if (reply?.status === 401) return void (state.name !== "off" && off());
  if (reply?.status === 403) return void (waits && location.reload());
  if (reply?.status === 409) return void (waits && state.name !== "unready" && ((awaySince = null), unready(reply.value)));
  if (reply?.status === 200) {
    place = reply.value;
    awaySince = null;
    if (state.name === "idle" && isOfAnotherVersion() && Date.now() - touched > 10_000) return location.reload();
    if (state.name === "idle") state.refresh?.();
    else if (state.name !== "loading" && waits) idle();
  } else if (!reply || reply.status >= 500) {
    awaySince ??= Date.now();
    if (state.name === "idle") away();
  }
  return undefined;
}

async function follow() {
  for (let nth = 0; ; nth = awaySince ? nth + 1 : 0) {
    const wait = awaySince ? pause(nth) : 15_000;
    nextLook = Date.now() + wait;
    await sleep(wait);
    await look();
  }
}

for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, () => {
    touched = Date.now();
    state.touch?.();
    allowSound();
  });
}

await loadWords();
chooseSound();
showLanguages();
listenToScanner(taken);
setInterval(() => {
  clock(zone());
  every();
}, 1_000);
// What stands in the browser of a person is used now, or removed now.
const [begun, was] = [takeUp(), stored(SHOWN)];
const isShown = was?.until > Date.now();
if (!isShown) sessionStorage.removeItem(SHOWN);
state = { name: "loading" };
await look();
clock(zone());
follow();
if (state.name === "loading") {
  if (begun) asking(begun, enter("asking", () => {}));
  else if (isShown) answered(was.answer, { until: was.until });
  else idle();
} else if (begun) {
  forget();
  drop(begun);
}
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/kiosk/worker.js", { scope: "/kiosk" }).catch(() => {});
await armCamera();

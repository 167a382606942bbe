// The kiosk: one state at a time. Whatever leaves a state takes with it what was on the screen.
const CLEARS = { granted: 30, refused: 45, limit: 45, early: 45, waiting: 180, unread: 45, fault: 45, typing: 60 };
const SHOWN = "shown";

let place = null;
let state = { name: "idle" };
let draw = () => {};
let every = () => {};
let awaySince = null;

const zone = () => place?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
const button = (key, press, fill) => el("button", { type: "button", class: fill ? "k-btn fill" : "k-btn", onclick: press }, text(key));

function show({ look, say = [], rest = [], foot = [], acts = [], one = false, focus = true, role = "status" }) {
  document.body.className = `kiosk ${look}`;
  at("main").className = one ? "k-main one" : "k-main";
  at("say").setAttribute("role", role);
  at("say").replaceChildren(...say.flat().filter(Boolean));
  at("rest").replaceChildren(...rest.flat().filter(Boolean));
  at("foot").replaceChildren(...foot.flat().filter(Boolean));
  at("acts").replaceChildren(...acts.flat().filter(Boolean));
  if (focus) document.querySelector("main h1")?.focus();
}

function enter(name, paint, tick = () => {}) {
  state = { name, since: Date.now() };
  every = tick;
  draw = paint;
  paint();
  tick();
  return state;
}

/** The countdown of a screen that clears itself; a touch gives it more time, where it is told to. */
function clearing(entered, seconds, { most = seconds, over = idle, key = "kiosk.clears" } = {}) {
  const bar = el("progress", { max: seconds, "aria-hidden": "true" });
  const words = el("span", {});
  entered.until ??= Date.now() + seconds * 1_000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((entered.until - Date.now()) / 1_000));
    words.textContent = text(key, { seconds: left });
    bar.value = Math.min(left, seconds);
    if (left === 0 && state === entered) over();
  };
  entered.touch = () => {
    entered.until = Math.min(Date.now() + seconds * 1_000, entered.since + most * 1_000);
  };
  return { foot: el("p", {}, words, bar), tick };
}

function languageKeys() {
  const key = (it) => el("button", { type: "button", lang: it.tag, "aria-pressed": String(it === language), onclick: () => choose(it) }, it.name);
  return el("nav", { class: "k-langs", "aria-label": text("kiosk.languages") }, languages.map(key));
}

async function choose(it) {
  speak(await learn(it));
  sessionStorage.setItem("language", it.tag);
  draw();
  every();
  clock(zone());
  document.querySelector(`.k-langs [lang="${it.tag}"]`)?.focus();
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
  if (!place) return null;
  const rows = place.tiers.map((tier) => el("div", {}, el("b", {}, tier.name), tier.free !== null && el("span", { class: "r" }, text("kiosk.idle.free", { count: tier.free }))));
  const until = place.until && moment(Date.parse(place.until), zone(), Date.now());
  const hours = text(`kiosk.idle.${place.state === "open" ? "open" : "closed"}${until ? "_until" : ""}`, { time: until });
  const inside = place.capacity === null ? "" : ` ${text("kiosk.idle.inside", { inside: place.inside, capacity: place.capacity })}`;
  return el("div", { class: "k-wide" }, el("div", { class: "k-board" }, rows), el("p", { class: "k-open" }, `${hours}${inside}`));
}

function idle() {
  forget();
  sessionStorage.removeItem(SHOWN);
  if (awaySince) return away();
  const paint = () => {
    const scan = el("div", { class: "k-scan" }, pictureOfPass(), el("div", { class: "inline" }, button("kiosk.idle.type", () => typing(), true)));
    show({ look: "idle", say: [heading("kiosk.idle.title"), el("p", { class: "lead" }, text("kiosk.idle.lead"))], rest: [scan, boardOf()], foot: [languageKeys()], focus: false });
  };
  return enter("idle", paint, () => document.body.classList.toggle("dim", Date.now() - state.since > 120_000));
}

// Typing.

const KEYS = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm:_@", ".-"];

function typing() {
  let [who, people] = ["", 1];
  const entered = { name: "typing" };
  const paint = () => {
    const field = el("input", { id: "who", autocomplete: "off", autocapitalize: "none", spellcheck: "false", inputmode: "none", dir: "ltr", "aria-describedby": "how" });
    field.value = who;
    field.addEventListener("input", () => { who = field.value; });
    const count = el("output", {}, number(people));
    const press = (sign) => () => {
      field.value = sign === "" ? field.value.slice(0, -1) : field.value + sign;
      who = field.value;
    };
    const more = (by) => () => {
      people = Math.min(20, Math.max(1, people + by));
      count.textContent = number(people);
    };
    const sign = (d) => svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d }));
    const rows = KEYS.map((row) => el("div", {}, [...row].map((key) => el("button", { type: "button", onclick: press(key) }, key.toUpperCase()))));
    rows.at(-1).append(el("button", { type: "button", class: "wide", onclick: press("") }, text("kiosk.type.delete")));
    const form = el("form", { class: "k-type", onsubmit: (event) => { event.preventDefault(); if (who.trim()) begin(who.trim(), people); } },
      el("h1", {}, el("label", { for: "who" }, text("kiosk.type.title"))), el("p", { class: "lead", id: "how" }, text("kiosk.type.lead")), field,
      place?.asks_party !== false && el("fieldset", { class: "k-party" }, el("legend", {}, text("kiosk.type.people")),
        el("button", { type: "button", class: "k-btn", "aria-label": text("kiosk.type.fewer"), onclick: more(-1) }, sign("M5 12h14")), count,
        el("button", { type: "button", class: "k-btn", "aria-label": text("kiosk.type.more"), onclick: more(1) }, sign("M12 5v14M5 12h14"))),
      el("div", { class: "k-keys", role: "group", "aria-label": text("kiosk.type.keyboard"), dir: "ltr" }, rows),
      el("div", { class: "inline" }, button("kiosk.type.back", () => idle()), el("button", { class: "k-btn fill" }, text("kiosk.type.ask"))));
    const { foot, tick } = clearing(state, CLEARS.typing, { most: 3_600, key: "kiosk.type.foot" });
    every = tick;
    show({ look: "typing", rest: [form], one: true, foot: [foot], focus: false });
    field.focus();
  };
  return enter(entered.name, paint, () => every());
}

// Asking.

async function begin(read, people = 1) {
  if (state.name === "asking" || state.name === "off") return false;
  const own = enter("asking", () => {});
  const attempt = await attemptFor(read, people);
  return asking(attempt, flightOf(read), people, own);
}

async function asking(attempt, flight, people, own) {
  keep(attempt);
  own.attempt = attempt;
  let next = null;
  const done = () => state !== own;
  const paint = () => {
    if (next) return paintAway(next, own);
    const steps = [[flight ? text("kiosk.asking.pass", { flight }) : text("kiosk.asking.read"), "M4 12.5 9.5 18 20 6.5"], people > 1 && [text("kiosk.asking.guests", { guests: people - 1 }), "M4 12.5 9.5 18 20 6.5"], [text("kiosk.asking.busy"), "M12 7v5.5l3.5 2M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0"]];
    const item = ([words, d]) => el("li", {}, svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d })), el("span", {}, words));
    const slow = Date.now() - own.since > 2_000 && el("li", { class: "todo" }, el("span", {}, text("kiosk.asking.slow")));
    show({ look: "busy", say: [heading("kiosk.asking.title")], rest: [el("ul", { class: "k-steps" }, steps.filter(Boolean).map(item), slow)], one: true, foot: [el("p", {}, text("kiosk.asking.foot"))], acts: [button("kiosk.cancel", () => cancel(own))] });
  };
  draw = () => {};
  const soon = setTimeout(() => !done() && !next && ((draw = paint), paint()), 400);
  const later = setTimeout(() => !done() && !next && paint(), 2_050);
  const waits = async (wait, reply) => {
    next = Date.now() + wait;
    if (reply?.status !== 429) awaySince ??= Date.now();
    draw = paint;
    paint();
    await Promise.race([sleep(wait), own.again ?? new Promise(() => {})]);
  };
  const answer = await ask(attempt, { waits, isOver: done, until: GIVE_UP });
  clearTimeout(soon);
  clearTimeout(later);
  if (done()) return true;
  awaySince = typeof answer === "string" && answer === "over" ? awaySince : null;
  forget();
  if (answer === "off") return off();
  if (answer === "stale") return location.reload();
  if (answer === "over") {
    drop(attempt);
    return idle();
  }
  if (typeof answer === "string") {
    recent = null;
    return sorry(answer);
  }
  return answered(answer);
}

function cancel(own) {
  const { attempt } = own;
  idle();
  drop(attempt);
}

function paintAway(next, own) {
  const words = el("span", {});
  const tick = () => {
    words.textContent = text("kiosk.away.next", { time: time(awaySince ?? own.since, zone()), seconds: Math.max(0, Math.ceil((next - Date.now()) / 1_000)) });
  };
  every = tick;
  show({ look: "away", role: "alert", one: true, say: [MARKS.away(), heading("kiosk.away.title"), el("p", { class: "lead" }, text("kiosk.away.lead")), el("p", { class: "also" }, text("kiosk.away.also"))], foot: [el("p", {}, words), languageKeys()], acts: [own.attempt && button("kiosk.cancel", () => cancel(own))] });
  tick();
}

/** Nobody asks, and the gateway can't be reached. */
function away() {
  const own = enter("away", () => {});
  draw = () => paintAway(own.next ?? Date.now(), own);
  draw();
  return own;
}

// Answers.

function answered(answer, until) {
  const now = Date.now();
  const own = enter(answer.form, () => {});
  own.until = until;
  let tickScreen = () => {};
  draw = () => {
    const shown = screenOf(answer, zone(), Date.now());
    const { foot, tick } = clearing(own, CLEARS[answer.form], answer.form === "granted" ? { most: 120 } : {});
    show({ look: shown.look, say: shown.say, rest: shown.rest, foot: [foot], acts: [button("kiosk.done", () => idle(), true)] });
    tickScreen = () => {
      shown.tick(Date.now());
      tick();
    };
    every = tickScreen;
  };
  draw();
  every();
  sessionStorage.setItem(SHOWN, JSON.stringify({ answer, until: own.until }));
  sound(answer.form);
  if (answer.form === "waiting") poll(answer, own);
  return now;
}

async function poll(answer, own) {
  while (state === own) {
    await sleep(2_000);
    if (state !== own) return;
    const reply = await call("/kiosk/checks/again", { body: JSON.stringify({ check: answer.check }) });
    if (state !== own) return;
    if (reply?.status === 401) return void off();
    if (reply?.status === 200 && reply.value.form !== "waiting") return void answered(reply.value);
  }
}

function sorry(why) {
  const own = enter(why, () => {});
  draw = () => {
    const { foot, tick } = clearing(own, CLEARS[why]);
    every = tick;
    show({ look: "kind", one: true, say: [MARKS.refused(), heading(`kiosk.${why}.title`), el("p", { class: "lead" }, text(`kiosk.${why}.lead`))], foot: [foot], acts: [button("kiosk.idle.type", () => typing()), button("kiosk.done", () => idle(), true)] });
  };
  draw();
  every();
}

function off() {
  forget();
  sessionStorage.removeItem(SHOWN);
  const since = Date.now();
  const paint = () => show({ look: "away", role: "alert", one: true, say: [MARKS.away(), heading("kiosk.off.title"), el("p", { class: "lead" }, text("kiosk.off.lead", { time: time(since, zone()) }))], foot: [languageKeys()], acts: [el("a", { class: "k-btn", href: "/pair" }, text("kiosk.off.pair"))] });
  return enter("off", paint);
}

// Two rising notes for yes, one low for no.
function sound(form) {
  if (localStorage.getItem("sound") === "off") return;
  try {
    const audio = new AudioContext();
    const notes = form === "granted" ? [[660, 0], [880, 0.14]] : [[220, 0]];
    for (const [pitch, from] of notes) {
      const [tone, gain] = [audio.createOscillator(), audio.createGain()];
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.08, audio.currentTime + from);
      gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + from + 0.2);
      tone.connect(gain).connect(audio.destination);
      tone.start(audio.currentTime + from);
      tone.stop(audio.currentTime + from + 0.22);
    }
    setTimeout(() => audio.close(), 1_000);
  } catch {
    // A kiosk without a loudspeaker says it all on its screen.
  }
}

// What goes on beside the states.

function taken(scanned) {
  if (state.name === "asking" || state.name === "off") return true;
  if (state.name === "typing" && scanned.length < 20) return false;
  begin(scanned);
  return true;
}

async function look() {
  const reply = await call(`/kiosk/state?page=${page.version}`);
  if (reply?.status === 401) return void (state.name !== "off" && off());
  if (reply?.status === 403) return void (state.name === "idle" && location.reload());
  if (reply?.status === 200) {
    const was = JSON.stringify([place?.tiers, place?.state, place?.until, place?.inside]);
    place = reply.value;
    awaySince = null;
    if (state.name === "away") return void idle();
    const is = JSON.stringify([place.tiers, place.state, place.until, place.inside]);
    if (state.name === "idle" && was !== is) draw();
  } else if (!reply || reply.status >= 500) {
    awaySince ??= Date.now();
    if (state.name === "idle") away();
  }
}

async function follow() {
  for (let nth = 0; ; nth += 1) {
    await look();
    if (!awaySince) nth = 0;
    const wait = awaySince ? jitter(PAUSES[Math.min(nth, PAUSES.length - 1)]) : 15_000;
    state.next = Date.now() + wait;
    if (state.name === "away") draw();
    await sleep(wait);
  }
}

for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, () => {
    state.touch?.();
    if (state.name === "idle") state.since = Date.now();
  });
}

await loadWords();
listenToScanner(taken);
setInterval(() => {
  clock(zone());
  every();
}, 1_000);
await look();
clock(zone());
const [begun, was] = [kept(), JSON.parse(sessionStorage.getItem(SHOWN) ?? "null")];
if (state.name === "off") {
  // Nothing goes on here.
} else if (begun) {
  asking(begun, null, 1, enter("asking", () => {}));
} else if (was && was.until > Date.now()) {
  answered(was.answer, was.until);
} else if (state.name !== "away") {
  idle();
}
setTimeout(follow, awaySince ? 1_000 : 15_000);
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/kiosk/worker.js", { scope: "/kiosk" }).catch(() => {});
const camera = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
if (camera?.state === "granted") listenToCamera(el("video", { muted: true, playsinline: true }), taken).catch(() => {});

// The screens: first what to do, beside it why, below what next. The class of the body is the look.
let view = { name: "starting" };

const ICONS = {
  person: ["M4 21c0-5 3.5-7 8-7s8 2 8 7", svg("circle", { cx: 12, cy: 8, r: 4 })],
  away: ["M3 3l18 18M8.5 16.5a5 5 0 0 1 7 0M5 13a10 10 0 0 1 5-2.7M19 13a10 10 0 0 0-3-2.1M12 20v.1M2 9a15 15 0 0 1 4-2.6M22 9a15 15 0 0 0-11-3.9"],
};
const icon = (name) => svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, ICONS[name][1]?.cloneNode(), svg("path", { d: ICONS[name][0] }));
const shape = (...parts) => svg("svg", { class: "shape", viewBox: "0 0 100 100", "aria-hidden": "true" }, parts);
const SHAPES = {
  yes: () => shape(svg("circle", { cx: 50, cy: 50, r: 48, fill: "#fff" }), stroke("M27 52l16 16 31-36", "#0b5c41", 10)),
  no: () => shape(svg("path", { d: "M31 2h38l29 29v38L69 98H31L2 69V31z", fill: "#fff" }), stroke("M32 32l36 36M68 32L32 68", "#8c1f1f", 11)),
  ask: () => shape(svg("circle", { cx: 50, cy: 32, r: 22, fill: "#fff" }), svg("path", { d: "M10 96c0-24 16-36 40-36s40 12 40 36z", fill: "#fff" })),
};

const line = (look, ...words) => el("p", { class: look }, words);
const head = (words) => el("h1", { tabindex: "-1" }, words);
const press = (words, onclick, look = "o-btn") => el("button", { type: "button", class: look, onclick }, words);

function show(name, { say = [], more = [], acts = [], foot = "", ...rest }) {
  view = { name, since: Date.now(), foot, ...rest };
  document.body.className = `door ${view.look ?? name}`;
  at("say").setAttribute("role", name === "off" ? "alert" : "status");
  at("say").replaceChildren(...say.flat().filter(Boolean));
  at("more").replaceChildren(...more.flat().filter(Boolean));
  at("acts").replaceChildren(...acts.flat().filter(Boolean));
  tick();
  if (view.focus !== false) document.querySelector("main h1")?.focus();
  return view;
}

// The strip.

const areKeysOld = () => door !== null && gatewayTime() - door.at > A_DAY;

function strip() {
  const name = el("b", {}, door?.door ?? page.door);
  const isOld = areKeysOld();
  at("strip").className = `o-strip${offlineSince ? (isOld ? " old" : " off") : ""}`;
  if (!offlineSince) return at("strip").replaceChildren(name, el("span", {}, door ? "Online" : "Starting"), el("span", {}, `${new Intl.NumberFormat("en").format(todayIn())} in today`));
  const keys = el("span", {}, door ? `keys of ${timeOf(door.at)}` : "no keys");
  const parts = [icon("away"), el("b", {}, `Offline since ${timeOf(offlineSince)}`), keys];
  if (isOld) parts.push(el("p", {}, "Keys of yesterday: send people to the desk if in doubt."));
  return at("strip").replaceChildren(...parts);
}

const waitingWords = () => `${counted(waiting, "entry waits", "entries wait")} to be sent. ${elsewhere ? "Some are for another door." : "Nothing else to do."}`;

let drawn = "";
function tick() {
  const is = JSON.stringify([offlineSince, door?.at, door?.door, todayIn(), areKeysOld()]);
  if (is !== drawn) strip();
  drawn = is;
  const rest = Math.max(0, Math.ceil(((view.until ?? 0) - Date.now()) / 1_000));
  const foot = typeof view.foot === "function" ? view.foot(rest) : view.foot;
  if (at("foot").textContent !== foot) at("foot").textContent = foot;
  if (view.until && rest === 0) ready();
}

// Answers.

const ago = (past) => {
  const minutes = Math.floor((gatewayTime() - past) / 60_000);
  return minutes < 1 ? "a moment ago" : minutes < 60 ? `${counted(minutes, "minute", "minutes")} ago` : `at ${timeOf(past)}`;
};
const desk = "Please send them to the desk.";
const NO = {
  unreadable: () => ["No token of ours", "The code was read, and is something else: a boarding pass, or a member card. The kiosk and the desk take those."],
  forged: () => ["Not genuine", `Nobody here made this token. ${desk}`],
  wrong_door: ({ claims }) => ["For another door", `This token is for ${claims?.aud ?? "another place"}. ${desk}`],
  expired: ({ claims }) => [claims ? `Expired at ${timeOf(claims.exp * 1_000)}` : "Expired", "Its time is over. The kiosk or the desk can make another one."],
  not_yet_valid: ({ claims }) => [claims ? `Good from ${timeOf(Math.max(claims.nbf, claims.iat) * 1_000)}` : "Not yet good", "Its time has not begun."],
  voided: () => ["Taken back", `The lounge took this token back. ${desk}`],
  released: () => ["Left already", "Whoever came by it has left, and it ended with that. The kiosk or the desk can make another one."],
  key_revoked: () => ["Withdrawn", "The key that signed it was withdrawn. The kiosk or the desk can make another one."],
};
/** The gateway's own words for what is said here in one way. */
const SAME = { malformed: "unreadable", wrong_type: "unreadable", wrong_audience: "wrong_door" };
const REASONS = { unreadable: "it is no eligibility token", forged: "its signature doesn’t fit", expired: "its time is over", not_yet_valid: "its time has not begun", used: "it was redeemed before" };
const ASK = {
  unknown_key: () => ["Its key isn’t known here", `The keys may have changed since ${timeOf(door.at)}. It can’t be checked: ask at the desk.`],
  no_keys: () => ["No keys yet", "This door has not reached the gateway, and can’t check anything: ask at the desk."],
  unable: () => ["Only while online", "This browser can’t check signatures, and the gateway can’t be reached: ask at the desk."],
  online_only: () => ["Only while online", "Tokens of this kind are checked by the gateway, which can’t be reached: ask at the desk."],
  clock: () => ["This phone’s clock is wrong", "It was set back, so that no time can be checked here: ask at the desk."],
  storage: () => ["Nothing can be kept here", "The browser has no storage left for it, and the gateway can’t be reached: ask at the desk."],
  old_keys: () => ["Its keys are too old", "This door has not reached the gateway for three days, and can’t know which keys are still good: ask at the desk."],
  busy: () => ["The gateway is busy", "It takes no more questions of this door just now: scan again in a moment, or ask at the desk."],
  full: () => ["This door’s list is full", `${counted(door.most, "entry waits", "entries wait")} to be sent. Until then: ask at the desk.`],
};

function guestsOf({ guests, people, claims, yes }) {
  if (claims.paid) return "Paid entry.";
  if (guests?.charged) return `${counted(guests.charged, "guest is", "guests are")} to be charged.`;
  if (guests || people < 2) return null;
  const free = termsOf(claims)?.tiers[claims.tier]?.free ?? null;
  if (yes !== "alone" || free === null) return null;
  return free >= people - 1 ? "No guest is to be charged." : `${counted(free, "guest is", "guests are")} free. The desk knows who of the others is charged.`;
}

function showYes(answer) {
  const { claims, people, yes, at: when } = answer;
  const heads = Array.from({ length: Math.min(people, 10) }, () => icon("person"));
  const guests = guestsOf(answer);
  const more = yes === "alone" ? "The signature is genuine and in time. First time at this door; other doors can’t be asked while offline." : isReusable(claims) ? `Their token, used now at ${timeOf(when)}.` : `Their token, used now at ${timeOf(when)}. It opens no door again.`;
  const foot = yes === "alone" ? waitingWords : (rest) => `${reader()} Clears in ${rest} s.`;
  show("yes", {
    say: [SHAPES.yes(), head(`Let in ${people}`), el("p", { class: "o-people", "aria-hidden": "true" }, heads), line("what", nameOf(claims)), guests && line("what", guests), line("more", more)],
    acts: [press("Scan the next", ready)],
    until: Date.now() + 4_000,
    foot,
  });
  navigator.vibrate?.(200);
}

function showNo(answer) {
  const code = SAME[answer.no] ?? (answer.no in NO || answer.no === "used" ? answer.no : "forged");
  let title = "Don’t let in";
  let [what, more] = NO[code]?.(answer) ?? [];
  if (code === "used") {
    title = "Already used";
    what = `${answer.isHere ? "Here" : `At door ${answer.door}`}, ${timeOf(answer.at)}`;
    more = `By someone ${ago(answer.at)}. If it was they themselves, the desk can help.`;
  }
  const reason = code === "wrong_door" && answer.claims ? `the audience is ${answer.claims.aud}` : REASONS[code];
  show("no", { say: [SHAPES.no(), head(title), line("what", what), line("more", more)], acts: [press("Scan the next", ready)], foot: reason ? `Reason: ${reason}` : "" });
  navigator.vibrate?.([150, 100, 150, 100, 150]);
}

function showAsk({ ask }) {
  const [what, more] = ASK[ask]();
  show("ask", { say: [SHAPES.ask(), head("Ask at the desk"), line("what", what), line("more", more)], acts: [press("Scan the next", ready)], foot: waiting ? waitingWords : "" });
  navigator.vibrate?.([150, 100, 150, 100, 150]);
}

function showOff() {
  // Without its keys it is no door again by a reload. What waits is kept.
  keep("state", null).catch(() => {});
  const more = waiting ? `${counted(waiting, "entry waits", "entries wait")} in this browser. Pair it again as a door, and they are sent.` : "Pair it again to go on.";
  show("off", { look: "ask", say: [SHAPES.ask(), head("Signed off"), line("what", `At ${timeOf(gatewayTime())}`), line("more", `This door was signed off. ${more}`)], acts: [el("a", { class: "o-btn", href: "/pair" }, "Pair it again")] });
}

// Between the answers.

function warnings() {
  const all = [];
  if (offlineSince && door) all.push(["Only signature and time are checked.", `Tokens that the lounge took back since ${timeOf(door.at)} aren’t known here, nor who came in at other doors.`]);
  if (offlineSince && !door) all.push(["This door has no keys yet.", "It has to reach the gateway once before it can check anything alone."]);
  if (elsewhere) all.push([`${counted(elsewhere.count, "entry", "entries")} for ${elsewhere.audience} can’t be sent from here.`, "They were let in while this phone was a door of that audience, and are counted nowhere yet. They are kept: pair it for that one again, and they are sent."]);
  if (!isAble) all.push(["This browser can’t check signatures.", "While the gateway is away, nobody can be let in here: use a newer browser."]);
  if (storage.fault) all.push(["This browser keeps nothing for this page.", "While the gateway is away, nobody can be let in here. Leave the private window, or free some storage."]);
  else if (!storage.persisted) all.push(["Install this page on the phone.", "Until then the browser may delete what waits to be sent when storage is short."]);
  if (storage.isShort) all.push(["The storage of this phone is nearly full.", "Free some: what waits to be sent is kept there."]);
  return all.map(([words, more]) => el("li", { class: "warn" }, el("b", {}, words), more));
}

const reader = () => (camera?.picture ? "The camera is on." : "The reader is on.");

/** What is there when nobody shows anything: what came of earlier entries, else that it is ready. */
async function ready() {
  const own = show("ready", {
    say: [head("Scan a token"), line("more", camera?.picture ? "Hold the code in front of the camera." : "Hold the code under the reader.")],
    more: [camera?.picture?.(), el("ul", { class: "o-list", id: "warnings" }, warnings())],
    acts: [camera?.ask && press("Use the camera", camera.ask), press("Type or paste it", typing, "o-btn line")],
    foot: () => (waiting ? waitingWords() : offlineSince ? "Nothing waits to be sent." : `${reader()} Keys fetched at ${door ? timeOf(door.at) : "–"}`),
    focus: false,
  });
  const read = await news().catch(() => null);
  if (read && view === own) showNews(read);
}

const ENDED = { voided: "The lounge had taken its grant back by then.", released: "They had left by then.", key_revoked: "The key that signed it was withdrawn by then." };

function newsItem(note) {
  if (note.kind === "lost") return el("li", { class: "warn" }, el("b", {}, `${counted(note.count, "entry is", "entries are")} lost`), `The browser emptied this page’s storage: ${note.count === 1 ? "it" : "they"} waited to be sent since ${timeOf(note.since)}. Who came in before may come in again. Tell the lounge.`);
  if (note.kind === "unread") return el("li", { class: "warn" }, el("b", {}, "An entry could not be read"), "The key that sealed it is not in this browser any more. Tell the lounge.");
  const about = el("b", {}, `${timeOf(note.at)}, ${note.tier}, ${counted(note.people, "person", "people")}`);
  if (note.kind === "duplicate") return el("li", {}, about, `Let in here offline. The same token came in at door ${note.door} at ${timeOf(note.first)}.`);
  if (note.kind === "refused") return el("li", {}, about, `Let in here offline, and not counted. ${note.detail}`);
  return el("li", {}, about, `Let in here offline. ${ENDED[note.meanwhile]}`);
}

let shownNews = "";
function showNews({ notes, sent }) {
  const is = JSON.stringify([notes, sent]);
  if (view.name === "news" && is === shownNews) return;
  shownNews = is;
  const doubles = notes.filter(({ kind }) => kind === "duplicate").length;
  const twice = doubles ? `, ${counted(doubles, "was a duplicate", "were duplicates")}` : "";
  const title = sent.entries ? `Back online. ${counted(sent.entries, "entry", "entries")} sent${twice}.` : "Storage was emptied.";
  const others = sent.counted ? `${doubles ? `Tell the lounge: duplicates are kept nowhere else. The other ${sent.counted}` : `All ${sent.counted}`} ${sent.counted === 1 ? "is" : "are"} counted: ${counted(sent.people, "person", "people")}.` : null;
  show("news", {
    look: "list",
    say: [head(title)],
    more: [el("ul", { class: "o-list" }, notes.map(newsItem)), others && line("more", others)],
    acts: [press("Understood", async () => {
      await understood().catch(() => {});
      changed();
      ready();
    })],
    foot: () => (waiting ? waitingWords() : door ? `Keys fetched at ${timeOf(door.at)}` : ""),
    focus: false,
  });
}

function typing() {
  const field = el("textarea", { id: "token", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
  const form = el("form", { class: "o-type", id: "typed", onsubmit: (event) => { event.preventDefault(); scanned(field.value); } }, el("label", { for: "token" }, "The token, as text"), field);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    form.requestSubmit();
  });
  show("typing", { look: "ready", say: [head("Type or paste it")], more: [form], acts: [el("button", { class: "o-btn", form: "typed" }, "Check it"), press("Back", ready, "o-btn line")], focus: false });
  field.focus();
}

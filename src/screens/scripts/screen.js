// One state at a time, and what is on the screen of it. Whatever leaves a state takes with it what was there.
let place = null;
let state = { name: "idle" };
/** Builds the screen: as a state begins, and in another language. */
let draw = () => {};
/** Brings it up to the time, each second. */
let every = () => {};
let isNew = true;
/** When a person last touched it. */
let touched = Date.now();

const zone = () => place?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
const button = (key, press, fill) => el("button", { type: "button", class: fill ? "k-btn fill" : "k-btn", onclick: press }, text(key));

function show({ look, say = [], more = [], rest = [], foot = [], acts = [], one = false, focus = true, role = "status" }) {
  const put = (id, parts) => at(id).replaceChildren(...parts.flat().filter(Boolean));
  document.body.className = `kiosk ${look}`;
  at("main").className = one ? "k-main one" : "k-main";
  at("say").setAttribute("role", role);
  at("said").hidden = say.length === 0;
  at("skip").textContent = text("kiosk.skip");
  if (isNew) at("spoken").textContent = "";
  put("say", say);
  put("more", more);
  put("rest", rest);
  put("foot", foot);
  put("acts", acts);
  if (isNew && focus) document.querySelector("main h1")?.focus();
  isNew = false;
}

function enter(name, paint, tick = () => {}) {
  const was = state;
  state = { name, since: Date.now() };
  was.leave?.();
  isNew = true;
  every = tick;
  draw = paint;
  paint();
  tick();
  return state;
}

/** The countdown of a screen that clears itself. A touch gives it its time again, for `most` seconds in all. */
function clearing(entered, seconds, { most = seconds * 10, over, key } = {}) {
  const bar = el("progress", { max: seconds, "aria-hidden": "true" });
  const words = el("span", {});
  entered.until ??= Date.now() + seconds * 1_000;
  const last = entered.since + most * 1_000;
  const tick = () => {
    const rest = Math.max(0, Math.ceil((entered.until - Date.now()) / 1_000));
    words.textContent = text(key ?? (entered.until < last ? "kiosk.clears.more" : "kiosk.clears"), { seconds: rest });
    bar.value = Math.min(rest, seconds);
    if (rest === 0 && state === entered) over();
  };
  entered.touch = () => {
    entered.until = Math.min(Date.now() + seconds * 1_000, last);
  };
  return { foot: el("p", {}, words, bar), tick };
}

// The keys of the languages stay the same ones in every state: nothing moves under a finger.

function showLanguages() {
  const key = (it) => el("button", { type: "button", lang: it.tag, onclick: () => choose(it) }, it.name);
  at("langs").replaceChildren(...languages.map(key));
  markLanguage();
}

function markLanguage() {
  at("langs").setAttribute("aria-label", text("kiosk.languages"));
  for (const key of at("langs").children) key.setAttribute("aria-pressed", String(key.lang === language.tag));
}

function speakFromNow(it) {
  speak(it);
  markLanguage();
  draw();
  every();
  clock(zone());
}

async function choose(it) {
  const chosen = await learn(it);
  sessionStorage.setItem("language", it.tag);
  speakFromNow(chosen);
}

/** Who comes next finds the kiosk's own language. */
async function forgetLanguage() {
  if (sessionStorage.getItem("language") === null) return;
  sessionStorage.removeItem("language");
  const own = await learn(ownLanguage());
  if (own !== language) speakFromNow(own);
}

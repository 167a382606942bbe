// What is said, in the language of who stands there; numbers in Latin digits everywhere, as on an airport's boards.
const page = document.body.dataset;
const languages = JSON.parse(page.languages);
let language = null;

/** Fetches what one language says. */
async function learn(it) {
  it.said ??= await (await fetch(it.at)).json();
  return it;
}

/** Begins with the language of who is there; the others come behind it. */
async function loadWords() {
  speak(await learn(fitting([sessionStorage.getItem("language"), ...navigator.languages])));
  for (const it of languages) learn(it).catch(() => {});
}

/** The language and the script of a tag: Chinese is written in one of two, which its country tells where the tag doesn't. */
function written(tag) {
  try {
    const locale = new Intl.Locale(tag).maximize();
    return `${locale.language}-${locale.script}`;
  } catch {
    return tag;
  }
}

/** The first of the languages that are wanted which we have. */
function fitting(wanted) {
  const known = (tag) => tag && languages.find((it) => tag === it.tag || written(tag) === written(it.tag));
  return wanted.map(known).find(Boolean) ?? languages[0];
}

/** The kiosk's own language. */
const ownLanguage = () => fitting(navigator.languages);

function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen.tag;
  document.documentElement.dir = chosen.dir;
}

// English as it is written where most lounges are: the day before the month, as the server says it.
const numbersOf = () => `${language.tag === "en" ? "en-GB" : language.tag}-u-nu-latn`;

function number(value) {
  return new Intl.NumberFormat(numbersOf()).format(value);
}

/** The text of a key, with what is said in it. */
function text(key, said = {}) {
  let found = language.said[key] ?? key;
  if (typeof found !== "string") {
    const counted = said[/\{(\w+)\}/.exec(found.other)?.[1]] ?? 0;
    found = found[new Intl.PluralRules(language.tag).select(counted)] ?? found.other;
  }
  return found.replace(/\{(\w+)\}/g, (whole, name) => (name in said ? (typeof said[name] === "number" ? number(said[name]) : said[name]) : whole));
}

const has = (key) => key in language.said;

function time(at, zone) {
  return new Intl.DateTimeFormat(numbersOf(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone }).format(at);
}

/** The text of a key about an instant to come: a sentence of its own for another day than today. */
function textAt(key, at, zone) {
  const now = gatewayTime();
  const dayOf = (it) => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(it);
  if (dayOf(at) === dayOf(now)) return text(`${key}.today`, { time: time(at, zone) });
  const days = Math.round((Date.parse(dayOf(at)) - Date.parse(dayOf(now))) / 86_400_000);
  const parts = days < 6 ? { weekday: "long" } : { day: "numeric", month: "long" };
  return text(`${key}.day`, { day: new Intl.DateTimeFormat(numbersOf(), { ...parts, timeZone: zone }).format(at), time: time(at, zone) });
}

// The clock of a kiosk may be wrong: instants are compared with the gateway's.
let skew = 0;
const gatewayTime = () => Date.now() + skew;

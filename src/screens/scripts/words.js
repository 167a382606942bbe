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
  speak(await learn(preferred()));
  for (const it of languages) learn(it).catch(() => {});
}

function preferred() {
  const kept = sessionStorage.getItem("language");
  const wanted = [kept, ...navigator.languages].filter(Boolean);
  const fits = (tag) => languages.find((it) => tag === it.tag || tag.startsWith(`${it.tag}-`) || (tag.split("-")[0] === it.tag.split("-")[0] && !tag.startsWith("zh-H")));
  return wanted.map(fits).find(Boolean) ?? languages[0];
}

function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen.tag;
  document.documentElement.dir = chosen.dir;
}

const numbersOf = () => `${language.tag}-u-nu-latn`;

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

/** An instant to come back at: the day too, unless it is today's. */
function moment(at, zone, now) {
  const day = (it) => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(it);
  if (day(at) === day(now)) return time(at, zone);
  const near = at - now < 6 * 86_400_000;
  const date = near ? { weekday: "long" } : { day: "numeric", month: "long" };
  return new Intl.DateTimeFormat(numbersOf(), { ...date, hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone }).format(at);
}

// The screens of an answer: first what it is, beside it the reason, below what can be done.

function sentenceOf(reason, zone) {
  if (reason.message) return el("span", { lang: reason.language }, reason.message);
  const said = { tier: (reason.tier ?? "").replaceAll("*", "∗"), wanted: reason.wanted, gap: reason.gap };
  let key = `reason.${reason.code}`;
  if (reason.limit && has(`${key}.${reason.limit}`)) key += `.${reason.limit}`;
  if (!has(key)) key = "reason.other";
  if (reason.code === "score_below_threshold" && (reason.gap ?? null) === null) key += ".far";
  const opens = reason.next && has(`${key}.next.today`);
  return el("span", {}, marked(opens ? textAt(`${key}.next`, Date.parse(reason.next), zone) : text(key, said)));
}

/** How far a score is from what a tier asks for, a point for each tick. */
function gapPicture({ gap, wanted, tier }) {
  const at = 600;
  const from = at - gap * 50;
  const ticks = Array.from({ length: 17 }, (_, nth) => svg("line", { class: "t", x1: 50 * (nth + 1), x2: 50 * (nth + 1), y1: nth % 5 === 1 ? 52 : 62, y2: 82 })).filter((_, nth) => nth !== 11);
  const words = text("kiosk.refused.gap", { points: gap });
  return svg("svg", { class: "k-gap", viewBox: "0 0 900 140", role: "img", "aria-label": words }, ticks,
    svg("rect", { class: "have", x: 0, y: 88, width: from, height: 16, rx: 3 }),
    svg("rect", { class: "short", x: from + 4, y: 88, width: at - from - 8, height: 16, rx: 3 }),
    svg("line", { class: "need", x1: at, x2: at, y1: 28, y2: 110 }),
    svg("text", { x: at, y: 20, "text-anchor": "middle" }, number(wanted)),
    svg("text", { class: "soft", x: (from + at) / 2, y: 134, "text-anchor": "middle" }, words),
    svg("text", { class: "soft", x: at + 16, y: 46 }, tier ?? ""));
}

function offersOf(answer, again) {
  const price = (offer) => el("b", {}, el("bdi", { dir: "ltr" }, offer.price ? `${offer.price.currency} ${offer.price.amount}` : text("kiosk.refused.free")));
  const items = answer.offers.map((offer) => el("li", {}, el("span", { lang: offer.language }, offer.text), offer.price && price(offer)));
  if (again) items.unshift(el("li", {}, el("span", {}, again)));
  if (answer.link) {
    items.push(el("li", { class: "mine" }, qr(answer.link, text("kiosk.refused.code")), el("span", {}, text("kiosk.refused.why"), el("small", {}, text("kiosk.refused.page")))));
  } else if (answer.offers.length === 0) {
    items.push(el("li", {}, el("span", {}, text("kiosk.refused.desk"))));
  }
  return el("section", { class: "k-offers" }, el("h2", {}, text(answer.form === "early" ? "kiosk.early.until" : "kiosk.refused.do")), el("ul", {}, items));
}

function partyOf({ guests }) {
  if (guests?.charged) return text("kiosk.granted.charged", { guests: guests.charged });
  if (guests?.free) return text("kiosk.granted.free", { guests: guests.free });
  return text("kiosk.granted.alone");
}

/** What is left of a time is spoken at these minutes, and never more often: a timer says nothing by itself. */
const SPOKEN_AT = [10, 5, 1];

function speaker() {
  let spoken = null;
  return (minutes, words) => {
    if (minutes === spoken) return;
    if (spoken !== null && SPOKEN_AT.includes(minutes)) at("spoken").textContent = words;
    spoken = minutes;
  };
}

/** The code for the door, with a bar a minute. `tick` brings it up to the time. */
function codeCard(answer, zone) {
  const [from, until] = [Date.parse(answer.at), Date.parse(answer.until)];
  const bars = Math.max(1, Math.min(30, Math.ceil((until - from) / 60_000)));
  const rects = Array.from({ length: bars }, (_, nth) => svg("rect", { x: nth * 10 + 1, y: 0, width: 8, height: 14, rx: 2 }));
  const rest = el("span", { role: "timer" });
  const speak = speaker();
  const card = el("div", { class: "k-card" },
    el("div", { class: "code" }, qr(answer.code, text("kiosk.granted.code")), el("p", { class: "over-words" }, text("kiosk.granted.expired"))),
    svg("svg", { class: "ticks", viewBox: `0 0 ${bars * 10} 14`, "aria-hidden": "true" }, rects),
    el("p", {}, el("b", {}, text("kiosk.granted.until", { time: time(until, zone) })), el("br"), rest));
  const tick = () => {
    const wait = Math.max(0, until - gatewayTime());
    const on = Math.ceil((wait / (until - from)) * bars);
    rects.forEach((rect, nth) => rect.setAttribute("class", nth >= on ? "past" : nth === on - 1 ? "now" : "on"));
    card.classList.toggle("over", wait === 0);
    const minutes = Math.ceil(wait / 60_000);
    rest.textContent = wait === 0 ? text("kiosk.granted.expired") : text("kiosk.granted.left", { minutes });
    speak(minutes, rest.textContent);
  };
  return { card, tick };
}

function countdown(until) {
  const box = el("p", { class: "k-count", role: "timer" });
  const speak = speaker();
  let shown = "";
  const tick = () => {
    const wait = Math.max(0, until - gatewayTime());
    const minutes = Math.ceil(wait / 60_000);
    const [key, rest] = wait >= 60_000 ? ["minutes", minutes] : ["seconds", Math.ceil(wait / 1_000)];
    const words = wait === 0 ? text("kiosk.early.now") : text(`kiosk.early.${key}`, { [key]: rest });
    if (words === shown) return;
    shown = words;
    if (wait === 0) at("spoken").textContent = words;
    else speak(minutes, words);
    box.replaceChildren(...(wait === 0 ? [] : flap(String(rest), "")), el("span", {}, words));
  };
  return { box, tick };
}

/** What to show of an answer: the class of its screen, its parts, and what the time changes. */
function screenOf(answer, zone) {
  const still = () => {};
  const lead = (key, said) => el("p", { class: "lead" }, text(key, said));
  if (answer.form === "granted" && answer.code) {
    const { card, tick } = codeCard(answer, zone);
    const say = [MARKS.granted(), heading("kiosk.granted.title"), el("p", { class: "tier-name" }, answer.tier ?? ""), el("p", { class: "lead" }, partyOf(answer)), el("p", { class: "also" }, text("kiosk.granted.show"))];
    return { look: "granted", say, rest: [card], tick };
  }
  if (answer.form === "granted") return { look: "kind", say: [MARKS.refused(), heading("kiosk.fault.title"), lead("kiosk.fault.lead")], tick: still };
  if (answer.form === "ended") {
    const said = answer.ended_at ? lead("kiosk.ended.lead", { time: time(Date.parse(answer.ended_at), zone) }) : lead("kiosk.ended.bare");
    return { look: "kind", say: [MARKS.refused(), heading("kiosk.ended.title"), said], tick: still };
  }
  if (answer.form === "waiting") {
    return { look: "kind", say: [MARKS.waiting(), heading("kiosk.waiting.title"), lead("kiosk.waiting.lead")], rest: [offersOf({ ...answer, offers: [] })], tick: still };
  }
  const sentences = answer.reasons.map((reason, nth) => el("p", { class: nth ? "also" : "lead" }, sentenceOf(reason, zone)));
  const next = answer.next ? Date.parse(answer.next) : null;
  if (answer.form === "early") {
    const { box, tick } = countdown(next);
    const more = next - gatewayTime() < 6 * 3_600_000 ? [box] : [];
    return { look: "kind", say: [MARKS.early(), heading("kiosk.early.title"), ...sentences], more, rest: [offersOf(answer, textAt("kiosk.early.again", next, zone))], tick };
  }
  const short = answer.reasons.find((reason) => reason.gap && reason.wanted && reason.gap <= 10);
  const again = next ? textAt("kiosk.refused.again", next, zone) : null;
  const limit = answer.reasons.find((reason) => reason.code === "limit_reached")?.limit;
  const title = answer.form === "limit" ? (limit === "house" ? "kiosk.limit.full" : limit && !next ? "kiosk.limit.used" : "kiosk.limit.title") : "kiosk.refused.title";
  return { look: "kind", say: [answer.form === "limit" ? MARKS.limit() : MARKS.refused(), heading(title), ...sentences], more: short ? [gapPicture(short)] : [], rest: [offersOf(answer, again)], tick: still };
}

// The screens of an answer: first what it is, beside it the reason, below what can be done.

function sentenceOf(reason, zone, now) {
  if (reason.message) return el("span", { lang: reason.language }, reason.message);
  const said = { tier: reason.tier ?? "", wanted: reason.wanted, gap: reason.gap, next: reason.next ? moment(Date.parse(reason.next), zone, now) : "" };
  let key = `reason.${reason.code}`;
  if (!has(key)) key = "reason.other";
  if (reason.code === "score_below_threshold" && (reason.gap ?? null) === null) key += ".far";
  else if (reason.next && has(`${key}.next`)) key += ".next";
  return el("span", {}, marked(text(key, said)));
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
  return el("section", { class: "k-offers" }, el("h2", {}, text("kiosk.refused.do")), el("ul", {}, items));
}

function partyOf({ guests }) {
  if (guests?.charged) return text("kiosk.granted.charged", { guests: guests.charged });
  if (guests?.free) return text("kiosk.granted.free", { guests: guests.free });
  return text("kiosk.granted.alone");
}

/** The code for the door, with a bar a minute. `tick` brings it up to the time. */
function codeCard(answer, zone) {
  const [from, until] = [Date.parse(answer.at), Date.parse(answer.until)];
  const bars = Math.max(1, Math.min(30, Math.ceil((until - from) / 60_000)));
  const rects = Array.from({ length: bars }, (_, nth) => svg("rect", { x: nth * 10 + 1, y: 0, width: 8, height: 14, rx: 2 }));
  const left = el("span", {});
  const card = el("div", { class: "k-card" },
    el("div", { class: "code" }, qr(answer.code, text("kiosk.granted.code")), el("p", { class: "over-words" }, text("kiosk.granted.expired"))),
    svg("svg", { class: "ticks", viewBox: `0 0 ${bars * 10} 14`, "aria-hidden": "true" }, rects),
    el("p", {}, el("b", {}, text("kiosk.granted.until", { time: time(until, zone) })), el("br"), left));
  const tick = (now) => {
    const rest = Math.max(0, until - now);
    const on = Math.ceil((rest / (until - from)) * bars);
    rects.forEach((rect, nth) => rect.setAttribute("class", nth >= on ? "past" : nth === on - 1 ? "now" : "on"));
    card.classList.toggle("over", rest === 0);
    left.textContent = rest === 0 ? text("kiosk.granted.expired") : text("kiosk.granted.left", { minutes: Math.ceil(rest / 60_000) });
  };
  return { card, tick };
}

function countdown(until) {
  const box = el("p", { class: "k-count", role: "timer" });
  let shown = "";
  const tick = (now) => {
    const rest = Math.max(0, until - now);
    const [key, left] = rest >= 60_000 ? ["minutes", Math.ceil(rest / 60_000)] : ["seconds", Math.ceil(rest / 1_000)];
    const words = rest === 0 ? text("kiosk.early.now") : text(`kiosk.early.${key}`, { [key]: left });
    if (words === shown) return;
    shown = words;
    // A timer says nothing by itself: only these are spoken.
    box.setAttribute("aria-live", key === "minutes" && [10, 5, 1].includes(left) ? "polite" : "off");
    box.replaceChildren(...(rest === 0 ? [] : flap(String(left), "")), el("span", {}, words));
  };
  return { box, tick };
}

/** What to show of an answer: the class of its screen, its parts, and what the time changes. */
function screenOf(answer, zone, now) {
  const sentences = answer.reasons.map((reason, nth) => el("p", { class: nth ? "also" : "lead" }, sentenceOf(reason, zone, now)));
  if (answer.form === "granted") {
    const { card, tick } = answer.code ? codeCard(answer, zone) : { card: null, tick: () => {} };
    const say = [MARKS.granted(), heading("kiosk.granted.title"), el("p", { class: "tier-name" }, answer.tier ?? ""), el("p", { class: "lead" }, partyOf(answer)), el("p", { class: "also" }, text("kiosk.granted.show"))];
    return { look: "granted", say, rest: [card], tick };
  }
  if (answer.form === "waiting") {
    return { look: "kind", say: [MARKS.waiting(), heading("kiosk.waiting.title"), el("p", { class: "lead" }, text("kiosk.waiting.lead"))], rest: [offersOf({ ...answer, offers: [] })], tick: () => {} };
  }
  const next = answer.next ? Date.parse(answer.next) : null;
  if (answer.form === "early") {
    const { box, tick } = countdown(next);
    const again = text("kiosk.early.again", { time: moment(next, zone, now) });
    return { look: "kind", say: [MARKS.early(), heading("kiosk.early.title"), ...sentences, next - now < 6 * 3_600_000 && box], rest: [offersOf(answer, again)], tick };
  }
  const short = answer.reasons.find((reason) => reason.gap && reason.wanted && reason.gap <= 10);
  const again = next ? text("kiosk.refused.again", { time: moment(next, zone, now) }) : null;
  const [sign, title] = answer.form === "limit" ? [MARKS.limit(), "kiosk.limit.title"] : [MARKS.refused(), "kiosk.refused.title"];
  return { look: "kind", say: [sign, heading(title), ...sentences, short && gapPicture(short)], rest: [offersOf(answer, again)], tick: () => {} };
}

const heading = (key) => el("h1", { tabindex: "-1" }, text(key));

// Elements are made here one by one: nothing that is read or answered becomes markup.
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

function make(of, name, parts, inside) {
  const made = of ? document.createElementNS(of, name) : document.createElement(name);
  for (const [key, value] of Object.entries(parts ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inside.flat().filter((it) => it !== null && it !== undefined && it !== false));
  return made;
}
const el = (name, parts, ...inside) => make(null, name, parts, inside);
const svg = (name, parts, ...inside) => make(SVG, name, parts, inside);

/** A text whose words between stars are set off. */
const marked = (words) => words.split("*").map((part, nth) => (nth % 2 ? el("b", {}, el("bdi", {}, part)) : part));

const heading = (key) => el("h1", { tabindex: "-1" }, text(key));

/** Tiles of a board, with what they say for those who don't see them. */
function flap(words, said) {
  const tiles = [...words].map((sign) => el("i", { class: /[0-9]/.test(sign) ? null : "sep" }, sign));
  return [el("span", { class: "vh" }, said), el("span", { class: "flap", "aria-hidden": "true" }, tiles)];
}

function qr(code, label) {
  const path = svg("path", { fill: "#14212a", d: code.path });
  return svg("svg", { class: "qr", viewBox: `0 0 ${code.side} ${code.side}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" }, path);
}

function mark(...parts) {
  return svg("svg", { class: "k-mark", viewBox: "0 0 100 100", "aria-hidden": "true" }, parts);
}
const stroke = (d, color, width) => svg("path", { d, fill: "none", stroke: color, "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" });
const INK = "#f5f2e8";
const SIGNAL = "#ffc64d";
const MARKS = {
  granted: () => mark(svg("circle", { cx: 50, cy: 50, r: 46, fill: "none", stroke: "#7fdcae", "stroke-width": 7 }), stroke("M29 52l15 15 29-33", "#7fdcae", 9)),
  refused: () => mark(stroke("M8 14h84", SIGNAL, 9), stroke("M50 92V42M28 62l22-22 22 22", INK, 9)),
  early: () => mark(svg("circle", { cx: 50, cy: 50, r: 45, fill: "none", stroke: SIGNAL, "stroke-width": 7 }), stroke("M50 24v28l18 11", INK, 8)),
  limit: () => mark(svg("rect", { x: 8, y: 16, width: 84, height: 76, rx: 8, fill: "none", stroke: INK, "stroke-width": 7 }), stroke("M8 38h84M30 8v16M70 8v16", INK, 7), stroke("M34 64l12 12 22-24", SIGNAL, 8)),
  waiting: () => mark(svg("circle", { cx: 50, cy: 34, r: 20, fill: "none", stroke: INK, "stroke-width": 8 }), stroke("M14 92a36 36 0 0 1 72 0", SIGNAL, 8)),
  away: () => mark(stroke("M14 42a52 52 0 0 1 72 0M29 58a31 31 0 0 1 42 0", INK, 8), svg("circle", { cx: 50, cy: 78, r: 6, fill: INK }), stroke("M16 14l68 74", SIGNAL, 9)),
};

/** When a place is open. */
function hoursOf({ state, until, zone }) {
  const key = `kiosk.idle.${state === "open" ? "open" : "closed"}`;
  return until ? textAt(`${key}_until`, Date.parse(until), zone) : text(key);
}

function clock(zone) {
  if (!zone) return;
  const now = time(gatewayTime(), zone);
  at("clock").replaceChildren(...flap(now, text("kiosk.clock", { time: now })));
}

/** A call of this page; null where nothing came back. */
async function call(path, { body, key, type = "application/json", patience = 8_000 } = {}) {
  const headers = { "perkgate-page": page.page, "accept-language": document.documentElement.lang };
  if (key) headers["idempotency-key"] = key;
  if (body) headers["content-type"] = type;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  try {
    const reply = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal: abort.signal, cache: "no-store", redirect: "error" });
    const value = reply.headers.get("content-type")?.includes("json") ? await reply.json() : null;
    if (value?.now) skew = Date.parse(value.now) - Date.now();
    return { status: reply.status, value, wait: Number(reply.headers.get("retry-after")) || 0 };
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

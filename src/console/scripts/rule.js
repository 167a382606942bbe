// What a browser adds to the form of a rule: it is checked as one types, ends of hours can be dragged, and thresholds have a
// slider. Without it the form's buttons do the same.

const form = document.querySelector("[data-rule]");

// A verdict on what stands in the form, from the server, some time after the last key.
const checked = document.querySelector("#checked");
let waiting;
let asked;
async function check() {
  // Only the last answer counts: the server need not go on with the others.
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  const body = new URLSearchParams(new FormData(form));
  let text;
  try {
    const reply = await fetch(form.dataset.rule, { method: "POST", body, signal });
    if (!reply.ok) return;
    text = await reply.text();
  } catch {
    return;
  }
  if (signal.aborted) return;
  const found = new DOMParser().parseFromString(text, "text/html");
  found.querySelectorAll("[data-focus]").forEach((it) => it.removeAttribute("data-focus"));
  checked.replaceChildren(...found.body.childNodes);
  // Said once: not each time, and not the rule with it.
  const verdict = form.querySelector("[data-verdict]");
  const words = checked.querySelector("#found h2")?.textContent ?? "";
  if (verdict.textContent !== words) verdict.textContent = words;
  const errors = new Map();
  for (const note of checked.querySelectorAll("[data-field]")) {
    if (!errors.has(note.dataset.field)) errors.set(note.dataset.field, note.textContent.trim());
  }
  for (const place of form.querySelectorAll(".err")) {
    const name = place.id.slice(1);
    const error = errors.get(name);
    place.hidden = error === undefined;
    place.textContent = error ?? "";
    const field = document.getElementById(name);
    if (error === undefined) field?.removeAttribute("aria-invalid");
    else field?.setAttribute("aria-invalid", "true");
  }
}
form?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(check, 600);
});

// What was typed and not saved is not left without a word.
let isChanged = document.querySelector("#found") !== null;
form?.addEventListener("input", () => { isChanged = true; });
form?.addEventListener("submit", () => { isChanged = false; });
addEventListener("beforeunload", (event) => {
  if (isChanged) event.preventDefault();
});

// A threshold has a slider over the scale of its score.
const { least, most } = form?.dataset ?? {};
if (least !== undefined) {
  for (const field of form.querySelectorAll("[data-score]")) {
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = least;
    slider.max = most;
    slider.step = Number(most) - Number(least) >= 20 ? 1 : "any";
    slider.setAttribute("aria-label", `${field.labels[0].textContent}, as a slider`);
    const follow = () => { slider.value = field.value.replace(/,(\d\d?)$/, ".$1") || least; };
    follow();
    field.addEventListener("input", follow);
    slider.addEventListener("input", () => { field.value = slider.value; });
    field.after(slider);
  }
}

// The week: bars over the fields that say the same.
const bars = document.querySelector("[data-bars]");
const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const [LEFT, HOUR, ROW, STEP, DAY] = [60, 46, 34, 15, 1440];
const openings = form ? [...form.querySelectorAll("fieldset[id^='/schedule/open/']")].map((days) => {
  const at = days.id.slice(0, -"/days".length);
  const field = (name) => document.getElementById(`${at}/${name}`);
  return { days: WEEK.map((day) => form.elements[`${at}/days/${day}`]), from: field("from"), to: field("to") };
}) : [];
const minutes = (text) => {
  const [, hour, minute] = /^(\d\d?):(\d\d)$/.exec(text.trim()) ?? [];
  const at = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && at <= DAY ? at : undefined;
};
const clock = (at) => `${String(Math.floor(at / 60)).padStart(2, "0")}:${String(at % 60).padStart(2, "0")}`;
const x = (at) => LEFT + Math.floor((at * HOUR) / 60);

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  bars.append(made);
  return made;
}

function draw() {
  const held = document.activeElement?.dataset?.end;
  bars.replaceChildren();
  openings.forEach((opening, nth) => {
    const [from, to] = [minutes(opening.from.value), minutes(opening.to.value)];
    if (from === undefined || to === undefined) return;
    const days = WEEK.map((_, day) => day).filter((day) => opening.days[day].checked);
    days.forEach((day, at) => {
      const bar = (day, from, to) => shape("rect", { class: "open", x: x(from), width: Math.max(0, x(to) - x(from)), y: 24 + ROW * day, height: 26, rx: 4 });
      bar(day, from, from < to ? to : DAY);
      if (from >= to) bar((day + 1) % 7, 0, to);
      if ((from < to ? to : DAY) - from >= 150) {
        shape("text", { class: "lab", x: x(from) + 14, y: 42 + ROW * day }).textContent = `${opening.from.value} – ${opening.to.value}`;
      }
      const rest = from >= to ? (day + 1) % 7 : day;
      hold(opening, "from", day, from, `${nth}-from`, at === 0);
      hold(opening, "to", rest, to, `${nth}-to`, at === 0);
    });
  });
  if (held) bars.querySelector(`[tabindex][data-end="${held}"]`)?.focus();
}

function hold(opening, end, day, at, id, isFirst) {
  const edge = x(at) + (end === "from" ? 3 : -7);
  shape("rect", { class: "hold", x: edge, width: 4, y: 30 + ROW * day, height: 14, rx: 2 });
  const grab = shape("rect", { class: "grab", x: x(at) - 12, width: 24, y: 24 + ROW * day, height: 26, "data-end": id });
  const move = (to) => {
    const most = end === "from" ? DAY - STEP : DAY;
    opening[end].value = clock(Math.min(Math.max(Math.round(to / STEP) * STEP, 0), most));
    opening[end].dispatchEvent(new Event("input", { bubbles: true }));
  };
  if (isFirst) {
    const attributes = { role: "slider", tabindex: 0, "aria-label": end === "from" ? "Opens" : "Closes", "aria-valuemin": 0, "aria-valuemax": DAY, "aria-valuenow": at, "aria-valuetext": clock(at) };
    for (const [key, value] of Object.entries(attributes)) grab.setAttribute(key, value);
    grab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: STEP, ArrowUp: STEP, ArrowLeft: -STEP, ArrowDown: -STEP, PageUp: 60, PageDown: -60 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      move(at + by);
    });
  }
  grab.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const svg = bars.ownerSVGElement;
    const drag = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      move(((point.x - LEFT) * 60) / HOUR);
    };
    const drop = () => {
      removeEventListener("pointermove", drag);
      removeEventListener("pointerup", drop);
      removeEventListener("pointercancel", drop);
    };
    addEventListener("pointermove", drag);
    addEventListener("pointerup", drop);
    addEventListener("pointercancel", drop);
  });
}

if (bars && openings.length > 0) {
  // Its bars have handles now, so it is more than a picture.
  bars.ownerSVGElement.setAttribute("role", "group");
  draw();
  for (const opening of openings) {
    for (const field of [opening.from, opening.to, ...opening.days]) field.addEventListener("input", draw);
  }
}

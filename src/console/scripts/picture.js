// The threshold picture: handles over a drawing that the server made. It counts again from the same numbers as a handle
// moves; without it a form does the same. What it counts is what `eligibility/picture/cut.rs` counts.

// The people that thresholds let in, by the counts of a picture: no page is needed for it.
export function counting(picture) {
  const { counts, minimum, maximum, within, week, party, limit } = picture;
  const bins = counts.length;
  const span = maximum - minimum;
  const thousandths = (value) => Math.round(value * 1000);
  const edge = (bin) => minimum + Math.ceil((thousandths(span) * bin) / bins) / 1000;
  const edges = Array.from({ length: bins + 1 }, (_, bin) => edge(bin));
  const firstBar = (threshold) => {
    if (thousandths(threshold) <= thousandths(minimum)) return 0;
    const found = edges.slice(0, bins).findIndex((from) => thousandths(from) >= thousandths(threshold));
    return found < 0 ? bins : found;
  };
  const isExact = (threshold) => threshold > maximum || edges.slice(0, bins).some((from) => thousandths(from) === thousandths(threshold));
  const from = (list, bar) => list.slice(bar).reduce((sum, count) => sum + count, 0);

  function cut(thresholds) {
    const bars = thresholds.map(firstBar);
    const lowest = Math.min(bins, ...bars);
    const tiers = bars.map((bar, at) => from(counts, bar) - from(counts, Math.max(bar, Math.min(bins, ...bars.slice(at + 1)))));
    const shortFrom = firstBar(Math.min(...thresholds) - within);
    const short = from(counts, shortFrom) - from(counts, lowest);
    const rest = from(counts, 0) - from(counts, shortFrom);
    const days = week.map((day) => {
      const visits = from(day.asked, lowest);
      const came = limit?.cost === "visit" ? visits : Math.floor((visits * thousandths(party) + 500) / 1000);
      return { came, isFull: limit ? came >= limit.max : false, over: limit ? Math.max(0, came - limit.max) : 0 };
    });
    return { tiers, short, rest, days, admitted: from(counts, lowest), isInexact: !thresholds.every(isExact) };
  }
  return { cut, edges, from, span, thousandths };
}

const root = globalThis.document?.querySelector("[data-picture]");
// Without an answer, or after the session has ended, the form remains as it is.
const answer = root ? await fetch(root.dataset.picture).catch(() => undefined) : undefined;
if (answer?.ok && !answer.redirected) start(root, await answer.json());

function start(root, picture) {
  const format = new Intl.NumberFormat("en");
  const { minimum, maximum, within, week, limit } = picture;
  const { cut, edges, from, span, thousandths } = counting(picture);

  const ranges = new Map([...root.querySelectorAll("input[type=range]")].map((range) => [range.dataset.for, range]));
  const handles = picture.tiers.map((tier, at) => ({
    tier,
    field: root.querySelector(`#n-${CSS.escape(tier.tier)}`),
    range: ranges.get(`from-${tier.tier}`),
    line: root.querySelectorAll(".cut")[at],
    grip: root.querySelectorAll(".grips g")[at],
  }));
  const step = span >= 20 ? 1 : span / 100;
  const read = (text) => Number(String(text).trim().replace(/,(\d\d?)$/, ".$1"));
  const least = (handle) => Math.max(minimum, handle.tier.floor ?? minimum);
  const fits = (handle, text) => text.trim() !== "" && read(text) >= least(handle) && read(text) <= maximum;
  // What does not fit remains in its field; the picture is of the version's own threshold then.
  let values = handles.map((handle) => fits(handle, handle.field.value) ? read(handle.field.value) : handle.tier.at_least);

  const x = (value) => Math.floor((thousandths(Math.min(Math.max(value - minimum, 0), span)) * 1000) / thousandths(span));
  const show = (value) => String(Math.round(value * 1000) / 1000);
  const changed = (now, was) => now === was ? "the same as now" : `${format.format(Math.abs(now - was))} ${now < was ? "fewer" : "more"} than now`;
  function tally(id, number, was) {
    const box = root.querySelector(`[data-tally="${CSS.escape(id)}"]`);
    const text = format.format(number);
    box.querySelector(".vh").textContent = text;
    box.querySelector(".flap").replaceChildren(...[...text].map((letter) => {
      const tile = document.createElement("i");
      if (!/\d/.test(letter)) tile.className = "sep";
      tile.textContent = letter;
      return tile;
    }));
    if (was !== undefined) box.querySelector("[data-change]").textContent = changed(number, was);
  }

  const published = picture.published?.tiers.length ? { tiers: picture.published.tiers, cut: cut(picture.published.tiers.map((tier) => tier.at_least)) } : undefined;
  const was = (tier) => {
    const at = published?.tiers.findIndex((it) => it.tier === tier) ?? -1;
    return at < 0 ? undefined : published.cut.tiers[at];
  };

  function draw() {
    const now = cut(values);
    const lowest = Math.min(...values);
    [...root.querySelectorAll(".bars rect")].forEach((bar, at) => {
      const edge = thousandths(edges[at]);
      const rank = values.findLastIndex((value) => edge >= thousandths(value));
      const isNear = edge < thousandths(lowest) && edge >= thousandths(lowest) - thousandths(within);
      bar.setAttribute("class", rank === 0 && values.length > 1 ? "b1" : rank >= 0 ? "b2" : isNear ? "bn" : "b0");
    });
    const near = root.querySelector(".near-band");
    const nearFrom = Math.max(lowest - within, minimum);
    near.setAttribute("x", x(nearFrom));
    near.setAttribute("width", x(lowest) - x(nearFrom));
    handles.forEach((handle, at) => {
      const value = values[at];
      handle.line.setAttribute("x1", x(value));
      handle.line.setAttribute("x2", x(value));
      handle.grip.querySelectorAll("text").forEach((text) => text.setAttribute("x", `${x(value) / 10}%`));
      handle.grip.querySelector(".grip-n").textContent = show(value);
      if (document.activeElement !== handle.field && fits(handle, handle.field.value)) handle.field.value = show(value);
      if (handle.range) {
        handle.range.value = value;
        handle.range.setAttribute("aria-valuetext", value === lowest
          ? `${show(value)}: ${format.format(now.admitted)} people admitted, ${format.format(now.short)} just short`
          : `${show(value)}: ${format.format(now.tiers[at])} people in ${handle.tier.name}`);
      }
      tally(`tier-${handle.tier.tier}`, now.tiers[at], was(handle.tier.tier));
    });
    tally("short", now.short, published?.cut.short);
    tally("rest", now.rest);
    root.querySelector("[data-inexact]").hidden = !now.isInexact;
    drawWeek(now);
  }

  function drawWeek(now) {
    const most = Math.max(1, limit?.max ?? 0, ...now.days.map((day) => day.came));
    root.querySelectorAll("[data-day]").forEach((group, at) => {
      const { came, isFull } = now.days[at];
      const height = Math.floor((came * 120) / most);
      const bar = group.querySelector("rect");
      bar.setAttribute("y", 150 - height);
      bar.setAttribute("height", height);
      bar.setAttribute("class", isFull ? "day over" : "day");
      const label = group.querySelector(".val");
      label.textContent = format.format(came);
      label.setAttribute("y", Math.max(0, 144 - height));
    });
    const line = root.querySelector(".most");
    if (line) {
      const y = 150 - Math.floor((limit.max * 120) / most);
      line.setAttribute("y1", y);
      line.setAttribute("y2", y);
      line.nextElementSibling.setAttribute("y", Math.max(0, y - 6));
    }
    const text = weekText(now);
    root.querySelector("[data-week]").textContent = text;
    root.querySelector(".chart")?.setAttribute("aria-label", text);
  }

  function weekText(now) {
    const unknown = week.reduce((sum, day) => sum + day.unknown, 0);
    const asked = week.reduce((sum, day) => sum + from(day.asked, 0), unknown);
    if (asked === 0) return "Nobody asked in the last seven days.";
    const lacking = unknown === 0 ? "" : ` Of ${format.format(asked)} visits, the score of ${format.format(unknown)} isn’t known.`;
    if (unknown * 2 > asked) return `Too little is known of last week’s visitors to say what it would have meant.${lacking}`;
    const came = now.days.reduce((sum, day) => sum + day.came, 0);
    if (!limit) return `Of last week’s visitors, about ${format.format(came)} ${came === 1 ? "person" : "people"} would have come in.${lacking}`;
    const of = limit.cost === "party" ? "people" : "visits";
    const full = now.days.filter((day) => day.isFull).length;
    const over = now.days.reduce((sum, day) => sum + day.over, 0);
    const most = `the limit of ${format.format(limit.max)} ${of}`;
    if (full === 0) return `Last week, no day would have reached ${most}.${lacking}`;
    return `Last week, ${full === 1 ? "1 day" : `${full} days`} would have reached ${most}, and about ${format.format(over)} would have met a full house.${lacking}`;
  }

  function judge(handle) {
    const isFit = fits(handle, handle.field.value);
    handle.field.setCustomValidity(isFit ? "" : `A score from ${show(least(handle))} to ${show(maximum)}`);
    if (isFit) handle.field.removeAttribute("aria-invalid");
    else handle.field.setAttribute("aria-invalid", "true");
    return isFit;
  }

  // A handle keeps one step from its neighbours: only fields may pass them.
  function move(at, value) {
    const floor = least(handles[at]);
    const low = Math.max(floor, at === 0 ? floor : values[at - 1] + step);
    const high = at === values.length - 1 ? maximum : values[at + 1] - step;
    values[at] = Math.min(Math.max(value, Math.min(low, values[at])), Math.max(high, values[at]));
    handles[at].field.value = show(values[at]);
    judge(handles[at]);
    draw();
  }
  handles.forEach((handle, at) => {
    if (handle.range) {
      handle.range.hidden = false;
      // Dragged to whole steps; a threshold that was typed between two of them remains until it is moved.
      handle.range.addEventListener("input", () => move(at, Math.round(read(handle.range.value) / step) * step));
      handle.range.addEventListener("keydown", (event) => {
        const by = { PageUp: 10, PageDown: -10, ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        move(at, values[at] + by * step);
      });
    }
    handle.field.addEventListener("input", () => {
      if (!judge(handle)) return;
      values = values.with(at, read(handle.field.value));
      draw();
    });
    handle.field.addEventListener("change", draw);
  });
  root.querySelector("[data-no-script]").hidden = true;
  draw();
}

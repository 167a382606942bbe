// What pictures would be compared for, as rules that hold with any fonts.

import { isDeepStrictEqual } from "node:util";

import { eachPage } from "../pages.mjs";

/** Elements that stand beyond the window's edges and can't be scrolled to within a box of their own. */
function outside() {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => ["auto", "scroll", "hidden"].includes(getComputedStyle(element).overflowX);
  const isHeld = (element) => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      if (scrolls(box)) return true;
    }
    return false;
  };
  const found = [...document.querySelectorAll("body *:not(.vh):not(.skip)")].filter((element) => {
    const box = element.getBoundingClientRect();
    const isSeen = box.width > 0 && box.height > 0 && getComputedStyle(element).visibility === "visible";
    return isSeen && (box.right > width + 1 || box.left < -1) && !isHeld(element);
  });
  const page = document.scrollingElement;
  return {
    over: page.scrollWidth - page.clientWidth,
    found: found.slice(0, 3).map((element) => `${element.outerHTML.slice(0, 90)} at ${Math.round(element.getBoundingClientRect().right)} of ${width}`),
  };
}

/** Controls that lie on one another, which nobody can press with certainty. */
function overlaps() {
  const controls = [...document.querySelectorAll("a[href], button, input:not([type=hidden]):not([type=range]), select, textarea, summary")];
  const boxes = controls.flatMap((element) => {
    if (element.matches(".skip") || !element.checkVisibility()) return [];
    return [...element.getClientRects()].map((box) => ({ element, box }));
  });
  const found = [];
  for (const [at, { element: one, box: a }] of boxes.entries()) {
    for (const { element: other, box: b } of boxes.slice(at + 1)) {
      const [across, down] = [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
      const isInside = one === other || one.contains(other) || other.contains(one);
      // A bar that keeps in sight lies over what is scrolled beneath it.
      if (one.closest(".bar") !== other.closest(".bar")) continue;
      if (across > 2 && down > 2 && !isInside) found.push(`${one.outerHTML.slice(0, 80)} and ${other.outerHTML.slice(0, 80)}`);
    }
  }
  return found.slice(0, 3);
}

/** The boxes of what a page consists of. */
function boxes() {
  const parts = document.querySelectorAll("header, nav, main, h1, h2, section, form, table, .btn, input, select, textarea");
  return [...parts].map((part) => {
    const box = part.getBoundingClientRect();
    return [part.tagName, box.x, box.y, box.width, box.height].map((it) => (typeof it === "number" ? Math.round(it) : it)).join(" ");
  });
}

/** Controls without an edge (a box to tick has the browser's own), where the viewer's own colours have taken away every ground. */
function edgeless() {
  const isEdged = (it) => {
    const style = getComputedStyle(it);
    const edges = ["Top", "Bottom", "Left", "Right"].some((side) => parseFloat(style[`border${side}Width`]) > 0 && style[`border${side}Style`] !== "none");
    return edges || style.textDecorationLine.includes("underline");
  };
  const controls = [...document.querySelectorAll(".btn, input:not([type=hidden]):not([type=range]):not([type=checkbox]), select, textarea, a[aria-current]")];
  return controls.filter((it) => it.checkVisibility() && !isEdged(it)).map((it) => `no edge: ${it.outerHTML.slice(0, 90)}`);
}

/** Letters of a drawing that can't be read on the ground of the viewer's own colours: a drawing keeps its own. */
function unread() {
  const light = (colour) => {
    const [red, green, blue] = colour.match(/[\d.]+/g).map((it) => {
      const part = Number(it) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = light(getComputedStyle(document.documentElement).backgroundColor);
  const contrast = (other) => (Math.max(ground, other) + 0.05) / (Math.min(ground, other) + 0.05);
  const texts = [...document.querySelectorAll("svg text")].filter((it) => it.checkVisibility());
  return texts.filter((it) => contrast(light(getComputedStyle(it).fill)) < 4.5).map((it) => `not to be read: ${it.outerHTML.slice(0, 90)}`);
}

/** What paper can't do. */
function onPaper() {
  const seen = [...document.querySelectorAll(".band, .skip, .btn, input[type=range]")].filter((it) => it.checkVisibility());
  const [red, green, blue, alpha = 255] = getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number);
  const ground = red + green + blue < 3 * 255 && alpha > 0 ? ["its ground is printed"] : [];
  return [...seen.map((it) => `it is printed: ${it.outerHTML.slice(0, 90)}`), ...ground];
}

/** How far things moved while the page loaded. */
function shift() {
  return new Promise((done) => {
    const sum = (list) => done(list.getEntries().reduce((sum, it) => sum + it.value, 0));
    new PerformanceObserver(sum).observe({ type: "layout-shift", buffered: true });
    requestAnimationFrame(() => requestAnimationFrame(() => done(0)));
  });
}

const moving = () => document.getAnimations().map((it) => `it moves: ${it.effect?.target?.outerHTML.slice(0, 90)}`);

// A window of 1,280 px zoomed to 400 % is one of 320, and to 200 % one of 640.
const WIDTHS = [320, 390, 640, 768, 1024, 1280];

export const tests = {
  async "pages fit into every window, by day and night, on paper, and in the viewer's own colours"(t) {
    const all = [];
    await eachPage(t, {}, async (page, name) => {
      const note = (mode, wrong) => all.push(...wrong.map((it) => `${name}, ${mode}: ${it}`));
      const moved = await page.evaluate(shift);
      note("as it loads", moved > 0.05 ? [`it moves by ${moved}`] : []);
      const byDay = await page.evaluate(boxes);
      await page.emulateMedia({ colorScheme: "dark" });
      note("by night", isDeepStrictEqual(await page.evaluate(boxes), byDay) ? [] : ["its parts are elsewhere than by day"]);
      await page.emulateMedia({ colorScheme: null, media: "print" });
      note("on paper", await page.evaluate(onPaper));
      await page.emulateMedia({ media: null, forcedColors: "active" });
      note("in the viewer's colours", [...(await page.evaluate(edgeless)), ...(await page.evaluate(unread))]);
      await page.emulateMedia({ forcedColors: null, reducedMotion: "reduce" });
      note("without motion", await page.evaluate(moving));
      await page.emulateMedia({ reducedMotion: null });
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        const { over, found } = await page.evaluate(outside);
        note(`${width} px`, [...(over > 0 ? [`${over} px too wide`] : []), ...found, ...(await page.evaluate(overlaps))]);
      }
    });
    if (all.length > 0) throw new Error(all.join("\n"));
  },
};

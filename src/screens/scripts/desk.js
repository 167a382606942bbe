// The desk without reloads: each form is sent as it stands, and of the page that comes back the parts are put in place. So
// nothing is shown that the gateway has not confirmed, and what was typed is still there while the gateway is away.
const at = (id) => document.getElementById(id);
const LOOK_EVERY = 5_000;
const PATIENCE = 12_000;
let awaySince = null;
let asks = 0;
// The clock of a tablet may be wrong: instants are compared with the gateway's.
let skew = 0;
const now = () => Date.now() + skew;
function setClock() {
  skew = Date.parse(at("clock").querySelector("time").dateTime) - Date.now();
}

/** The time of the place, for someone who looks at its clock. */
const time = (when) => new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: document.body.dataset.zone }).format(when);

function tellAway(isAway) {
  if (isAway === (awaySince !== null)) return;
  awaySince = isAway ? now() : null;
  at("away").textContent = isAway ? `The gateway is away since ${time(awaySince)}. What you typed is still here: press the button again.` : "";
}

/** A page; null where nothing came back. */
async function fetchPage(path, options = {}) {
  try {
    const reply = await fetch(path, { ...options, headers: { accept: "text/html", ...options.headers }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (reply.status === 401) {
      location.assign("/pair");
      return new Promise(() => {});
    }
    const isPage = reply.headers.get("content-type")?.startsWith("text/html");
    if (!isPage) return null;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const isOfDesk = page.getElementById("shown") || path === "/desk/side";
    // A proxy says in a page of its own that the gateway is away.
    if (!isOfDesk && reply.status >= 500) return null;
    return { status: reply.status, url: reply.url, page, isOfDesk };
  } catch {
    return null;
  }
}

/** What the field to scan into has been given so far: what came since then must not be lost. */
let typed = 0;

/** Takes over what another page shows, part by part. Where someone types meanwhile, their field stays as it is. */
function put(page, since, { parts = ["shown", "side", "who", "clock"], pressed } = {}) {
  for (const id of parts) at(id).replaceChildren(...page.getElementById(id).childNodes);
  const isTyped = typed !== since && document.activeElement === at("scan");
  const [own, other] = [at("ask"), page.getElementById("ask")];
  if (isTyped) {
    for (const name of ["attempt", "page_token"]) own.elements[name].value = other.querySelector(`[name=${name}]`).value;
    // What was asked before stands in front of it.
    if (sent && at("scan").value.startsWith(sent)) at("scan").value = at("scan").value.slice(sent.length);
    own.querySelector(".error")?.remove();
  } else if (parts.includes("shown")) {
    own.replaceChildren(...other.childNodes);
  }
  sent = "";
  document.title = page.title;
  const said = [...page.querySelectorAll("#shown .note.good, #shown .verdict, #shown .panel > h1")];
  const result = parts.includes("shown") ? [...at("shown").querySelectorAll(".note.good, .verdict, .panel > h1")] : said;
  const people = pressed && at("shown").querySelector(".stepper output")?.textContent;
  at("said").textContent = people ? `${people === "1" ? "1 person" : `${people} people`}. ${at("shown").querySelector(".tell")?.innerText ?? ""}` : result.map((it) => it.textContent).join(" ");
  const again = pressed && [...at("shown").querySelectorAll("button:enabled")].find((it) => it.ariaLabel === pressed);
  const wanted = again || (at("shown").querySelector("[autofocus]") ?? at("scan"));
  if (!isTyped && parts.includes("shown")) {
    wanted.focus();
    if (wanted === at("scan")) wanted.select();
  }
  setClock();
  countDown();
}

async function show(path, options, how) {
  asks += 1;
  const mine = asks;
  const since = typed;
  const came = await fetchPage(path, options);
  if (mine !== asks) return;
  tellAway(came === null);
  if (came === null) return;
  if (!came.isOfDesk) {
    // The address of a form is no page: what was typed stays here, and why it was refused is said.
    if (options) at("away").textContent = `${[...came.page.querySelectorAll("h1, .lead")].map((it) => it.textContent.trim()).join(". ")} What you typed is still here.`;
    else location.assign("/desk");
    return;
  }
  put(came.page, since, how);
  const address = new URL(came.url);
  // What was posted and not done has no address of its own, and what was done once is not so for ever.
  const query = address.searchParams.has("done") ? "" : address.search;
  if (came.status < 400 && how?.parts === undefined) history.replaceState(null, "", address.pathname + query);
}

/** What is asked for now. */
let sent = "";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  const isAsk = form === at("ask");
  if (form.getAttribute("aria-busy") === "true") {
    if (isAsk) at("said").textContent = at("away").textContent = "The one before is not answered yet. Scan this one again after it.";
    return;
  }
  form.setAttribute("aria-busy", "true");
  const body = new URLSearchParams(new FormData(form, event.submitter));
  if (isAsk) {
    sent = at("scan").value;
    // The next one that is scanned meanwhile stands alone.
    at("scan").select();
    at("said").textContent = "One moment.";
  }
  const action = form.getAttribute("action");
  const how = {};
  if (form.closest("#side") && action.endsWith("/release")) how.parts = ["side", "clock"];
  if (action.endsWith("/guests")) how.pressed = event.submitter?.ariaLabel;
  await show(action, { method: "POST", body }, how);
  form.removeAttribute("aria-busy");
});

document.addEventListener("input", (event) => {
  if (event.target === at("scan")) typed += 1;
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/desk']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.getAttribute("href"));
});

// A scanner types faster than anyone, and ends with Enter: what it types into another field is taken out of that one again,
// and asked for. The pass of the next guest is no reason, and no PIN.
const BETWEEN_KEYS = 50;
const SHORTEST = 6;
let burst = { field: null, before: "", keys: "", last: 0 };
document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input:not([type=hidden]):not([type=radio]), select, button, a");
  if (!field || field === at("scan") || event.ctrlKey || event.metaKey || event.altKey) return;
  const isNext = event.timeStamp - burst.last < BETWEEN_KEYS && burst.field === field;
  if (event.key === "Enter") {
    if (isNext && burst.keys.length >= SHORTEST) {
      event.preventDefault();
      event.stopPropagation();
      if (field.matches("input")) field.value = burst.before;
      at("scan").value = burst.keys;
      typed += 1;
      at("scan").focus();
      at("ask").requestSubmit();
    } else if (field.matches("#note, #why") && field.form?.action.endsWith("/override")) {
      event.preventDefault();
    }
    burst.last = 0;
  } else if (event.key.length === 1) {
    if (!isNext) burst = { field, before: field.value ?? "", keys: "", last: 0 };
    burst.keys += event.key;
    burst.last = event.timeStamp;
  }
}, { capture: true });

// What goes to no field goes into the one to scan into.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  if (document.activeElement.closest("input, select, textarea")) return;
  if (event.key === " " && document.activeElement.closest("a, button")) return;
  at("scan").focus();
  at("scan").select();
});

/** The time that is left of what ends; what is over can't be pressed or scanned any more. */
function countDown() {
  for (const code of document.querySelectorAll("figure[data-ends]")) {
    if (Date.parse(code.dataset.ends) > now()) continue;
    code.querySelector("svg")?.remove();
    code.querySelector("figcaption").textContent = "The code has expired: scan them again.";
  }
  for (const until of document.querySelectorAll("time[data-until]")) {
    const left = Date.parse(until.dateTime) - now();
    if ("left" in until.dataset) {
      const minutes = Math.ceil(left / 60_000);
      until.title = minutes > 0 ? `${minutes} min left` : "over";
      let said = until.nextElementSibling;
      if (!said) until.after((said = document.createElement("span")));
      said.textContent = minutes > 0 ? ` (${minutes} min left)` : " (over)";
      const form = until.closest("footer")?.querySelector(".undo");
      if (form) form.hidden = left <= 0;
    }
  }
}

// A finger or a mouse on the side holds it as it is; where there is no mouse, what was touched last counts as nothing.
const hasMouse = matchMedia("(hover: hover)");
let isPressed = false;
document.addEventListener("pointerdown", () => (isPressed = true));
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (isPressed = false));
const isHeld = (part) => isPressed || part.contains(document.activeElement) || (hasMouse.matches && part.matches(":hover"));

/** Who is inside, as it changes; never under a finger. */
async function look() {
  if (document.hidden) return;
  const before = asks;
  const came = await fetchPage("/desk/side");
  if (before !== asks) return;
  if (came === null || came.status >= 500) return tellAway(true);
  tellAway(false);
  if (came.status >= 400) return location.reload();
  const made = came.page.body;
  // The token of a page is the same on each of them: two that say the same are the same.
  if (!isHeld(at("side")) && made.innerHTML.trim() !== at("side").innerHTML.trim()) at("side").replaceChildren(...made.childNodes);
  if (document.querySelector("[data-waits]") && document.activeElement === at("scan") && at("scan").value === "") await lookAgain();
}

/** The answer that waits, where it has changed; nothing of it while someone types or presses. */
async function lookAgain() {
  const [mine, since, shown] = [asks, typed, at("shown").innerHTML.trim()];
  const came = await fetchPage(location.pathname);
  if (mine !== asks || since !== typed || !came?.isOfDesk || came.status >= 400) return;
  if (came.page.getElementById("shown").innerHTML.trim() !== shown) put(came.page, since);
}

setClock();
countDown();
if (new URLSearchParams(location.search).has("done")) history.replaceState(null, "", location.pathname);
setInterval(look, LOOK_EVERY);
setInterval(() => {
  at("clock").querySelector("time").textContent = time(now());
  countDown();
}, 10_000);

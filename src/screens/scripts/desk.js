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
    return { status: reply.status, url: reply.url, page: new DOMParser().parseFromString(await reply.text(), "text/html") };
  } catch {
    return null;
  }
}

/** Takes over what another page shows, part by part. */
function put(page) {
  if (!page.getElementById("shown")) return false;
  for (const id of ["shown", "side", "who", "clock"]) at(id).replaceChildren(...page.getElementById(id).childNodes);
  const [own, other] = [at("ask"), page.getElementById("ask")];
  own.replaceChildren(...other.childNodes);
  document.title = page.title;
  at("said").textContent = [...at("shown").querySelectorAll(".note.good, .verdict, .panel > h1")].map((it) => it.innerText).join(" ");
  const wanted = at("shown").querySelector("[autofocus]") ?? at("scan");
  wanted.focus();
  if (wanted === at("scan")) wanted.select();
  setClock();
  countDown();
  return true;
}

async function show(path, options) {
  asks += 1;
  const mine = asks;
  const came = await fetchPage(path, options);
  if (mine !== asks) return;
  tellAway(came === null);
  if (came === null) return;
  // A page of another form (of the door, say) is loaded as it is.
  if (!put(came.page)) return location.assign(came.url);
  const address = new URL(came.url);
  // What was posted and not done has no address of its own.
  if (came.status < 400) history.replaceState(null, "", address.pathname + address.search);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  const body = new URLSearchParams(new FormData(form, event.submitter));
  await show(form.getAttribute("action"), { method: "POST", body });
  form.removeAttribute("aria-busy");
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/desk']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.getAttribute("href"));
});

// A scanner types at any time: what goes to no field goes into the one to scan into.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  if (document.activeElement.closest("input, select, textarea")) return;
  if (event.key === " " && document.activeElement.closest("a, button")) return;
  at("scan").focus();
  at("scan").select();
});

/** The time that is left of what ends; what is over can't be pressed any more. */
function countDown() {
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
  if (document.querySelector("[data-waits]") && document.activeElement === at("scan") && at("scan").value === "") await show(location.pathname);
}

setClock();
countDown();
setInterval(look, LOOK_EVERY);
setInterval(() => {
  at("clock").querySelector("time").textContent = time(now());
  countDown();
}, 10_000);

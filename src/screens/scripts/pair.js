// A code becomes a screen. The secret is made here, stored until it is taken, and from then on only in a cookie that no
// script reads.
const PENDING = "pairing";
const at = (id) => document.getElementById(id);

function secret() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** The attempt for a code: the same secret again, so that a lost answer is got by asking again. */
function pending(code) {
  const known = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  if (known?.code === code) return known;
  const made = { code, device_secret: secret() };
  sessionStorage.setItem(PENDING, JSON.stringify(made));
  return made;
}

function compare(words) {
  at("type").hidden = true;
  at("compare").hidden = false;
  at("words").textContent = words;
  at("compare").querySelector("h1").focus();
  follow();
}

async function follow() {
  for (;;) {
    await new Promise((done) => setTimeout(done, 2_000));
    const reply = await fetch("/pair/state", { cache: "no-store" }).catch(() => null);
    if (!reply?.ok) continue;
    const state = await reply.json();
    if (state.state === "paired") return location.replace(state.home);
    if (state.state === "unpaired") return location.replace("/pair");
  }
}

at("type").addEventListener("submit", async (event) => {
  event.preventDefault();
  const code = at("code").value.toUpperCase().replace(/[^A-Z]/g, "");
  at("said").textContent = "";
  const headers = { "content-type": "application/json" };
  const reply = await fetch("/pair", { method: "POST", headers, body: JSON.stringify(pending(code)) }).catch(() => null);
  if (reply?.ok) {
    const { words } = await reply.json();
    sessionStorage.removeItem(PENDING);
    return compare(words);
  }
  const problem = reply ? await reply.json().catch(() => null) : null;
  at("said").textContent = problem?.detail ?? "The gateway can’t be reached. Try it again in a moment.";
  if (reply?.status === 403) sessionStorage.removeItem(PENDING);
  at("code").focus();
  return undefined;
});

if (at("type").hidden) follow();
else at("code").focus();

// The wall: how full it is, live, and since when nobody knows where the gateway is away.
let place = null;
let problem = null;
let awaySince = null;

function paint() {
  const zone = place?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  clock(zone);
  const isKnown = place && !awaySince && !problem;
  const isOpen = place?.state === "open";
  const free = (place?.capacity ?? null) === null ? null : Math.max(0, place.capacity - place.inside);
  at("foot").replaceChildren(...(isKnown ? [el("p", {}, hoursOf(place))] : []));
  if (problem) return at("say").replaceChildren(MARKS.away(), heading("kiosk.fault.title"), el("p", { lang: "en" }, problem));
  if (!isKnown) return at("say").replaceChildren(MARKS.away(), el("h1", {}, text("wall.away", { time: time((awaySince ?? Date.now()) + skew, zone) })));
  const words = !isOpen ? text("wall.closed") : free === null ? text("wall.open") : free === 0 ? text("wall.full") : text("wall.free", { count: free });
  const parts = [el("h1", {}, words)];
  if (isOpen && free !== null) {
    parts.unshift(el("div", {}, flap(String(free), "")));
    parts.push(el("p", {}, text("wall.title", { inside: place.inside, capacity: place.capacity })), el("progress", { max: place.capacity, value: place.inside, "aria-hidden": "true" }));
  }
  return at("say").replaceChildren(...parts);
}

let shown = "";
async function look() {
  const reply = await call(`/wall/state?page=${page.version}`);
  if (reply?.status === 401) return location.assign("/pair");
  if (reply?.status === 403) return location.reload();
  if (reply?.status === 200) [place, awaySince] = [reply.value, null];
  else if (reply?.status !== 409) awaySince ??= Date.now();
  problem = reply?.status === 409 ? reply.value.detail : null;
  if (reply?.status === 200 && place.version && place.version !== page.version) return location.reload();
  const is = JSON.stringify([place?.inside, place?.capacity, place?.state, place?.until, awaySince, problem]);
  if (is !== shown) paint();
  shown = is;
  return undefined;
}

await loadWords();
setInterval(() => clock(place?.zone), 1_000);
for (;;) {
  await look();
  await new Promise((done) => setTimeout(done, 2_000));
}

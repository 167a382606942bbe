// The wall: how full it is, live, and since when nobody knows where the gateway is away.
let place = null;
let awaySince = null;

function paint() {
  const zone = place?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  clock(zone);
  if (awaySince || !place) {
    at("say").replaceChildren(MARKS.away(), el("h1", {}, text("wall.away", { time: time(awaySince ?? Date.now(), zone) })));
    at("foot").replaceChildren();
    return;
  }
  const until = place.until && moment(Date.parse(place.until), zone, Date.now());
  const isOpen = place.state === "open";
  const free = place.capacity === null ? null : Math.max(0, place.capacity - place.inside);
  const words = !isOpen ? text("wall.closed") : free === null ? text("wall.open") : free === 0 ? text("wall.full") : text("wall.free", { count: free });
  const parts = [];
  if (isOpen && free !== null) parts.push(el("div", {}, flap(String(free), "")));
  parts.push(el("h1", {}, words));
  if (isOpen && free !== null) {
    parts.push(el("p", {}, text("wall.title", { inside: place.inside, capacity: place.capacity })));
    parts.push(el("progress", { max: place.capacity, value: place.inside, "aria-hidden": "true" }));
  }
  at("say").replaceChildren(...parts);
  const hours = text(`kiosk.idle.${isOpen ? "open" : "closed"}${until ? "_until" : ""}`, { time: until });
  at("foot").replaceChildren(el("p", {}, hours));
}

let shown = "";
async function look() {
  const reply = await call(`/wall/state?page=${page.version}`);
  if (reply?.status === 401) return location.assign("/pair");
  if (reply?.status === 403) return location.reload();
  if (reply?.status === 200) {
    place = reply.value;
    awaySince = null;
  } else {
    awaySince ??= Date.now();
  }
  const is = JSON.stringify([place?.inside, place?.capacity, place?.state, place?.until, awaySince]);
  if (is !== shown) paint();
  shown = is;
  return undefined;
}

await loadWords();
await look();
paint();
setInterval(look, 2_000);
setInterval(() => clock(place?.zone), 1_000);

// Keeps the shell of a page, so that it begins without a network. Nothing else is kept: no state, no answer, nobody,
// and not what makes the page this screen's: that comes with the page of the network.
//
// A shell is kept whole: the page with the very files that it names, all of one build. While replicas of two builds
// answer in turn, what doesn't fit together is not kept, and the shell before it stays in use.
const PAGE = "__PAGE__";
const NAME = `${PAGE}-__VERSION__`;
const SHELL = __SHELL__;

async function keepFile(cache, path) {
  const reply = await fetch(path, { cache: "no-cache" });
  // A replica of another build gives its own file in place of this one, and says that it must not be kept.
  if (!reply.ok || reply.headers.get("cache-control")?.includes("no-store")) throw new TypeError(`${path} is of another build`);
  await cache.put(path, reply);
}

async function install() {
  const cache = await caches.open(NAME);
  await Promise.all(SHELL.map((path) => keepFile(cache, path)));
  // The page that brought this worker did not come through it.
  if (!(await keep(await fetch(PAGE)))) throw new TypeError("the page is of another build");
  await self.skipWaiting();
}

self.addEventListener("install", (event) => event.waitUntil(install()));

self.addEventListener("activate", (event) => {
  const begin = async () => {
    for (const name of await caches.keys()) if (name.startsWith(`${PAGE}-`) && name !== NAME) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(begin());
});

/** Keeps the page where all that it names is kept; true if it does. One that is no page any more is forgotten. */
async function keep(reply) {
  const cache = await caches.open(NAME);
  if (!reply.ok || reply.type !== "basic" || reply.redirected) {
    if (reply.status < 500) await cache.delete(PAGE);
    return false;
  }
  const words = (await reply.clone().text()).replace(/ data-page="[^"]*"/, ' data-page=""');
  if ((words.match(/\/screens\/assets\/[\w./-]+/g) ?? []).some((path) => !SHELL.includes(path))) return false;
  const headers = new Headers(reply.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  await cache.put(PAGE, new Response(words, { headers }));
  return true;
}

const kept = async (path) => (await caches.open(NAME)).match(path);

async function page(request) {
  try {
    const reply = await fetch(request);
    await keep(reply);
    return reply.status >= 500 ? ((await kept(PAGE)) ?? reply) : reply;
  } catch {
    return (await kept(PAGE)) ?? Response.error();
  }
}

self.addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (event.request.mode === "navigate" && pathname === PAGE) event.respondWith(page(event.request));
  else if (SHELL.includes(pathname)) event.respondWith(kept(pathname).then((found) => found ?? fetch(event.request)));
});

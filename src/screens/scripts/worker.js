// Keeps the shell of a page, so that it begins without a network. Nothing else is kept: no state, no answer, nobody,
// and not what makes the page this screen's: that comes with the page of the network.
const PAGE = "__PAGE__";
const NAME = `${PAGE}-__VERSION__`;
const SHELL = __SHELL__;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const begin = async () => {
    for (const name of await caches.keys()) if (name.startsWith(`${PAGE}-`) && name !== NAME) await caches.delete(name);
    await self.clients.claim();
    // The page that brought this worker did not come through it.
    await fetch(PAGE).then(keep).catch(() => {});
  };
  event.waitUntil(begin());
});

async function keep(reply) {
  const cache = await caches.open(NAME);
  if (reply.ok && reply.type === "basic" && !reply.redirected) {
    const words = (await reply.clone().text()).replace(/ data-page="[^"]*"/, ' data-page=""');
    const headers = new Headers(reply.headers);
    headers.delete("content-encoding");
    headers.delete("content-length");
    await cache.put(PAGE, new Response(words, { headers }));
  } else if (reply.status < 500) {
    await cache.delete(PAGE);
  }
}

async function page(request) {
  const kept = async () => (await caches.open(NAME)).match(PAGE);
  try {
    const reply = await fetch(request);
    await keep(reply);
    return reply.status >= 500 ? ((await kept()) ?? reply) : reply;
  } catch {
    return (await kept()) ?? Response.error();
  }
}

self.addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (event.request.mode === "navigate" && pathname === PAGE) event.respondWith(page(event.request));
  else if (SHELL.includes(pathname)) event.respondWith(caches.match(pathname).then((kept) => kept ?? fetch(event.request)));
});

// Keeps the shell of the kiosk, so that it begins without a network. Nothing else is kept: no state, no answer, nobody.
const NAME = "kiosk-__VERSION__";
const SHELL = __SHELL__;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    for (const name of await caches.keys()) if (name !== NAME) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

async function page(request) {
  const cache = await caches.open(NAME);
  try {
    const reply = await fetch(request);
    if (reply.ok && reply.type === "basic" && !reply.redirected) await cache.put("/kiosk", reply.clone());
    else if (reply.status < 500) await cache.delete("/kiosk");
    return reply.status >= 500 ? ((await cache.match("/kiosk")) ?? reply) : reply;
  } catch {
    return (await cache.match("/kiosk")) ?? Response.error();
  }
}

self.addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (event.request.mode === "navigate" && pathname === "/kiosk") event.respondWith(page(event.request));
  else if (SHELL.includes(pathname)) event.respondWith(caches.match(pathname).then((kept) => kept ?? fetch(event.request)));
});

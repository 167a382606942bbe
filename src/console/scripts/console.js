// What a browser adds to the console's pages. All of them work without it.

// The clocks of the band go on, and the second one is the viewer's own.
const clocks = [...document.querySelectorAll("[data-clock]")];
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
const first = clocks.find((clock) => !("own" in clock.dataset))?.dataset.clock;
for (const clock of clocks) {
  if ("own" in clock.dataset && own) {
    clock.dataset.clock = own;
    clock.hidden = clocks.some((other) => other !== clock && other.dataset.clock === own);
    clock.firstChild.data = `${own.split("/").pop().replaceAll("_", " ")} `;
  }
}
const day = (zone, now) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "short" }).format(now);
function tick() {
  const now = new Date();
  for (const clock of clocks) {
    const zone = clock.dataset.clock;
    const time = { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    clock.querySelector("b").textContent = new Intl.DateTimeFormat("en-GB", time).format(now);
    const other = clock.querySelector("i");
    if (other) other.textContent = day(zone, now) === day(first ?? zone, now) ? "" : ` ${day(zone, now)}`;
  }
}
if (clocks.length > 0) {
  tick();
  setInterval(tick, 10_000);
}

// A refused form is read from its summary on.
document.querySelector("[data-focus]")?.focus();

// A form is sent once: a second press of its button changes nothing.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    if (button?.dataset.busy) button.textContent = button.dataset.busy;
    button?.setAttribute("aria-disabled", "true");
  });
}
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

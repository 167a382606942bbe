// Decisions as they happen. The rows and the numbers are written by the server's own templates, escaped there as on the page.
const root = document.querySelector("[data-live]");
const find = (name) => document.querySelector(`[data-${name}]`);

function start() {
  const [rows, state, hold, said] = ["rows", "state", "hold", "said"].map(find);
  const events = new EventSource(root.dataset.live);
  let [held, waiting, checks, isHeld] = [[], 0, 0, false];
  const show = (kind, words) => {
    state.className = `st ${kind}`;
    state.textContent = words;
  };
  const put = (html) => {
    rows.insertAdjacentHTML("afterbegin", html);
    while (rows.children.length > 40) rows.lastElementChild.remove();
    find("none")?.remove();
  };
  const label = () => {
    hold.textContent = isHeld ? `Go on${waiting > 0 ? `: ${waiting} new` : ""}` : "Hold the list";
    hold.setAttribute("aria-pressed", isHeld);
  };
  hold.hidden = false;
  hold.addEventListener("click", () => {
    isHeld = !isHeld;
    if (!isHeld) held.forEach(put);
    if (!isHeld) [held, waiting] = [[], 0];
    label();
  });
  label();
  events.addEventListener("open", () => show("granted", "Live"));
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) show("denied", "No longer live: refresh the page");
    else show("wait", "Connecting again");
  });
  events.addEventListener("decisions", ({ data }) => {
    const news = JSON.parse(data);
    checks += news.checks;
    if (!isHeld) return put(news.rows);
    held = [...held, news.rows].slice(-40);
    waiting += news.checks;
    label();
  });
  events.addEventListener("figures", ({ data }) => {
    for (const [name, html] of Object.entries(JSON.parse(data))) {
      const part = document.querySelector(`[data-part="${name}"]`);
      // What someone is about to press is left alone.
      if (part && !part.contains(document.activeElement)) part.innerHTML = html;
    }
  });
  setInterval(() => {
    if (checks > 0) said.textContent = `${checks} ${checks === 1 ? "check" : "checks"} in the last minute.`;
    checks = 0;
  }, 60_000);
}

if (root && globalThis.EventSource) start();

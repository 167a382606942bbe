// A browser's window, and everything in it that must not happen: an error of a script, something that the policy of the
// page refused, a request to another host, a dialog.

/**
 * Opens a context for someone, and watches all of its pages. A page that asks before it is left is left; that is a fault
 * where it has no reason to ask, which `mayAsk` says it has.
 */
export async function visit(browser, gateway, person, { mayAsk = false, ...options } = {}) {
  const context = await browser.newContext({ baseURL: gateway.url, viewport: { width: 1280, height: 900 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(10_000);
  const faults = [];
  const said = [];
  const refused = new Set();
  const host = new URL(gateway.url).host;
  if (person?.cookie) await context.addCookies(person.cookies());
  context.on("request", (request) => {
    const { protocol, host: asked } = new URL(request.url());
    if (protocol.startsWith("http") && asked !== host) faults.push(`a request to ${request.url()}`);
  });
  context.on("response", (response) => {
    if (response.status() >= 400 && response.request().isNavigationRequest()) refused.add(response.url().split("#")[0]);
    if (response.status() >= 500) faults.push(`${response.status()} of ${response.url()}`);
  });
  context.on("console", (message) => {
    if (message.type() === "error") said.push({ text: message.text(), url: message.location().url });
  });
  context.on("weberror", (error) => faults.push(`an error of a script: ${error.error().message}`));
  context.on("page", (page) => {
    page.on("dialog", (dialog) => {
      const isQuestion = dialog.type() === "beforeunload";
      if (!(isQuestion && mayAsk)) faults.push(`a dialog of ${page.url()}: ${dialog.type()} ${dialog.message()}`);
      (isQuestion ? dialog.accept() : dialog.dismiss()).catch(() => {});
    });
    page.on("requestfailed", (request) => {
      // A page that is left ends what it was loading.
      if (request.failure()?.errorText !== "net::ERR_ABORTED") faults.push(`${request.failure()?.errorText} of ${request.url()}`);
    });
  });
  // A page that says no is counted as a fault of loading by the browser.
  // So is a fifth stream of one account: windows that were closed just now may hold the others.
  const isFifth = ({ text, url }) => text.includes("status of 429") && new URL(url).pathname === "/console/today/events";
  const isRefusal = (it) => it.text.startsWith("Failed to load resource") && (refused.has(it.url.split("#")[0]) || isFifth(it));
  const wrong = () => [...faults, ...said.filter((it) => !isRefusal(it)).map(({ text, url }) => `${text} (${url})`)];
  return { context, wrong };
}

/** Waits for the page that a click leads to. */
export async function go(page, locator) {
  const target = typeof locator === "string" ? page.locator(locator) : locator;
  const [response] = await Promise.all([page.waitForNavigation({ waitUntil: "load" }), target.click()]);
  return response;
}

export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const heading = (page) => page.locator("h1").innerText();

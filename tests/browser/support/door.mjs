// A door: a phone that is paired for a lounge, and people with tokens for it.

import { lounge, pairedCookie, scan, screenPage } from "./kiosk.mjs";

let made = 0;

/** A lounge where everyone comes as often as they like, with a key that asks for them. */
export async function loungeWithDoors(t, more = {}) {
  const merchant = await lounge(t, { limits: [], ...more });
  const { key } = await t.gateway.command("key", "create", "--merchant", merchant.slug, "--role", "kiosk", "--label", "A12", "--location", "SFO-A");
  return Object.assign(merchant, { kioskKey: key });
}

/** Someone's grant: its token, and its ids. */
export async function granted(t, merchant, { people = 1, perk = merchant.perk, subject = "twitter:ada" } = {}) {
  const grant = await t.gateway.api(merchant.kioskKey, "POST", "/v1/checks", { perk, subject, context: { party: people } });
  if (grant.decision !== "granted") throw new Error(`not granted: ${JSON.stringify(grant)}`);
  return grant;
}

export const tokenOf = async (t, merchant, more) => (await granted(t, merchant, more)).token;

/** The page of a new door, ready. Doors lose their network on purpose: what fails of that is not watched. */
export async function door(t, merchant, options = {}) {
  const kiosk = `${(made += 1)}`;
  const { device, cookie } = await pairedCookie(t, merchant, { role: "door", audience: merchant.audience ?? merchant.perk, kiosk });
  const page = await screenPage(t, "/door", cookie, false, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, ...options });
  await page.locator("#strip").getByText("Online").waitFor();
  return { page, device, name: `SFO-A-${kiosk}` };
}

/** A door whose shell is kept, so that it begins without a network. */
export async function keptDoor(t, merchant, options = {}) {
  const opened = await door(t, merchant, { serviceWorkers: "allow", ...options });
  const isKept = () => opened.page.evaluate(async () => Boolean(await caches.match("/door")));
  for (let nth = 0; nth < 100 && !(await isKept()); nth += 1) await opened.page.waitForTimeout(100);
  return opened;
}

/** Takes the network away, or gives it back, and waits until the page says so. */
export async function network(page, isThere) {
  await page.context().setOffline(!isThere);
  await page.locator("#strip").getByText(isThere ? "Online" : /^Offline since/).waitFor({ timeout: 30_000 });
}

/** Shows this under the reader, and waits for what the door says. */
export async function shows(page, token, title) {
  await scan(page, token);
  await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
  return page.locator("main").innerText();
}

// The browser: Debian's Chromium, or another one of its family that this machine has.

import { execFileSync } from "node:child_process";

import { chromium } from "./modules.mjs";

const NAMES = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];

/** The program and its version; Ubuntu's `chromium-browser` only says that a snap is wanted, and is none. */
export function findChromium() {
  const asked = process.env.PERKGATE_CHROMIUM;
  for (const name of asked ? [asked] : NAMES) {
    try {
      const version = execFileSync(name, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 });
      const executablePath = name.includes("/") ? name : execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
      return { executablePath, version: version.trim() };
    } catch {
      // The next name.
    }
  }
  return undefined;
}

/** A browser that reaches this machine only: what asks for another host fails, and is counted by `visitor.mjs`. `more` is said to the program too. */
export async function launch(more = []) {
  const found = findChromium();
  if (!found) {
    throw new Error("no Chromium: install Debian's package `chromium` (or Google Chrome), or name one in PERKGATE_CHROMIUM");
  }
  const browser = await chromium.launch({
    executablePath: found.executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-proxy-server",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
      ...more,
    ],
  });
  return { browser, version: found.version };
}

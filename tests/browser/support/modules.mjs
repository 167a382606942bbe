// What `package.json` pins, installed under `target/` once for each version of the lock file.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = dirname(dirname(fileURLToPath(import.meta.url)));
export const REPOSITORY = dirname(dirname(HERE));
/** Where everything that a run writes goes. */
export const TARGET = join(REPOSITORY, "target", "browser");

function install() {
  mkdirSync(TARGET, { recursive: true });
  const lock = readFileSync(join(HERE, "package-lock.json"), "utf8");
  const done = join(TARGET, "installed");
  if (existsSync(done) && readFileSync(done, "utf8") === lock) return;
  for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(HERE, name), join(TARGET, name));
  const words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--silent"];
  execFileSync("npm", words, { cwd: TARGET, stdio: "inherit" });
  writeFileSync(done, lock);
}

install();
const require = createRequire(join(TARGET, "package.json"));
export const { chromium } = require("playwright-core");
export const bcbp = require("bcbp");
export const bwipjs = require("bwip-js");
export const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

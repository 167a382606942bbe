// The rules of WCAG 2.2 A and AA that a program can judge, and the best practices beside them, on every page.

import { eachPage } from "../pages.mjs";
import { AXE } from "../support/modules.mjs";

const MODES = [
  { mode: "by day", colorScheme: "light" },
  { mode: "by night", colorScheme: "dark" },
  { mode: "on a phone", colorScheme: "light", width: 390 },
];

const found = (name, { id, help, nodes }) => {
  const where = nodes.slice(0, 3).map((node) => `  ${node.html.slice(0, 160)} ${node.failureSummary?.split("\n")[1] ?? ""}`);
  return `${name}: ${id}, ${help}\n${where.join("\n")}`;
};

export const tests = {
  async "axe finds nothing, by day, by night and on a phone"(t) {
    const all = [];
    let pages = 0;
    await eachPage(t, {}, async (page, name) => {
      await page.evaluate(AXE);
      for (const { mode, colorScheme, width = 1280 } of MODES) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
        all.push(...violations.map((violation) => found(`${name}, ${mode}`, violation)));
      }
      await page.emulateMedia({ colorScheme: null });
      await page.setViewportSize({ width: 1280, height: 900 });
      pages += 1;
    });
    t.say(`${pages} pages and states, ${all.length} findings`);
    if (all.length > 0) throw new Error(all.join("\n"));
  },
};

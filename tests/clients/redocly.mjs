// What `redocly lint` runs, without the hundred megabytes of a command line that also renders pages.
import { formatProblems, getTotals, lint, loadConfig } from "@redocly/openapi-core";

const [document, configPath] = process.argv.slice(2);
const config = await loadConfig({ configPath });
const problems = await lint({ ref: document, config });
const totals = getTotals(problems);
formatProblems(problems, { totals, format: "stylish", version: "" });
process.exit(problems.length === 0 ? 0 : 1);

// The table at the end of `make bench`, from what the measurements recorded.   node table.mjs RESULTS [CRITERION_DIR]
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { record } from "./lib.mjs";

const [results, criterion] = process.argv.slice(2);
process.env.BENCH_RESULTS = results;

// Nanoseconds of CPU for a thousand viewers.
const reload = (name) => {
  const path = join(criterion, "blocked_reload_sockets_cpu", name, "new", "estimates.json");
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).mean.point_estimate / 1000 / 1000 : undefined;
};
const [full, floor] = ["full", "http_1kb"].map(reload);
if (full !== undefined && floor !== undefined) {
  record({
    what: "CPU per blocked reload",
    value: full,
    unit: "µs",
    digits: 1,
    budget: 16.7,
    beside: `60,000 per CPU-second are 16.7 µs; bare HTTP takes ${floor.toFixed(1)} µs`,
  });
}

const rows = readFileSync(results, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const columns = ["what", "shown", "budget", "verdict", "beside"];
const titles = { what: "measured", shown: "value", budget: "budget", verdict: "", beside: "in the same run" };
const width = (column) => Math.max(...[titles, ...rows].map((row) => row[column].length));
const line = (row) => `| ${columns.map((column) => row[column].padEnd(width(column))).join(" | ")} |`;
console.log(`\n${line(titles)}\n|${columns.map((column) => "-".repeat(width(column) + 2)).join("|")}|`);
for (const row of rows) console.log(line(row));
const missed = rows.filter((row) => row.verdict === "MISSED").length;
console.log(`\n${missed === 0 ? "Every budget is met." : `${missed} of ${rows.filter((row) => row.budget).length} budgets are missed.`}`);

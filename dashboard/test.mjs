// Bundles test/*.test.ts, and runs the bundles with the test runner of Node.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "dashboard-test-"));
let code = 1;
try {
  const tests = readdirSync(`${here}test`).filter((name) => name.endsWith(".test.ts"));
  await build({
    absWorkingDir: here,
    entryPoints: tests.map((name) => `test/${name}`),
    bundle: true,
    platform: "node",
    format: "esm",
    outdir: out,
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
    logLevel: "warning",
  });
  // Output that is not on a terminal is for programs: TAP.
  const reporter = process.stdout.isTTY ? [] : ["--test-reporter=tap"];
  const built = tests.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
  code = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...reporter, ...built], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(code);

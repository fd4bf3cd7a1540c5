// Makes dist/ from src/: a page with its script and style beside it, and the same page in one file for reports. Equal sources give equal bytes.

import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = `${here}dist/`;
const PLACE_OF_ANSWERS = "<!--recorded-->";

// What uPlot's licence asks for in every copy.
const notice = `/* uPlot\n${(await readFile(`${here}node_modules/uplot/LICENSE`, "utf8")).trim()}\n*/`;

const bundle = async (entry) => {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["chrome123", "firefox120", "safari17.5"],
    charset: "utf8",
    legalComments: "none",
    banner: entry.endsWith(".ts") ? { js: notice } : {},
    logLevel: "warning",
  });
  return outputFiles[0].text.trimEnd();
};
const hash = (text) => `'sha256-${createHash("sha256").update(text, "utf8").digest("base64")}'`;
/** Replaces text that stands there exactly once. */
const put = (page, old, by) => {
  const [before, after, ...more] = page.split(old);
  if (after === undefined || more.length > 0) throw new Error(`${old} does not stand exactly once in the page`);
  return before + by + after;
};

const [page, script, style] = await Promise.all([readFile(`${here}src/index.html`, "utf8"), bundle("src/main.ts"), bundle("src/style.css")]);
if (/<\/(script|style)|<!--/i.test(script + style)) throw new Error("the bundle holds text that would end its element in a report");

const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src data: blob:",
  "connect-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
let report = put(page, '<link rel="stylesheet" href="app.css">', `<meta http-equiv="Content-Security-Policy" content="${policy}">\n<style>${style}</style>`);
// Scripts in a page run where they stand: at its end everything they look for is there, and the answers before them.
report = put(report, '<script src="app.js" defer></script>\n', "");
report = put(report, "</body>", `${PLACE_OF_ANSWERS}\n<script>${script}</script>\n</body>`);

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const files = { "index.html": page, "app.js": `${script}\n`, "app.css": `${style}\n`, "report.html": report };
for (const [name, text] of Object.entries(files)) {
  await writeFile(dist + name, text);
  console.log(`dist/${name}  ${(Buffer.byteLength(text) / 1000).toFixed(1)} kB`);
}

// Opens the page in a browser, and collects the errors of the page.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts a browser with an empty profile; `close` ends it and removes the profile. */
export async function browser() {
  const profile = mkdtempSync(join(tmpdir(), "arrayjob-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ARGUMENTS,
    acceptDownloads: true,
    viewport: null,
  });
  return {
    context,
    open: (url, options) => open(context, url, options),
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Opens `url` in a new page. `page.wrong` collects console errors, uncaught errors, violations of the content security policy, and
 * failed requests, except errors that `expected` (a RegExp over "kind: text") matches.
 */
export async function open(context, url, { width = 1280, height = 900, dark = false, still = false, expected = null } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.wrong = [];
  page.on("crash", () => page.wrong.push("the page crashed"));
  const keep = (line) => {
    if (expected === null || !expected.test(line)) page.wrong.push(line);
  };
  page.on("console", (message) => {
    // The browser also reports an error response as a console error: the page must not request absent data.
    if (message.type() === "error") keep(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => keep(`uncaught: ${error.stack ?? error.message}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    // Requests that the page cancels, and downloads, end with this error.
    if (!/ERR_ABORTED/.test(why)) keep(`request: ${request.url()} ${why}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  // The maximum number of simultaneous requests of the page: servers expect few.
  await page.addInitScript(() => {
    const plain = window.fetch.bind(window);
    let now = 0;
    window.mostInFlight = 0;
    window.fetch = async (...request) => {
      window.mostInFlight = Math.max(window.mostInFlight, ++now);
      try {
        return await plain(...request);
      } finally {
        now -= 1;
      }
    };
  });
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: dark ? "dark" : "light", reducedMotion: still ? "reduce" : "no-preference" });
  await page.goto(url);
  return page;
}

/** Waits until `look` returns a true value in the page; otherwise the error names the condition. */
export async function until(page, what, look, argument = null, timeout = 15_000) {
  try {
    await page.waitForFunction(look, argument, { timeout, polling: 50 });
  } catch (error) {
    throw new Error(`waited ${timeout} ms for: ${what}`, { cause: error });
  }
}

/** Scrolls the element with this test id to the middle. */
export function see(page, id) {
  return page.getByTestId(id).evaluate((element) => element.scrollIntoView({ block: "center" }));
}

/** Number of pixels of the task stream in the colour of each kind's swatch. */
export function kindPixels(page) {
  return page.evaluate(() => {
    const canvas = document.querySelector('[data-testid="stream-canvas"]');
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const words = new Uint32Array(data.buffer);
    const counts = new Map();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    const kinds = {};
    for (const chip of document.querySelectorAll('[data-testid^="legend-"]')) {
      const [red, green, blue] = getComputedStyle(chip.querySelector(".swatch")).backgroundColor.match(/[\d.]+/g).map(Number);
      kinds[chip.dataset.testid.slice(7)] = counts.get(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0) ?? 0;
    }
    return kinds;
  });
}

/** The interval of the axis that the task stream shows, seconds: [from, to]. */
export function viewOf(page) {
  return page.evaluate(() => document.querySelector('[data-testid="stream-front"]').dataset.view.split(",").map(Number));
}

/** Clicks the pixel (y, x) of an image of `shape` in the picture with this test id. */
export async function clickPixel(page, card, [y, x], [height, width]) {
  const canvas = page.getByTestId(`${card}-canvas`);
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await canvas.click({ position: { x: ((x + 0.5) / width) * box.width, y: ((y + 0.5) / height) * box.height } });
}

/** Number of distinct colours in a picture's canvas, and the colour (red, green, blue) in its middle. */
export function lookAt(page, card) {
  return page.evaluate((id) => {
    const canvas = document.querySelector(`[data-testid="${id}-canvas"]`);
    if (canvas === null || canvas.hidden || canvas.width === 0) return { width: 0, height: 0, colours: 0, middle: [] };
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const at = 4 * ((canvas.height >> 1) * canvas.width + (canvas.width >> 1));
    return { width: canvas.width, height: canvas.height, colours: new Set(new Uint32Array(data.buffer)).size, middle: [...data.slice(at, at + 3)] };
  }, card);
}

/** Whether the page is wider than the window. */
export function scrollsSideways(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

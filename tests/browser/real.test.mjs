// Tests of the page with real servers, from the end of a job on:
//
//   ARRAYJOB_URL='http://127.0.0.1:1234/?token=…' ARRAYJOB_PIXEL=30,40 ARRAYJOB_CYCLES=12 [SHOTS=folder] node --test real.test.mjs
//
// ARRAYJOB_PIXEL (y,x): a pixel of the recentered frames (else of the raw frames) with ARRAYJOB_CYCLES cycles in the run.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { browser, clickPixel, kindPixels, lookAt, scrollsSideways, see, until } from "./page.mjs";

const url = process.env.ARRAYJOB_URL;
const [y, x] = (process.env.ARRAYJOB_PIXEL ?? "").split(",").map(Number);
const cycles = Number(process.env.ARRAYJOB_CYCLES);
const shots = process.env.SHOTS;
const FINISHED_MS = Number(process.env.ARRAYJOB_PATIENCE_MS ?? 60_000);

describe("the page of a real job", { skip: url === undefined ? "ARRAYJOB_URL is not set" : false, timeout: FINISHED_MS + 60_000 }, () => {
  let chromium, page, card, shape;
  before(async () => {
    if (shots !== undefined) mkdirSync(shots, { recursive: true });
    chromium = await browser();
    page = await chromium.open(url, { width: 1280, height: 1000 });
  });
  after(() => chromium?.close());

  const finished = (page) => until(page, "the job is finished", () => document.documentElement.dataset.state === "Finished", null, FINISHED_MS);
  const shown = (page, card) => until(page, `${card} shows a picture`, (id) => document.querySelector(`[data-testid="${id}-canvas"]`).hidden === false, card, 30_000);
  const has = (testid) => page.getByTestId(testid).isVisible();
  const shot = async (page, name) => {
    if (shots === undefined) return;
    await page.mouse.move(0, 0);
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(shots, `${name}.png`) });
  };

  test("all phases are at 100 %", async () => {
    await finished(page);
    assert.match(await page.title(), /^.+ - ArrayJob$/);
    const bars = await page.getByTestId("phases").getByRole("progressbar").all();
    assert.ok(bars.length >= 2);
    for (const bar of bars) assert.equal(await bar.getAttribute("aria-valuenow"), "100", await bar.getAttribute("aria-label"));
    await until(page, "every server's processors, memory and network", () => {
      const servers = [...document.querySelectorAll('[data-testid^="server-"]')];
      return servers.length > 0 && servers.every((server) => /\d\s*%.*\dB?.*\/s/s.test(server.innerText));
    });
  });

  test("the task stream has every kind of task", async () => {
    await until(page, "tasks", () => /^[1-9].* tasks? on/.test(document.querySelector('[data-testid="stream-sum"]').textContent));
    await page.waitForTimeout(2500);
    await see(page, "stream");
    await page.getByTestId("stream-rows").selectOption("servers");
    await page.waitForTimeout(300);
    const found = await kindPixels(page);
    const servers = await page.locator('[data-testid^="server-"]').count();
    const expected = ["load", "decode", ...((await has("phase-Recenter")) ? ["recenter"] : []), ...((await has("phase-Fft")) ? ["fft"] : []), ...(servers > 1 ? ["transfer"] : [])];
    for (const kind of expected) {
      assert.ok(await has(`legend-${kind}`), `the legend has ${kind}`);
      assert.ok((found[kind] ?? 0) > 0, `${kind}: ${found[kind]} pixels`);
    }
    await page.getByTestId("stream-rows").selectOption("lanes");
  });

  test("every card shows a picture", async () => {
    await see(page, "pictures");
    const cards = (await page.locator("article[data-testid]").evaluateAll((all) => all.filter((card) => card.checkVisibility()).map((card) => card.dataset.testid)));
    assert.ok(cards.includes("card-raw-mean"));
    for (const card of cards) {
      await see(page, card);
      await shown(page, card);
      assert.ok((await lookAt(page, card)).colours > 1, `${card} is not empty`);
    }
    card = cards.includes("card-recentered-mean") ? "card-recentered-mean" : "card-raw-mean";
    const label = await page.getByTestId(`${card}-canvas`).getAttribute("aria-label");
    shape = /(\d+) by (\d+) pixels/.exec(label).slice(1).map(Number);
  });

  test("the peak of a pixel's spectrum is the frequency of the movie", async () => {
    await clickPixel(page, card, [y, x], shape);
    const [atY, atX] = await Promise.all(["pixel-y", "pixel-x"].map((id) => page.getByTestId(id).inputValue().then(Number)));
    const stride = Math.ceil(Math.max(...shape) / 512);
    assert.ok(Math.abs(atY - y) <= stride && Math.abs(atX - x) <= stride, `clicked ${[y, x]}, chose ${[atY, atX]}`);
    for (const [id, value] of [["pixel-y", y], ["pixel-x", x]]) {
      await page.getByTestId(id).fill(String(value));
      await page.getByTestId(id).press("Enter");
    }
    await until(page, `strongest: ${cycles} cycles`, (cycles) => document.querySelector('[data-testid="spectrum-note"]').dataset.peak === String(cycles), cycles);
    assert.match(await page.getByTestId("spectrum-note").textContent(), new RegExp(`strongest: ${cycles} cycle`));
    assert.match(await page.getByTestId("series-note").textContent(), /^\d+ frames, from/);
  });

  test("the slider shows another frame", async () => {
    await see(page, "card-frame");
    const slider = page.getByTestId("frame-slider");
    const last = Number(await slider.getAttribute("max"));
    await slider.focus();
    await page.keyboard.press("End");
    await until(page, `frame ${last}`, (last) => new RegExp(`frame ${last} of`).test(document.querySelector('[data-testid="card-frame"]').textContent.replaceAll("\u202f", "")), last);
  });

  test("the page has no errors, also in the dark theme and on a phone", async () => {
    const top = () => page.evaluate(() => window.scrollTo(0, 0));
    await top();
    await shot(page, "dashboard");
    await page.emulateMedia({ colorScheme: "dark" });
    await shot(page, "dashboard-dark");
    await page.emulateMedia({ colorScheme: "light" });
    if (shots !== undefined) {
      await see(page, "pictures");
      await page.waitForTimeout(600);
      await page.mouse.move(0, 0);
      await page.getByTestId("pictures").screenshot({ path: join(shots, "dashboard-pictures.png") });
    }
    const phone = await chromium.open(url, { width: 390, height: 844 });
    await finished(phone);
    await phone.waitForTimeout(1500);
    assert.equal(await scrollsSideways(phone), false);
    await shot(phone, "dashboard-phone");
    assert.deepEqual([...page.wrong, ...phone.wrong], []);
  });
});

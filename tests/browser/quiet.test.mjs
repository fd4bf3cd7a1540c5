// Tests of common errors of a job and its servers: the page requests no absent data, so that the browser's console stays empty.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, see, until } from "./page.mjs";
import { contains, opened } from "./played.mjs";

let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium.close());

const is = (page, state) => until(page, state, (state) => document.documentElement.dataset.state === state, state);
const show = async (page, ...ids) => {
  for (const id of ids) {
    await see(page, id);
    await page.waitForTimeout(700);
  }
};

test("a job without kept frames and without reductions causes no failed request", { timeout: 30_000 }, async (t) => {
  const { mock, page } = await opened(t, chromium, { seconds: 2, bare: true });
  await show(page, "pictures", "traces", "pictures");
  await is(page, "Finished");
  await contains(page, "card-raw-mean", "The job makes no mean of its raw frames");
  await show(page, "pictures", "traces");
  assert.ok(mock.requests.some(({ path }) => path === "/api/v1/traces"));
  assert.deepEqual(mock.requests.filter(({ path }) => /preview|slice/.test(path)).map(({ path }) => path), []);
  assert.deepEqual(page.wrong, []);
});

test("a job that fails early causes no failed request", { timeout: 30_000 }, async (t) => {
  const { mock, page } = await opened(t, chromium, { seconds: 3, fails: true });
  await see(page, "pictures");
  await is(page, "Failed");
  await contains(page, "series-note", "The job ended before all frames were there");
  await contains(page, "spectrum-note", "The job ended before its spectra were whole.");
  await see(page, "card-frame");
  await contains(page, "card-frame", "frame 0 of recentered");
  // The last frame of server 0 has not arrived.
  await page.getByTestId("frame-number").fill("59");
  await contains(page, "card-frame", "The job ended without frame 59.");
  await page.getByTestId("frame-number").fill("3");
  await contains(page, "card-frame", "frame 3 of recentered");
  await show(page, "pictures", "traces", "stream");
  assert.deepEqual(mock.requests.filter(({ path }) => /sel=(%3A|:),|power/.test(path)).map(({ path }) => path), []);
  assert.deepEqual(page.wrong, []);
});

test("a frame that is not ready, or on a server under replacement, shows a wait", { timeout: 30_000 }, async (t) => {
  const { page } = await opened(t, chromium, { seconds: 8 });
  await see(page, "card-frame");
  await until(page, "the first frames", () => document.querySelector('[data-testid="card-frame-canvas"]').hidden === false);
  await page.getByTestId("frame-number").fill("230");
  await contains(page, "card-frame", "Waits for frame 230: server 3 has not come to it yet.");
  await until(page, "the loss", () => document.querySelector('[data-testid="server-2"]').dataset.answers === "false");
  await page.getByTestId("frame-number").fill("125");
  await contains(page, "card-frame", "Waits for frame 125: server 2 does not respond.");
  await contains(page, "card-frame", "frame 125 of recentered");
  await page.getByTestId("frame-number").fill("230");
  await contains(page, "card-frame", "frame 230 of recentered");
  assert.deepEqual(page.wrong, []);
});

test("the page polls a lost server with one request at a time", { timeout: 30_000 }, async (t) => {
  const { mock, page } = await opened(t, chromium, { seconds: 60 }, { expected: /./ });
  await show(page, "pictures", "traces", "pictures");
  const seen = [];
  page.on("request", (request) => seen.push(new URL(request.url()).pathname));
  mock.close();
  await contains(page, "connection", "No news of the job");
  await page.waitForTimeout(500);
  seen.length = 0;
  // The attempts after 1, 2 and 4 seconds.
  await page.waitForTimeout(6000);
  assert.ok(seen.length >= 1 && seen.length <= 3 && seen.every((path) => path === "/api/v1/status"), seen.join());
});

test("a page without events shows the loss and the help, and reconnects", { timeout: 30_000 }, async (t) => {
  const { mock, page } = await opened(t, chromium, { seconds: 1 }, { expected: /^console: Failed to load resource|^console:.*EventSource|^request: .*\/events / });
  await is(page, "Finished");
  mock.locked = true;
  mock.drop();
  await contains(page, "connection", "does not accept this page's token");
  await contains(page, "connection", "arrayjob open");
  mock.locked = false;
  await until(page, "the connection is back", () => document.querySelector('[data-testid="connection"]').hidden);
  assert.deepEqual(page.wrong, []);
});

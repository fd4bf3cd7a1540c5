// Tests of fingers on the task stream: real touches, with the gesture recognition of the browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./mock.mjs";
import { browser, see, until, viewOf } from "./page.mjs";

let chromium, mock, page, touch, box;
before(async () => {
  chromium = await browser();
  mock = await start({ seconds: 1 });
  page = await chromium.open(mock.url, { width: 390, height: 844 });
  const session = await chromium.context.newCDPSession(page);
  await session.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 5 });
  touch = (type, ...points) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  await until(page, "the job is finished", () => document.documentElement.dataset.state === "Finished");
  await page.waitForTimeout(1500);
});
after(async () => {
  await chromium.close();
  mock.close();
});

/** Scrolls the stream to the middle, shows the whole run, and stores the position of the stream. */
async function begin() {
  await page.getByTestId("stream-whole").evaluate((button) => button.click());
  await see(page, "stream-canvas");
  await page.locator(".lanes").evaluate((lanes) => (lanes.scrollTop = 0));
  await page.waitForTimeout(200);
  box = await page.getByTestId("stream-front").boundingBox();
  return viewOf(page);
}

/** Moves fingers from their start to their end positions in `steps`, and lifts the fingers. */
async function swipe(from, to, steps = 12) {
  const at = (share) => from.map(([x, y], finger) => [box.x + x + share * (to[finger][0] - x), box.y + y + share * (to[finger][1] - y)]);
  await touch("touchStart", ...at(0));
  for (let step = 1; step <= steps; step++) {
    await touch("touchMove", ...at(step / steps));
    await page.waitForTimeout(16);
  }
  await touch("touchEnd");
  await page.waitForTimeout(250);
}

const scrolled = () => page.evaluate(() => [window.scrollY, document.querySelector(".lanes").scrollTop, visualViewport.scale]);
const near = (a, b, by, what) => assert.ok(Math.abs(a - b) <= by, `${what}: ${a} is not ${b} ± ${by}`);

test("two fingers zoom around the point between the fingers", async () => {
  const [from, to] = await begin();
  const before = await scrolled();
  await swipe([[180, 120], [240, 120]], [[120, 120], [300, 120]]);
  const [left, right] = await viewOf(page);
  near((to - from) / (right - left), 3, 0.3, "three times as far apart");
  const at = (x, first, last) => first + ((x - 78) / (box.width - 78)) * (last - first);
  near(at(210, left, right), at(210, from, to), 0.02 * (to - from), "what is between the fingers");
  assert.deepEqual(await scrolled(), before, "neither the page scrolls, nor is it magnified");
  await swipe([[120, 120], [300, 120]], [[180, 120], [240, 120]]);
  const [first, last] = await viewOf(page);
  near(last - first, to - from, 0.15 * (to - from), "pinched together, as much as before");
});

test("two vertical fingers zoom, and a common movement pans", async () => {
  const [from, to] = await begin();
  const before = await scrolled();
  await swipe([[200, 110], [200, 170]], [[200, 80], [200, 200]]);
  const [left, right] = await viewOf(page);
  near((to - from) / (right - left), 2, 0.25, "twice as far apart");
  assert.deepEqual(await scrolled(), before);
  await swipe([[160, 120], [260, 120]], [[210, 120], [310, 120]]);
  const [first, last] = await viewOf(page);
  near(last - first, right - left, 0.05 * (right - left), "as much as before");
  near(left - first, (50 / (box.width - 78)) * (right - left), 0.2 * (50 / (box.width - 78)) * (right - left), "panned");
});

test("one finger pans sideways", async () => {
  await begin();
  await swipe([[180, 120], [240, 120]], [[120, 120], [300, 120]]);
  const [from, to] = await viewOf(page);
  const before = await scrolled();
  await swipe([[260, 120]], [[160, 126]]);
  const [left, right] = await viewOf(page);
  near(right - left, to - from, 1e-3 * (to - from), "as much as before");
  // The browser uses the first pixels to recognise the direction of the finger.
  const moved = ((left - from) / (to - from)) * (box.width - 78);
  assert.ok(moved > 75 && moved < 101, `${moved} pixels`);
  assert.deepEqual(await scrolled(), before);
});

test("one finger up and down scrolls lanes and page", async () => {
  const view = await begin();
  const lanes = await page.locator(".lanes").evaluate((element) => element.scrollHeight - element.clientHeight);
  const [y] = await scrolled();
  await swipe([[200, 200]], [[206, 60]]);
  await page.waitForTimeout(600);
  const [, inside] = await scrolled();
  assert.ok(lanes < 1 || inside > Math.min(lanes, 60) - 1, `lanes scrolled to ${inside} of ${lanes}`);
  // At the end of the lanes the page scrolls.
  for (let turn = 0; turn < 4; turn++) {
    await swipe([[200, 200]], [[206, 60]]);
    await page.waitForTimeout(400);
  }
  const [later, , scale] = await scrolled();
  assert.ok(later > y + 60, `the page scrolled from ${y} to ${later}`);
  assert.equal(scale, 1);
  assert.deepEqual(await viewOf(page), view, "what shows is the same");
});

test("a tap shows the item at the point, and a tap beside the item clears the text", async () => {
  await begin();
  let told = "";
  for (let x = 90; x < 300 && told === ""; x += 9) {
    await swipe([[x, 60]], [[x, 60]], 1);
    told = await page.getByTestId("stream-said").textContent();
  }
  assert.match(told, /server 0/);
  assert.ok(await page.getByTestId("stream-tip").isVisible());
  await swipe([[40, 60]], [[40, 60]], 1);
  assert.equal(await page.getByTestId("stream-said").textContent(), "");
  assert.ok(!(await page.getByTestId("stream-tip").isVisible()));
  assert.match(await page.locator("#stream-keys").innerText(), /^One finger pans, two zoom/);
  assert.deepEqual(page.wrong, []);
});

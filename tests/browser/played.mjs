// A simulated job and its page, for one test.

import { start } from "./mock.mjs";
import { until } from "./page.mjs";

/** Starts a job and opens its page in this browser, until the end of the test. */
export async function opened(t, browser, job, options = {}) {
  const mock = await start(job);
  t.after(() => mock.close());
  const page = await browser.open(mock.url, options);
  t.after(() => page.close());
  return { mock, page };
}

/** Waits until the element with this test id contains these words. */
export const contains = (page, id, words) =>
  until(page, `${id}: ${words}`, ([id, words]) => document.querySelector(`[data-testid="${id}"]`)?.textContent.includes(words), [id, words]);

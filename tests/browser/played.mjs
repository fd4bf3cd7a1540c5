// A job that is played and a page of it, for one test.

import { start } from "./mock.mjs";
import { until } from "./page.mjs";

/** Both, in that browser, until the test ends. */
export async function opened(t, browser, job, options = {}) {
  const mock = await start(job);
  t.after(() => mock.close());
  const page = await browser.open(mock.url, options);
  t.after(() => page.close());
  return { mock, page };
}

/** Waits until the element of that test id has these words in it. */
export const contains = (page, id, words) =>
  until(page, `${id}: ${words}`, ([id, words]) => document.querySelector(`[data-testid="${id}"]`)?.textContent.includes(words), [id, words]);

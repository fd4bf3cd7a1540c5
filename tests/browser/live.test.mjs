// Tests of the page with real servers during a job. Open the page at the start of the job:
//
//   ARRAYJOB_URL='http://127.0.0.1:1234/?token=…' node --test live.test.mjs
//
// The load of the job must take some seconds.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browser, see } from "./page.mjs";

const url = process.env.ARRAYJOB_URL;
const PATIENCE_MS = Number(process.env.ARRAYJOB_PATIENCE_MS ?? 60_000);

describe("the page of a job that runs", { skip: url === undefined ? "ARRAYJOB_URL is not set" : false, timeout: PATIENCE_MS + 60_000 }, () => {
  let chromium, page;
  before(async () => {
    chromium = await browser();
    page = await chromium.open(url);
  });
  after(() => chromium?.close());

  test("the address contains no token", async () => {
    const token = new URL(url).searchParams.get("token");
    assert.ok(token.length > 0);
    assert.ok(!page.url().includes(token) && new URL(page.url()).search === "", page.url());
    assert.ok(!(await page.content()).includes(token));
    assert.equal(await page.evaluate(() => document.cookie), "", "scripts do not see it");
  });

  // Collects everything that the page shows during the job, because a later test cannot observe a past state.
  let seen;
  test("the job ends while the page is open", async () => {
    // The page requests only visible pictures.
    await see(page, "card-raw-mean");
    seen = await page.evaluate(
      (limit) =>
        new Promise((resolve) => {
          const seen = { bars: {}, captions: [], tasks: [], states: [] };
          const began = performance.now();
          const note = (list, value) => list.includes(value) || list.push(value);
          const look = () => {
            const state = document.documentElement.dataset.state;
            note(seen.states, state);
            for (const bar of document.querySelectorAll('[data-testid="phases"] [role="progressbar"]')) {
              note((seen.bars[bar.getAttribute("aria-label").split(" ")[0]] ??= []), Number(bar.getAttribute("aria-valuenow")));
            }
            const card = document.querySelector('[data-testid="card-raw-mean"]');
            if (card.querySelector("canvas").hidden === false) note(seen.captions, /mean of [^s]*s( so far)?/.exec(card.textContent)?.[0]);
            note(seen.tasks, document.querySelector('[data-testid="stream-sum"]').textContent);
            if (state === "Finished" || performance.now() - began > limit) resolve(seen);
            else setTimeout(look, 30);
          };
          look();
        }),
      PATIENCE_MS,
    );
    assert.equal(seen.states.at(-1), "Finished");
    assert.ok(seen.states.includes("Loading"), `${seen.states}`);
  });

  test("the page shows each phase in progress", () => {
    assert.deepEqual(Object.keys(seen.bars).sort(), ["FFT", "Load", "Rechunk", "Recenter"].sort());
    for (const name of ["Load", "Recenter"]) {
      assert.ok(seen.bars[name].some((value) => value > 0 && value < 100), `${name} was only seen at ${seen.bars[name]}`);
    }
    for (const [name, values] of Object.entries(seen.bars)) assert.equal(values.at(-1), 100, name);
  });

  test("the mean and the tasks grow", () => {
    const sofar = seen.captions.filter((caption) => /^mean of \d+ of \d+ frames so far$/.test(caption));
    assert.ok(sofar.length >= 2, `captions: ${seen.captions}`);
    assert.ok(seen.tasks.length >= 4, `tasks: ${seen.tasks}`);
  });

  test("the page has no errors", () => assert.deepEqual(page.wrong, []));
});

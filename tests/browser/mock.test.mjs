// Tests of the page with simulated servers: every action of a user.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { KINDS, start } from "./mock.mjs";
import { cyclesAt } from "./movie.mjs";
import { browser, clickPixel, kindPixels, lookAt, scrollsSideways, see, until, viewOf } from "./page.mjs";
import { contains, opened } from "./played.mjs";

const RECENTERED = [96, 112];
const RAW = [160, 200];

let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium.close());

const text = (page, id) => page.getByTestId(id).textContent();
const finished = (page) => until(page, "the job is finished", () => document.documentElement.dataset.state === "Finished");
const tasksAre = (page, words) => contains(page, "stream-sum", words);
const shows = (page, card) => until(page, `${card} shows a picture`, (id) => document.querySelector(`[data-testid="${id}-canvas"]`).hidden === false, card);

describe("a job that runs", { timeout: 60_000 }, () => {
  let mock, page;
  before(async () => {
    mock = await start({ seconds: 4 });
    page = await chromium.open(mock.url);
  });
  after(async () => {
    await page.close();
    mock.close();
  });

  test("the page follows the job from its start to its end", async () => {
    await until(page, "the state", () => document.querySelector('[data-testid="state"]').textContent === "loading");
    assert.equal(await page.title(), "beating-cell - ArrayJob");
    await tasksAre(page, "running");
    await contains(page, "phase-Load", "left");
    await contains(page, "trouble", "answers 503");
    await contains(page, "server-2", "does not respond");
    await until(page, "what servers wait for", () => /source|peers/.test(document.querySelector('[data-testid="servers"]').textContent));
    await finished(page);
    for (const phase of ["Load", "Recenter", "Rechunk", "Fft", "Write"]) {
      const bar = page.getByTestId(`phase-${phase}`).getByRole("progressbar");
      assert.equal(await bar.getAttribute("aria-valuenow"), "100", phase);
      assert.match(await bar.getAttribute("aria-valuetext"), /^100 %, \d+ of \d+ (frames|bands|objects).*took/);
    }
    assert.match(await text(page, "phase-Load"), /14 retried/);
    assert.match(await text(page, "facts"), /4 servers · 2 of 2 outputs written · 2 blank frames \(17, 101\)/);
    await contains(page, "server-1", "2.3 GB of 4 GB");
    assert.match(await text(page, "server-1"), /%.*2\.3 GB of 4 GB/);
  });

  test("the task stream shows every kind, and describes the task under the pointer", async () => {
    await see(page, "stream");
    await page.waitForTimeout(1500);
    const kinds = await kindPixels(page);
    for (const kind of KINDS) assert.ok(kinds[kind] > 100, `${kind}: ${kinds[kind]} pixels`);
    const box = await page.getByTestId("stream-front").boundingBox();
    // The third row of server 0: lane fetch 1, early in the run.
    let told = "";
    for (let x = 130; x < 260 && !/^load · frame/.test(told); x += 7) {
      await page.mouse.move(box.x + x, box.y + 70);
      told = (await page.getByTestId("stream-tip").isVisible()) ? await page.getByTestId("stream-tip").innerText() : "";
    }
    assert.match(told, /^load · frame \d+\n[\d.]+ ms\n32 kB \([\d.]+ .B\/s\)\nserver 0, fetch 1, at -?[\d.]+ s$/);
  });

  test("wheel, drag, keys and buttons zoom and pan the task stream", async () => {
    const front = page.getByTestId("stream-front");
    const box = await front.boundingBox();
    const whole = await viewOf(page);
    const view = async (what, passes) => {
      await until(page, what, ([id, old]) => document.querySelector(`[data-testid="${id}"]`).dataset.view !== old, ["stream-front", last.map((value) => value.toFixed(6)).join()]);
      const [from, to] = await viewOf(page);
      assert.ok(passes(from, to), `${what}: ${last} became ${[from, to]}`);
      last = [from, to];
    };
    let last = whole;
    const width = () => last[1] - last[0];
    const centre = [box.x + box.width / 2, box.y + 120];
    await page.mouse.move(...centre);
    await page.mouse.click(...centre);
    await page.mouse.wheel(0, -300);
    await view("wheel zooms in", (from, to) => to - from < 0.8 * width());
    await page.keyboard.press("+");
    await view("+ zooms in", (from, to) => to - from < 0.7 * width());
    await page.keyboard.press("ArrowRight");
    await view("the right arrow moves on", (from, to) => from > last[0] && Math.abs(to - from - width()) < 1e-3);
    await page.mouse.down();
    await page.mouse.move(centre[0] + 150, centre[1], { steps: 5 });
    await page.mouse.up();
    await view("a drag to the right moves back", (from) => from < last[0]);
    await page.keyboard.press("-");
    await view("- zooms out", (from, to) => to - from > 1.3 * width());
    await page.getByTestId("stream-in").click();
    await view("the button zooms in", (from, to) => to - from < 0.7 * width());
    await front.focus();
    await page.keyboard.press("0");
    await view("0 shows all", (from, to) => Math.abs(from - whole[0]) < 0.01 && Math.abs(to - whole[1]) < 0.1);
    await page.keyboard.press(".");
    await page.keyboard.press("ArrowDown");
    await until(page, "keys tell a task", () => /server 0, compute 2/.test(document.querySelector('[data-testid="stream-said"]').textContent));
    await page.keyboard.press("Escape");
    await page.mouse.move(...centre);
    await page.mouse.wheel(0, -400);
    await view("wheel zooms in", (from, to) => to - from < 0.8 * width());
    await page.mouse.dblclick(...centre);
    await view("a double click shows all", (from, to) => Math.abs(to - whole[1]) < 0.1);
  });

  test("the legend hides kinds, rows merge, and the log lists the marks", async () => {
    await page.getByTestId("legend-transfer").click();
    await page.waitForTimeout(100);
    assert.equal((await kindPixels(page)).transfer, 0);
    await page.getByTestId("legend-transfer").click();
    await page.getByTestId("stream-rows").selectOption("servers");
    await page.waitForTimeout(100);
    const joined = await kindPixels(page);
    for (const kind of KINDS) assert.ok(joined[kind] > 20, `${kind}: ${joined[kind]} pixels in a row per server`);
    await page.getByTestId("stream-rows").selectOption("lanes");
    await page.getByTestId("stream-marks").locator("summary").click();
    const log = await page.getByTestId("stream-log").innerText();
    assert.match(log, /server 0 · lost: server 2 does not respond/);
    assert.match(log, /retry: frame \d+: the source answered 503/);
    const times = [...log.matchAll(/^\s*([\d.]+) s/gm)].map((match) => Number(match[1]));
    assert.deepEqual(times, [...times].sort((a, b) => b - a), "newest first");
    await page.getByTestId("stream-marks").locator("summary").click();
  });

  test("the pictures show the arrays of the job", async () => {
    await see(page, "pictures");
    for (const card of ["card-raw-mean", "card-recentered-mean", "card-power", "card-frame"]) {
      await see(page, card);
      await shows(page, card);
      assert.ok((await lookAt(page, card)).colours > 40, card);
    }
    assert.match(await text(page, "card-recentered-mean"), /mean of all frames/);
  });

  test("a pixel shows its series and its spectrum with the right peak", async () => {
    const check = async (card, [y, x]) => {
      await clickPixel(page, card, [y, x], RECENTERED);
      await contains(page, "spectrum-note", `strongest: ${cyclesAt(y, x)} cycles`);
      await contains(page, "series-note", "240 frames, from ");
      assert.deepEqual([await page.getByTestId("pixel-y").inputValue(), await page.getByTestId("pixel-x").inputValue()], [String(y), String(x)]);
    };
    await check("card-recentered-mean", [50, 35]);
    await check("card-power", [45, 70]);
    const plot = await page.getByTestId("spectrum-chart").locator("canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    assert.ok(plot > 10, "the spectrum is drawn");
    assert.match(await page.getByTestId("spectrum-chart").getAttribute("aria-label"), /Spectrum: strongest: 31 cycles/);
    await page.getByTestId("spectrum-unit").selectOption("frequency");
    await page.getByTestId("spectrum-log").uncheck();
    await contains(page, "spectrum-note", "strongest: 31 cycles");
    // A raw pixel has a series; spectra belong to recentered pixels.
    await clickPixel(page, "card-raw-mean", [80, 100], RAW);
    await contains(page, "spectrum-note", "Spectra are of recentered pixels");
    await contains(page, "series-note", "240 frames");
    await page.getByTestId("pixel-of").selectOption("recentered");
    for (const [axis, at] of [["y", "50"], ["x", "40"]]) {
      await page.getByTestId(`pixel-${axis}`).fill(at);
      await page.getByTestId(`pixel-${axis}`).press("Enter");
    }
    await contains(page, "spectrum-note", "strongest: 12 cycles");
  });

  test("the keyboard alone selects a pixel", async () => {
    await page.getByTestId("card-recentered-mean-map").focus();
    await page.getByTestId("card-recentered-mean-canvas").focus();
    const before = await page.getByTestId("pixel-x").inputValue();
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("ArrowDown");
    assert.match(await text(page, "card-recentered-mean"), /y \d+ {2}x \d+ {2}= {2}\d/);
    await page.keyboard.press("Enter");
    await until(page, "another pixel", (old) => document.querySelector('[data-testid="pixel-x"]').value !== old, before);
  });

  test("the slider shows frames, and the last request wins", async () => {
    await see(page, "card-frame");
    const from = mock.requests.length;
    const slider = page.getByTestId("frame-slider");
    await slider.focus();
    for (let step = 0; step < 12; step++) await page.keyboard.press("ArrowRight");
    await contains(page, "card-frame", "frame 12 of recentered");
    const asked = mock.requests.slice(from).filter(({ path }) => path.startsWith("/slice/recentered?sel=") && !path.includes("sel=:"));
    assert.ok(asked.length <= 4, `${asked.length} requests for 12 steps`);
    await page.getByTestId("frame-of").selectOption("raw");
    await contains(page, "card-frame", "frame 12 of raw");
    assert.deepEqual([(await lookAt(page, "card-frame")).width, (await lookAt(page, "card-frame")).height], [200, 160]);
  });

  test("contrast and colours change the picture, and a button saves the picture", async () => {
    const card = "card-recentered-mean";
    const gray = (await lookAt(page, card)).middle;
    assert.equal(gray[0], gray[2]);
    await page.getByTestId(`${card}-map`).selectOption("viridis");
    const coloured = (await lookAt(page, card)).middle;
    assert.notEqual(coloured[0], coloured[2]);
    await page.getByTestId(`${card}-low`).fill("250");
    await page.getByTestId(`${card}-low`).press("Enter");
    assert.deepEqual((await lookAt(page, card)).middle, [68, 1, 84], "all is below the darkest value");
    await page.getByTestId(card).getByRole("button", { name: "min–max" }).click();
    assert.notDeepEqual((await lookAt(page, card)).middle, [68, 1, 84]);
    await page.getByTestId(`${card}-scale`).selectOption("log");
    await page.getByTestId(card).getByRole("button", { name: "auto" }).click();
    const saved = async (id) => {
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByTestId(`${card}-${id}`).click()]);
      return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
    };
    const png = await saved("png");
    assert.equal(png.name, "recentered_mean_frame.png");
    assert.equal(png.bytes.subarray(1, 4).toString(), "PNG");
    assert.deepEqual([png.bytes.readUInt32BE(16), png.bytes.readUInt32BE(20)], [112, 96]);
    const npy = await saved("npy");
    assert.equal(npy.name, "recentered_mean_frame.npy");
    assert.match(npy.bytes.subarray(0, 128).toString("latin1"), /NUMPY.*'shape': \(96, 112\)/);
  });

  test("the traces show curves and the path", async () => {
    await see(page, "traces");
    await contains(page, "traces-sum", "240 frames");
    await until(page, "the path", () => /moves by 3\d(\.\d)? pixels in y/.test(document.querySelector('[data-testid="centroid-path"]')?.getAttribute("aria-label") ?? ""));
    assert.match(await page.getByTestId("trace-means").getAttribute("aria-label"), /raw from .* recentered from/);
  });

  test("after the job the page sends no requests and has no errors", async () => {
    await page.waitForTimeout(1500);
    const from = mock.requests.length;
    await page.waitForTimeout(1500);
    assert.deepEqual(mock.requests.slice(from), []);
    assert.ok((await page.evaluate(() => window.mostInFlight)) <= 4);
    const news = mock.requests.filter(({ path }) => path.includes("/tasks"));
    assert.ok(news.some(({ path }) => /tasks\?log=first&after=\d+/.test(path)), "only news are asked for");
    assert.deepEqual(page.wrong, []);
  });

  test("a report is the same page without a network", async () => {
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByTestId("report").click()]);
    const folder = mkdtempSync(join(tmpdir(), "arrayjob-report-"));
    try {
      const place = join(folder, "report.html");
      writeFileSync(place, readFileSync(await file.path()));
      const report = await chromium.open("about:blank");
      const asked = [];
      report.on("request", (request) => asked.push(request.url()));
      await report.goto(`file://${place}`);
      await finished(report);
      assert.equal(await report.title(), "beating-cell - ArrayJob");
      await contains(report, "connection", "made 20");
      await until(report, "all tasks", () => /\d{3} tasks on 4 servers/.test(document.querySelector('[data-testid="stream-sum"]').textContent));
      await see(report, "stream");
      await report.waitForTimeout(200);
      const kinds = await kindPixels(report);
      for (const kind of KINDS) assert.ok(kinds[kind] > 100, `${kind}: ${kinds[kind]} pixels`);
      for (const card of ["card-raw-mean", "card-recentered-mean", "card-power"]) {
        await see(report, card);
        await shows(report, card);
      }
      await see(report, "card-frame");
      await contains(report, "card-frame", "not in this report");
      await contains(report, "spectrum-note", "strongest: 31 cycles");
      await clickPixel(report, "card-recentered-mean", [10, 10], RECENTERED);
      await contains(report, "series-note", "Not in this report");
      await see(report, "traces");
      await contains(report, "traces-sum", "240 frames");
      assert.deepEqual(asked.filter((url) => !/^(file|data|blob):/.test(url)), []);
      assert.deepEqual(report.wrong, []);
      await report.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("the page is readable on a phone and in the dark theme", async () => {
    const phone = await chromium.open(`${mock.url}t/${mock.token}/`, { width: 390, height: 844, dark: true, still: true });
    await finished(phone);
    await see(phone, "pictures");
    await shows(phone, "card-raw-mean");
    await see(phone, "arrays");
    assert.equal(await scrollsSideways(phone), false);
    const brightness = () => phone.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.documentElement).backgroundColor)[0]));
    assert.ok((await brightness()) < 60, "dark, as the system says");
    await phone.getByTestId("theme").click();
    assert.ok((await brightness()) > 200, "light, as the button says");
    await phone.getByTestId("theme").click();
    assert.deepEqual(phone.wrong, []);
    await phone.close();
  });

  test("every control has a name, and colours have enough contrast", async () => {
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("button, a[href], input, select, canvas[tabindex], [role=application]")]
        .filter((element) => element.checkVisibility())
        .filter((element) => !(element.getAttribute("aria-label") ?? "").trim() && !element.textContent.trim() && !element.closest("label"))
        .map((element) => element.outerHTML),
    );
    assert.deepEqual(nameless, []);
    const contrasts = () =>
      page.evaluate(() => {
        const light = (colour) => {
          const [red, green, blue] = colour.match(/[\d.]+/g).map((value) => {
            const share = Number(value) / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const probe = document.createElement("span");
        document.body.append(probe);
        const of = (name) => ((probe.style.color = `var(${name})`), light(getComputedStyle(probe).color));
        const ratio = (a, b) => (Math.max(of(a), of(b)) + 0.05) / (Math.min(of(a), of(b)) + 0.05);
        const found = [
          ...["--text", "--muted", "--accent", "--good", "--warn", "--bad"].map((ink) => [ink, ratio(ink, "--panel"), 4.5]),
          ["--good on its ground", ratio("--good", "--good-back"), 4.5],
          ["--bad on its ground", ratio("--bad", "--bad-back"), 4.5],
          ...["load", "decode", "recenter", "gather", "transfer", "fft", "write"].map((kind) => [kind, ratio(`--kind-${kind}`, "--track"), 2]),
        ].filter(([, found, least]) => found < least);
        probe.remove();
        return found;
      });
    assert.deepEqual(await contrasts(), []);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.deepEqual(await contrasts(), []);
  });
});

test("a failed job shows its reason and the field to check", { timeout: 30_000 }, async (t) => {
  const { page } = await opened(t, chromium, { seconds: 2, fails: true });
  await contains(page, "failure", "The job failed: The source does not respond (server 1).");
  await contains(page, "failure", "check source.images.urlTemplate");
  assert.equal(await text(page, "state"), "failed");
  assert.deepEqual(page.wrong, []);
});

test("a hundred servers scroll in their own box", { timeout: 30_000 }, async (t) => {
  const { page } = await opened(t, chromium, { seconds: 2, servers: 100 });
  await finished(page);
  await until(page, "tasks of all servers", () => /on 100 servers/.test(document.querySelector('[data-testid="stream-sum"]').textContent));
  const box = await page.getByTestId("servers").boundingBox();
  assert.ok(box.height < 320);
  assert.equal(await page.getByTestId("stream-rows").inputValue(), "servers");
  assert.deepEqual(page.wrong, []);
});

test("zoom and pan of a million tasks take less than a frame", { timeout: 30_000 }, async (t) => {
  const { page } = await opened(t, chromium, { tasks: 1_000_000 });
  await tasksAre(page, "1\u202f000\u202f000 tasks");
  await see(page, "stream");
  const measure = (rows) =>
    page.evaluate(async (rows) => {
      const select = document.querySelector('[data-testid="stream-rows"]');
      select.value = rows;
      select.dispatchEvent(new Event("change"));
      const front = document.querySelector('[data-testid="stream-front"]');
      front.focus();
      const press = (key) => front.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      const drawn = [];
      const between = [];
      let last = await frame();
      // Zooms in to a few tasks and out to all tasks, and pans meanwhile.
      for (let turn = 0; turn < 90; turn++) {
        press(turn % 3 === 2 ? (turn % 2 ? "ArrowLeft" : "ArrowRight") : turn % 60 < 30 ? "+" : "-");
        const now = await frame();
        between.push(now - last);
        last = now;
        drawn.push(Number(front.dataset.lastMs));
      }
      const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
      return { drawn: median(drawn), worst: Math.max(...drawn), between: median(between) };
    }, rows);
  for (const rows of ["lanes", "servers"]) {
    const { drawn, worst, between } = await measure(rows);
    console.log(`1,000,000 tasks, a row per ${rows.slice(0, -1)}: drawn in ${drawn.toFixed(2)} ms (median), ${worst.toFixed(2)} ms (worst); ${between.toFixed(1)} ms from frame to frame`);
    assert.ok(drawn < 16, `${drawn} ms`);
  }
  assert.deepEqual(page.wrong, []);
});

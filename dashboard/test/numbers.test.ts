// Tests of rates, limits of contrast, colours, peaks and number formats.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, clock, count, digits, percent, plural, sample, span } from "../src/model/format.ts";
import { halfBins, strongest } from "../src/model/peak.ts";
import { COLOUR_MAPS, colours, extremes, paint, percentiles } from "../src/model/pixels.ts";
import { Rate } from "../src/model/rates.ts";
import { VitalsHistory } from "../src/model/vitals.ts";
import { ticks } from "../src/view/stream/axis.ts";

test("rate and remaining time come from the window", () => {
  const rate = new Rate(4000);
  assert.equal(rate.secondsLeft(100), null);
  for (let second = 0; second <= 10; second++) rate.look(second * 1000, second < 5 ? second : 5 + 10 * (second - 5), second * 2e6);
  assert.equal(rate.perSecond, 10);
  assert.equal(rate.bytesPerSecond, 2e6);
  assert.equal(rate.secondsLeft(105), 5);
  assert.equal(rate.secondsLeft(0), 0);
});

test("a decreasing counter resets the window", () => {
  const rate = new Rate();
  rate.look(0, 100, 1000);
  rate.look(1000, 200, 2000);
  rate.look(2000, 150, 1500);
  assert.equal(rate.perSecond, 0);
  assert.equal(rate.secondsLeft(300), null);
  rate.look(3000, 160, 1600);
  assert.equal(rate.perSecond, 10);
});

test("a rate of 0 gives no remaining time", () => {
  const rate = new Rate();
  rate.look(0, 5, 5);
  rate.look(5000, 5, 5);
  assert.equal(rate.secondsLeft(10), null);
});

test("usage of a server is the difference of successive samples", () => {
  const history = new VitalsHistory();
  const look = (atMs: number, cpuMs: number, received: number): void =>
    history.look({ atMs, cores: 4, cpuMs, residentBytes: 1, memoryLimitBytes: 0, receivedBytes: received, sentBytes: 0, waits: [] });
  look(0, 0, 0);
  assert.equal(history.usage, null);
  look(1000, 2000, 5e6);
  assert.deepEqual(history.usage, { cpu: 0.5, received: 5e6, sent: 0 });
  // After a restart, the counters begin at 0.
  look(2000, 100, 10);
  assert.equal(history.usage, null);
});

test("percentiles equal NumPy's", () => {
  const values = Float64Array.from({ length: 11 }, (_, at) => at);
  assert.deepEqual(percentiles(values, 0.01, 0.99), { low: 0.1, high: 9.9 });
  assert.deepEqual(percentiles(Float64Array.of(5), 0.01, 0.99), { low: 5, high: 5 });
  assert.deepEqual(percentiles(Float64Array.of(NaN, 1, -Infinity, 3), 0, 1), { low: 1, high: 3 });
  assert.deepEqual(percentiles(Float64Array.of(-4, 0, 2, 8), 0, 1, true), { low: 2, high: 8 });
  assert.equal(percentiles(Float64Array.of(NaN), 0, 1), null);
  const many = Float32Array.from({ length: 1_000_000 }, (_, at) => at);
  const { low, high } = percentiles(many, 0.01, 0.99)!;
  assert.ok(Math.abs(low - 1e4) < 50 && Math.abs(high - 99e4) < 50);
});

test("extremes ignore NaN and infinities", () => {
  assert.deepEqual(extremes(Float64Array.of(NaN, 2, -3)), { low: -3, high: 2 });
  assert.deepEqual(extremes(Float64Array.of(0, 2, -3), true), { low: 2, high: 2 });
  assert.equal(extremes(new Float64Array(0)), null);
});

test("colour maps begin and end with their documented colours", () => {
  const check = (map: (typeof COLOUR_MAPS)[number], at: number, expected: [number, number, number], within = 1): void => {
    const found = [...colours(map).subarray(4 * at, 4 * at + 3)];
    expected.forEach((value, channel) => assert.ok(Math.abs(found[channel]! - value) <= within, `${map} ${at}: ${found} is not ${expected}`));
  };
  check("gray", 0, [0, 0, 0]);
  check("gray", 128, [128, 128, 128]);
  check("gray", 255, [255, 255, 255]);
  check("viridis", 0, [68, 1, 84]);
  check("viridis", 128, [33, 145, 140], 2);
  check("viridis", 255, [253, 231, 37]);
  check("magma", 128, [183, 55, 121], 2);
  check("magma", 255, [252, 253, 191]);
  check("inferno", 128, [188, 55, 84], 2);
  check("inferno", 255, [252, 255, 164]);
  // The polynomial is inaccurate at its ends.
  check("turbo", 0, [48, 18, 59], 33);
  check("turbo", 128, [164, 252, 60], 20);
  check("turbo", 255, [122, 4, 3], 33);
});

test("brightness increases over the maps for magnitudes", () => {
  for (const map of ["gray", "viridis", "magma", "inferno"] as const) {
    const table = colours(map);
    let before = -1;
    for (let at = 0; at < 256; at++) {
      const brightness = 0.2126 * table[4 * at]! + 0.7152 * table[4 * at + 1]! + 0.0722 * table[4 * at + 2]!;
      assert.ok(brightness >= before - 0.5, `${map} at ${at}`);
      before = brightness;
    }
  }
});

test("colours are linear or logarithmic between the limits", () => {
  const table = colours("gray");
  const check = (values: number[], contrast: { low: number; high: number; log: boolean }, expected: number[]): void => {
    const bytes = new Uint8ClampedArray(4 * values.length);
    paint(Float64Array.from(values), contrast, table, bytes);
    assert.deepEqual(values.map((_, at) => bytes[4 * at]), expected);
  };
  check([0, 50, 100, 200, -5], { low: 0, high: 100, log: false }, [0, 127, 255, 255, 0]);
  check([1, 10, 100, 0, -1], { low: 1, high: 100, log: true }, [0, 127, 255, 0, 0]);
  check([3, 3], { low: 3, high: 3, log: false }, [0, 0]);
  const bytes = new Uint8ClampedArray(4);
  paint(Float64Array.of(NaN), { low: 0, high: 1, log: false }, table, bytes);
  assert.deepEqual([...bytes], [0, 0, 0, 0]);
});

test("the strongest peak ignores the mean", () => {
  const check = (values: number[], expected: number | null): void => assert.equal(strongest(Float64Array.from(values))?.bin ?? null, expected);
  check([1000, 1, 5, 2], 2);
  check([1000, 3, 3], 1);
  check([1000, 0, 0], null);
  check([1000], null);
  check([], null);
  check([1, NaN, 2], 2);
  assert.equal(strongest(Float64Array.of(9, 3, 1))?.share, 0.75);
  assert.deepEqual([halfBins(400), halfBins(401), halfBins(1)], [201, 201, 1]);
});

test("number formats use few digits", () => {
  const check = (found: string, expected: string): void => assert.equal(found, expected);
  check(bytes(0), "0 B");
  check(bytes(999), "999 B");
  check(bytes(1_234_567), "1.23 MB");
  check(bytes(40e9), "40 GB");
  check(digits(0.123456), "0.123");
  check(digits(0.5), "0.5");
  check(span(5760e6), "1 h 36 min");
  check(digits(133.33), "133");
  check(digits(12.345), "12.3");
  check(digits(NaN), "–");
  check(sample(142.123456), "142.12");
  check(sample(255), "255");
  check(count(1_000_000), "1\u202f000\u202f000");
  check(clock(59.9), "0:59");
  check(clock(3723), "1:02:03");
  check(span(840), "840 µs");
  check(span(12_500), "12.5 ms");
  check(span(3.2e6), "3.2 s");
  check(span(750e6), "12 min 30 s");
  check(plural(1, "frame"), "1 frame");
  check(percent(0.054), "5.4 %");
  check(percent(0.999), "100 %");
});

test("the axis has labels at round times", () => {
  const labels = (from: number, to: number, every: number): string[] => ticks(from, to, every).map(({ label }) => label);
  assert.deepEqual(labels(0, 3, 0.9), ["0 s", "1 s", "2 s", "3 s"]);
  assert.deepEqual(labels(0.01, 0.031, 0.009), ["0.01 s", "0.02 s", "0.03 s"]);
  assert.deepEqual(labels(0, 130, 40), ["0 s", "1:00", "2:00"]);
  assert.deepEqual(labels(0, 40, 15), ["0 s", "20 s", "40 s"]);
});

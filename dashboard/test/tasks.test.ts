// Tests of the store of tasks: incremental updates equal one update, and the pyramid equals a direct sum.

import assert from "node:assert/strict";
import { test } from "node:test";
import { KIND_COUNT, Lane } from "../src/model/lane.ts";
import type { Raster } from "../src/model/lane.ts";
import { TaskStore } from "../src/model/tasks.ts";
import { readTasks } from "../src/wire/tasks.ts";
import { answer, random } from "./fixture.ts";
import type { Task } from "./fixture.ts";

const apply = (store: TaskStore, of: Parameters<typeof answer>[0]): boolean => store.apply(readTasks(answer(of)), 0);
const starts = (store: TaskStore, server = 0): number[] => [...store.servers.get(server)!.lanes[0]!.start.subarray(0, store.servers.get(server)!.lanes[0]!.length)];

/** Tasks of one lane with gaps; some are merged records. */
function lane(length: number, seed: number): Task[] {
  const next = random(seed);
  let start = 0;
  return Array.from({ length }, (_, item) => {
    const gap = next() < 0.1 ? 5000 * next() : 20 * next();
    const duration = next() < 0.02 ? 20_000 * next() : 1 + 300 * next();
    start += gap;
    const task = { start, duration: Math.fround(duration), busy: Math.fround(next() < 0.2 ? duration * next() : duration), item, kind: Math.floor(next() * 7) };
    start += duration;
    return task;
  });
}

function built(tasks: readonly Task[]): Lane {
  const made = new Lane("compute 1");
  const { tasks: columns } = readTasks(answer({ log: "a", tasks }));
  made.add(columns, Uint32Array.from(tasks.keys()), Uint8Array.from({ length: 7 }, (_, kind) => kind));
  return made;
}

const raster = (from: number, to: number, columns: number): Raster => ({
  from,
  to,
  columns,
  shares: new Float32Array(columns * KIND_COUNT),
  edges: new Uint8Array(columns),
});

/** The reference sums, task by task and column by column. */
function byHand(tasks: readonly Task[], { from, to, columns }: Raster): Float64Array {
  const shares = new Float64Array(columns * KIND_COUNT);
  const width = (to - from) / columns;
  for (const task of tasks) {
    for (let column = 0; column < columns; column++) {
      const left = Math.max(task.start, from + column * width);
      const right = Math.min(task.start + task.duration, from + (column + 1) * width);
      if (right > left) shares[column * KIND_COUNT + task.kind!]! += (((right - left) / width) * task.busy!) / task.duration;
    }
  }
  return shares;
}

test("the pyramid equals a direct sum", () => {
  const tasks = lane(3000, 1);
  const end = tasks.at(-1)!.start;
  const made = built(tasks);
  const check = (from: number, to: number, columns: number): void => {
    const found = raster(from, to, columns);
    made.raster(found, 1, 0);
    const expected = byHand(tasks, found);
    expected.forEach((share, at) => assert.ok(Math.abs(share - found.shares[at]!) < 2e-4 * Math.max(1, share), `${from}..${to}/${columns} at ${at}: ${found.shares[at]} is not ${share}`));
  };
  check(0, end, 200);
  check(0, end, 1);
  check(-end, 2 * end, 97);
  check(0.3 * end, 0.31 * end, 640);
  check(tasks[70]!.start, tasks[72]!.start, 33);
});

test("coarse sums keep every total and shift by one column at most", () => {
  const tasks = lane(20_000, 2);
  const made = built(tasks);
  const [exact, coarse] = [raster(0, made.end, 300), raster(0, made.end, 300)];
  made.raster(exact, 1, 0);
  made.raster(coarse);
  for (let kind = 0; kind < KIND_COUNT; kind++) {
    let ahead = 0;
    for (let column = 0; column < 300; column++) {
      ahead += coarse.shares[column * KIND_COUNT + kind]! - exact.shares[column * KIND_COUNT + kind]!;
      assert.ok(Math.abs(ahead) < 0.26, `kind ${kind} is ${ahead} columns ahead at ${column}`);
    }
    assert.ok(Math.abs(ahead) < 1e-2);
  }
});

test("weights scale the added shares", () => {
  const made = built([{ start: 0, duration: 100, kind: 2 }]);
  const found = raster(0, 100, 1);
  made.raster(found, 0.25);
  made.raster(found, 0.25);
  assert.equal(found.shares[2], 0.5);
});

test("incremental updates out of order equal one update", () => {
  const tasks = lane(1000, 3);
  const whole = new TaskStore();
  apply(whole, { log: "a", tasks });
  const bits = new TaskStore();
  // Ordered by end, with an occasional late task, as in a lane with overlapping fetches.
  const order = tasks.map((task, at) => ({ task, at: at + (at % 7 === 0 ? 9 : 0) })).sort((a, b) => a.at - b.at).map(({ task }) => task);
  for (let at = 0; at < order.length; at += 37) {
    apply(bits, { log: "a", tasks: order.slice(at, at + 37), next: at + 37 });
    // A query between two updates must not freeze an incomplete pyramid.
    bits.servers.get(0)!.lanes[0]!.raster(raster(0, 1e6, 10));
  }
  assert.deepEqual(starts(bits), starts(whole));
  const [a, b] = [raster(0, 2e5, 100), raster(0, 2e5, 100)];
  whole.servers.get(0)!.lanes[0]!.raster(a, 1, 0);
  bits.servers.get(0)!.lanes[0]!.raster(b, 1, 0);
  a.shares.forEach((share, at) => assert.ok(Math.abs(share - b.shares[at]!) < 1e-3));
  assert.deepEqual(bits.totals().map(({ count }) => count), whole.totals().map(({ count }) => count));
});

test("a request fetches only new tasks, and a new log of the same start replaces the old log", () => {
  const store = new TaskStore();
  assert.equal(store.since(0), "");
  apply(store, { log: "a/1", tasks: [{ start: 0, duration: 1 }, { start: 5, duration: 1 }], next: 2 });
  assert.equal(store.since(0), "?log=a%2F1&after=2");
  apply(store, { log: "a/1", tasks: [{ start: 9, duration: 1 }], next: 3 });
  assert.deepEqual(starts(store), [0, 5, 9]);
  apply(store, { log: "b", tasks: [{ start: 7, duration: 2, kind: 5 }], next: 1 });
  assert.deepEqual(starts(store), [7]);
  assert.deepEqual(store.totals().map(({ count }) => count), [0, 0, 0, 0, 0, 1, 0, 0]);
  assert.equal(store.since(0), "?log=b&after=1");
});

test("running tasks come from the latest response", () => {
  const store = new TaskStore();
  apply(store, { log: "a", tasks: [{ start: 0, duration: 4, item: 8, flags: 1 }, { start: 2, duration: 2, item: 9, flags: 1 }], running: 2 });
  assert.deepEqual(store.servers.get(0)!.running.map(({ item }) => item), [8, 9]);
  assert.equal(store.length, 0);
  apply(store, { log: "a", tasks: [{ start: 0, duration: 6, item: 8 }], next: 1 });
  assert.deepEqual(store.servers.get(0)!.running, []);
  assert.equal(store.length, 1);
});

test("failed attempts and marks stay", () => {
  const store = new TaskStore();
  apply(store, { log: "a", tasks: [{ start: 10, duration: 5, flags: 2 }], marks: [{ at_us: 15, kind: "retry", text: "frame 3 again", count: 2 }] });
  assert.deepEqual(store.servers.get(0)!.failed, [{ lane: 0, at: 15 }]);
  assert.equal(store.totals()[0]!.failed, 1);
  assert.deepEqual(store.marks().map(({ mark }) => [mark.kind, mark.text, mark.count]), [["retry", "frame 3 again", 2]]);
});

test("servers with different clocks share one axis from the start of the job", () => {
  const store = new TaskStore();
  apply(store, { server: 0, log: "a", epoch: 2e15, tasks: [{ start: 1e6, duration: 1e6 }] });
  apply(store, { server: 1, log: "b", epoch: 2e15 + 3e6, tasks: [{ start: 0, duration: 1e6 }] });
  store.startAt((2e15 + 5e5) / 1000);
  assert.deepEqual([...store.servers.values()].map((server) => store.seconds(server, server.lanes[0]!.start[0]!)), [0.5, 2.5]);
  assert.deepEqual(store.extent(), [0, 3.5]);
});

test("an unknown kind of a later version counts as other", () => {
  const made = new Lane("compute 1");
  const { tasks } = readTasks(answer({ log: "a", tasks: [{ start: 0, duration: 1, kind: 7 }] }));
  made.add(tasks, [0], Uint8Array.of(0, 1, 2, 3, 4, 5, 6, KIND_COUNT - 1));
  assert.equal(made.kind[0], KIND_COUNT - 1);
});

test("a lookup finds the task at a time, or the nearest task within reach", () => {
  const made = built([{ start: 0, duration: 10 }, { start: 20, duration: 1 }, { start: 30, duration: 5 }]);
  const check = (us: number, reach: number, expected: number): void => assert.equal(made.near(us, reach), expected, `${us} ± ${reach}`);
  check(5, 0, 0);
  check(20.5, 0, 1);
  check(12, 1, -1);
  check(12, 3, 0);
  check(29, 2, 2);
  check(100, 5, -1);
});

test("a million tasks are summed within the time of a frame", () => {
  const lanes = Array.from({ length: 40 }, (_, seed) => built(lane(25_000, seed)));
  const end = Math.max(...lanes.map((made) => made.end));
  const times: number[] = [];
  for (let turn = 0; turn < 21; turn++) {
    const width = end / 1.4 ** turn;
    const began = performance.now();
    for (const made of lanes) made.raster(raster(0.37 * (end - width), 0.37 * (end - width) + width, 1200));
    times.push(performance.now() - began);
  }
  const median = times.sort((a, b) => a - b)[10]!;
  console.log(`1,000,000 tasks in 40 lanes over 1200 columns: median ${median.toFixed(2)} ms, worst ${times.at(-1)!.toFixed(2)} ms`);
  assert.ok(median < 16);
});

// Tests of the readers: server responses follow NumPy's format and the documented formats.

import assert from "node:assert/strict";
import { test } from "node:test";
import { magnitudes, readNpy } from "../src/wire/npy.ts";
import { readPreview, readTraces } from "../src/wire/preview.ts";
import { holderOf, isDone, isSummed, readStatus } from "../src/wire/status.ts";
import { readTasks } from "../src/wire/tasks.ts";
import { answer, framed, npy } from "./fixture.ts";

test("every dtype of a job is readable", () => {
  const check = (descr: string, body: ArrayBufferView, shape: number[], expected: number[]): void => {
    const read = readNpy(npy(descr, shape, body));
    assert.deepEqual({ descr: read.descr, shape: read.shape, values: [...read.values] }, { descr, shape, values: expected });
  };
  check("|u1", Uint8Array.of(0, 7, 255), [3], [0, 7, 255]);
  check("|b1", Uint8Array.of(0, 1), [2], [0, 1]);
  check("|i1", Int8Array.of(-1, 1), [2], [-1, 1]);
  check("<u2", Uint16Array.of(1, 65535), [2], [1, 65535]);
  check("<i2", Int16Array.of(-2, 3), [2], [-2, 3]);
  check("<u4", Uint32Array.of(4_000_000_000), [1], [4_000_000_000]);
  check("<i4", Int32Array.of(-5, 6, 7, 8), [2, 2], [-5, 6, 7, 8]);
  check("<u8", BigUint64Array.of(2n ** 40n), [1], [2 ** 40]);
  check("<i8", BigInt64Array.of(-3n), [1], [-3]);
  check("<f4", Float32Array.of(0.5, -1.5), [1, 2], [0.5, -1.5]);
  check("<f8", Float64Array.of(0.1), [], [0.1]);
  check("<c8", Float32Array.of(3, 4, 0, -2), [2], [3, 4, 0, -2]);
});

test("complex elements give their magnitudes", () => {
  assert.deepEqual([...magnitudes(readNpy(npy("<c8", [2], Float32Array.of(3, 4, 0, -2))))], [5, 2]);
  assert.deepEqual([...magnitudes(readNpy(npy("<c16", [1], Float64Array.of(6, 8))))], [10]);
  assert.deepEqual([...magnitudes(readNpy(npy("<f4", [1], Float32Array.of(-1))))], [-1]);
});

test("a header of version 2 is readable", () => {
  assert.deepEqual([...readNpy(npy("|u1", [2], Uint8Array.of(1, 2), { version: 2 })).values], [1, 2]);
});

test("formats that no server sends are refused", () => {
  assert.throws(() => readNpy(npy("|u1", [2, 2], new Uint8Array(4), { fortran: true })), /Fortran/);
  assert.throws(() => readNpy(npy(">f4", [1], new Uint8Array(4))), />f4/);
  assert.throws(() => readNpy(npy("<f4", [4], new Uint8Array(4))), /cut off/);
  assert.throws(() => readNpy(new ArrayBuffer(64)), /not an \.npy/);
});

test("the reader of tasks returns every field", () => {
  const read = readTasks(
    answer({
      server: 3,
      log: "a",
      next: 1,
      lanes: ["compute 1", "fetch 1"],
      tasks: [
        { start: 1234.5, duration: 100, busy: 80, count: 2, item: 77, bytes: 4096, lane: 1, kind: 4, flags: 2 },
        { start: 2000, duration: 50, lane: 0, kind: 1, flags: 1 },
      ],
      running: 1,
      marks: [{ at_us: 5, kind: "retry", text: "again" }],
    }),
  );
  assert.equal(read.server, 3);
  assert.deepEqual([read.finished, read.running, read.tasks.length], [1, 1, 2]);
  const { start, duration, busy, count, item, bytes, lane, kind, flags } = read.tasks;
  assert.deepEqual([start[0], duration[0], busy[0], count[0], item[0], bytes[0], lane[0], kind[0], flags[0]], [1234.5, 100, 80, 2, 77, 4096, 1, 4, 2]);
  assert.deepEqual([start[1], lane[1], flags[1]], [2000, 0, 1]);
  assert.deepEqual(read.marks, [{ atUs: 5, kind: "retry", text: "again", count: 1 }]);
});

test("a truncated response is refused", () => {
  const whole = answer({ log: "a", tasks: [{ start: 0, duration: 1 }] });
  assert.throws(() => readTasks(whole.slice(0, whole.byteLength - 1)), /not 32/);
  assert.throws(() => readTasks(new Uint8Array([123, 125]).buffer), /header/);
});

test("previews and traces are readable", () => {
  const preview = readPreview(framed({ array: "raw", frames: 3, of: 9, shape: [4, 6], stride: 2, shown: [2, 3] }, Float32Array.of(1, 2, 3, 4, 5, NaN)));
  assert.deepEqual([preview.frames, preview.stride, preview.shown, [...preview.values]], [3, 2, [2, 3], [1, 2, 3, 4, 5, NaN]]);
  const traces = readTraces(framed({ frames: 2, known: 1, columns: ["raw_mean", "centroid_y"] }, Float32Array.of(5, NaN, 7, NaN)));
  assert.deepEqual([...traces.columns.get("centroid_y")!], [7, NaN]);
  assert.equal(traces.columns.get("centroid_x"), undefined);
});

test("a status of another version is read as far as its fields match", () => {
  const status = readStatus(
    JSON.stringify({
      job: "demo",
      state: "Loading",
      servers: 2,
      phases: [{ name: "Load", done: 4, total: 4 }],
      fleet: [{ server: 0, answers: true, progress: { phases: [{ phase: "Load", done: 2, total: 2 }] } }, { server: 1, answers: false, progress: null }],
      news: "of a later version",
    }),
  );
  assert.equal(isDone(status, "Load"), true);
  assert.equal(isDone(status, "Fft"), false);
  assert.equal(status.fleet[0]?.phases[0]?.name, "Load");
  assert.equal(status.fleet[0]?.vitals, null);
  assert.deepEqual(status.blank, []);
});

test("the list of arrays shows whether a mean is available", () => {
  const of = (...names: string[]): boolean[] => {
    const status = readStatus(JSON.stringify({ arrays: names.map((name) => ({ name, shape: [4], dtype: "uint8", axes: ["t"], chunks: [4] })) }));
    return [isSummed(status, "raw"), isSummed(status, "recentered")];
  };
  assert.deepEqual(of("raw", "recentered", "raw_max_frame"), [false, false]);
  assert.deepEqual(of("raw_std_frame"), [true, false]);
  assert.deepEqual(of("raw_mean_frame", "recentered_mean_frame"), [true, true]);
});

test("a restarted server works on the job only after its assignment", () => {
  const works = (member: object): boolean => readStatus(JSON.stringify({ uid: "u", generation: 2, fleet: [{ server: 0, ...member }] })).fleet[0]!.works;
  assert.equal(works({ answers: false, progress: null }), false);
  assert.equal(works({ answers: true, progress: { assignment: null } }), false);
  assert.equal(works({ answers: true, progress: { assignment: ["u", 1] } }), false);
  assert.equal(works({ answers: true, progress: { assignment: ["u", 2] } }), true);
  assert.equal(works({ answers: true, progress: {} }), true);
});

test("the progress of the servers gives the owner of a frame and its presence", () => {
  const of = (...dones: (number | null)[]): ReturnType<typeof readStatus> =>
    readStatus(
      JSON.stringify({
        phases: [{ name: "Load", done: 0, total: 10 }],
        fleet: dones.map((done, server) => ({
          server,
          answers: done !== null,
          progress: done === null ? null : { phases: [{ phase: "Load", done, total: server === 2 ? 2 : 4 }] },
        })),
      }),
    );
  const holder = (status: ReturnType<typeof readStatus>, frame: number): unknown[] => Object.values(holderOf(status, "Load", frame) ?? {});
  assert.deepEqual(holder(of(4, 1, 0), 3), [0, true, true]);
  assert.deepEqual(holder(of(4, 1, 0), 4), [1, true, true]);
  assert.deepEqual(holder(of(4, 1, 0), 5), [1, true, false]);
  assert.deepEqual(holder(of(4, 1, 0), 8), [2, true, false]);
  assert.deepEqual(holder(of(4, null, 2), 7), [1, false, false], "what the others do not have, the absent one has");
  assert.deepEqual(holder(of(4, null, 2), 9), [2, true, true]);
  assert.deepEqual(holder(of(4, null, null), 9), []);
  assert.deepEqual(holder(of(4, 4), 1), [], "servers that say less than the job has");
});

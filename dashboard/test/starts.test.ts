// Tests of servers that start again: the tasks of former starts stay beside the tasks of the latest start.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LOST, TaskStore } from "../src/model/tasks.ts";
import { readTasks } from "../src/wire/tasks.ts";
import { rows } from "../src/view/stream/rows.ts";
import { counted, find, nth } from "../src/view/stream/find.ts";
import { answer } from "./fixture.ts";

const SECOND = 1e6;
const EPOCH = 2e15;
const apply = (store: TaskStore, of: Parameters<typeof answer>[0]): boolean => store.apply(readTasks(answer(of)), 0);

/** A server with two finished tasks and two running tasks, which starts again five seconds later. */
function restarted(): TaskStore {
  const store = new TaskStore();
  store.startAt(EPOCH / 1000);
  apply(store, {
    log: "a",
    boot: "first",
    epoch: EPOCH,
    lanes: ["compute 1", "fetch 1", "fetch 2"],
    tasks: [
      { start: 0, duration: SECOND, lane: 1, item: 1 },
      { start: SECOND, duration: SECOND, lane: 0, kind: 1, item: 1 },
      { start: SECOND, duration: 2 * SECOND, lane: 1, item: 2, flags: 1 },
      { start: 2 * SECOND, duration: SECOND, lane: 2, item: 3, flags: 1 },
    ],
    running: 2,
    marks: [{ at_us: SECOND, kind: "retry", text: "frame 1 again", count: 1 }],
  });
  apply(store, {
    log: "b",
    boot: "second",
    epoch: EPOCH + 5 * SECOND,
    lanes: ["fetch 1", "compute 1", "serve 1"],
    tasks: [{ start: SECOND, duration: SECOND, lane: 0, item: 1 }, { start: SECOND, duration: SECOND, lane: 2, kind: 3, item: 0 }],
    marks: [{ at_us: 0, kind: "recovered", text: "it is back", count: 1 }],
  });
  return store;
}

test("tasks of a former start stay on the common axis", () => {
  const store = restarted();
  assert.deepEqual(store.startsOf(0).map(({ boot, former }) => [boot, former]), [["first", true], ["second", false]]);
  assert.deepEqual(store.extent(), [0, 7]);
  assert.deepEqual(store.marks().map(({ mark, seconds }) => [mark.kind, seconds]), [["retry", 1], ["recovered", 5]]);
  assert.equal(store.length, 6);
  assert.equal(store.since(0), "?log=b&after=2", "only the latest start is asked on");
});

test("running tasks of a lost server end at its last response and count as lost", () => {
  const store = restarted();
  const [first] = store.startsOf(0);
  assert.deepEqual(first!.running, []);
  const fetch = first!.lanes[1]!;
  assert.deepEqual([fetch.start[1], fetch.duration[1], fetch.flags[1]], [SECOND, 2 * SECOND, LOST]);
  assert.deepEqual(first!.failed, [{ lane: 1, at: 3 * SECOND }, { lane: 2, at: 3 * SECOND }]);
  const [load, decode] = store.totals();
  assert.deepEqual([load!.count, load!.lost, load!.failed, load!.busy], [4, 2, 0, 5 * SECOND]);
  assert.deepEqual([decode!.count, decode!.lost], [1, 0]);
});

test("lanes with one name share a row over all starts", () => {
  const store = restarted();
  const lanes = rows(store, "lanes").rows.map((row) => row.parts.map(({ start, lanes }) => `${start.boot} ${start.lanes[lanes[0]!]!.name}`));
  assert.deepEqual(lanes, [["first compute 1"], ["first fetch 1", "second fetch 1"], ["first fetch 2"], ["second serve 1"]]);
  const [joined] = rows(store, "servers").rows;
  assert.deepEqual([joined!.lanes, joined!.parts.map((part) => part.lanes)], [4, [[0, 1, 2, -1], [-1, 0, -1, 2]]]);
});

test("the text names a task's start and a loss with the server", () => {
  const store = restarted();
  const row = rows(store, "lanes").rows[1]!;
  const at = (seconds: number): readonly string[] => find(store, row, seconds, 1e-3, [true], 0)?.lines ?? [];
  assert.deepEqual(at(0.5), ["load · frame 1", "1 s", "server 0, fetch 1, at 0.000 s, before it was started again"]);
  assert.match(at(2.5).join("\n"), /^load · frame 2\n.*\nnot finished: its server was lost.*\nserver 0, fetch 1, at 1\.000 s, before it was started again$/);
  assert.deepEqual(at(4.5), []);
  assert.deepEqual(at(6.5), ["load · frame 1", "1 s", "server 0, fetch 1, at 6.000 s"]);
  assert.deepEqual(counted(store, row, 5), { length: 3, before: 2 });
  assert.deepEqual([0, 1, 2, 3].map((number) => nth(row, number)?.start.boot), ["first", "first", "second", undefined]);
});

test("a new log of the same start replaces only the old log of this start", () => {
  const store = restarted();
  apply(store, { log: "c", boot: "second", epoch: EPOCH + 5 * SECOND, lanes: ["fetch 1"], tasks: [{ start: SECOND, duration: SECOND, count: 2 }] });
  assert.deepEqual(store.startsOf(0).map(({ log, length }) => [log, length]), [["a", 4], ["c", 1]]);
  assert.deepEqual(store.marks().map(({ mark }) => mark.kind), ["retry"]);
});

test("a start that seemed ended and responds again appears once", () => {
  const store = restarted();
  apply(store, { log: "a", boot: "first", epoch: EPOCH, lanes: ["fetch 1"], tasks: [{ start: 0, duration: SECOND }] });
  assert.deepEqual(store.startsOf(0).map(({ boot, length, former }) => [boot, length, former]), [["second", 2, true], ["first", 1, false]]);
});

test("a start without tasks is not kept", () => {
  const store = new TaskStore();
  for (const boot of ["first", "second", "third"]) apply(store, { log: boot, boot });
  assert.deepEqual(store.startsOf(0).map(({ boot }) => boot), ["third"]);
});

test("the axis begins at the job's first start and resets for another job", () => {
  const store = restarted();
  store.startAt(EPOCH / 1000, "job 1");
  store.startAt(EPOCH / 1000 + 5000, "job 1");
  assert.equal(store.originUs, EPOCH);
  store.startAt(0, "job 2");
  assert.deepEqual([store.startsOf(0).length, store.since(0), store.length], [0, "", 0]);
  store.startAt(EPOCH / 1000 + 9000, "job 2");
  assert.equal(store.originUs, EPOCH + 9e6);
});

// Input: a position in a row, or a step along the row. Output: the task at this position, with its text.

import type { Lane } from "../../model/lane.ts";
import { growth } from "../../model/tasks.ts";
import type { ServerTasks, TaskStore } from "../../model/tasks.ts";
import type { Row } from "./rows.ts";
import { ofCrowd, ofRunning, ofTask } from "./words.ts";
import type { Words } from "./words.ts";

/** The text for the position `seconds` of the axis in a row; a pixel is `perPixel` seconds. For `nowMs` see `growth`. */
export function find(store: TaskStore, row: Row, seconds: number, perPixel: number, shown: readonly boolean[], nowMs: number | null): Words | null {
  const crowd = (): Words | null => ofCrowd(store, row.parts, row.lanes, seconds - perPixel, seconds + perPixel);
  if (row.lanes > 1) return crowd();
  let some = false;
  for (const { start, lanes } of [...row.parts].reverse()) {
    const us = (seconds - store.seconds(start, 0)) * 1e6;
    const pixel = perPixel * 1e6;
    const lane = start.lanes[lanes[0]!]!;
    const task = start.running.find((running) => running.lane === lanes[0] && us >= running.start && us <= running.start + running.duration + growth(start, running, nowMs));
    if (nowMs !== null && task !== undefined && shown[task.kind] === true) return ofRunning(store, start, task, task.duration + growth(start, task, nowMs));
    const at = lane.near(us, 2 * pixel);
    if (at < 0) continue;
    some = true;
    const begin = lane.before(us + 1.5 * pixel) - lane.before(us - 1.5 * pixel);
    if (begin <= 2 || lane.duration[at]! > 3 * pixel) return ofTask(store, start, lane, at);
  }
  return some ? crowd() : null;
}

/** One finished task of a row. */
export interface Step {
  readonly start: ServerTasks;
  readonly lane: Lane;
  readonly at: number;
}

/** For a row of one lane, over all starts of its server: the number of tasks, and the number of tasks that begin before `seconds`. */
export function counted(store: TaskStore, row: Row, seconds: number): { length: number; before: number } {
  const sum = { length: 0, before: 0 };
  for (const { start, lanes } of row.parts) {
    const lane = start.lanes[lanes.find((number) => number >= 0)!]!;
    sum.length += lane.length;
    sum.before += lane.before((seconds - store.seconds(start, 0)) * 1e6);
  }
  return sum;
}

/** The task with this number, counted over the starts in order. */
export function nth(row: Row, number: number): Step | null {
  let at = number;
  for (const { start, lanes } of row.parts) {
    const lane = start.lanes[lanes.find((number) => number >= 0)!]!;
    if (at < lane.length) return { start, lane, at };
    at -= lane.length;
  }
  return null;
}

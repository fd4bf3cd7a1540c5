// Input: a task, a group of tasks, or marks. Output: lines of text for the tooltip and the screen reader.

import { bytes, clock, count, percent, plural, span } from "../../model/format.ts";
import { KINDS, KIND_COUNT } from "../../model/lane.ts";
import type { Lane } from "../../model/lane.ts";
import { LOST } from "../../model/tasks.ts";
import type { Running, ServerMark, ServerTasks, TaskStore } from "../../model/tasks.ts";
import { FAILED } from "../../wire/tasks.ts";
import type { Part } from "./rows.ts";

const ITEMS: Readonly<Record<string, string>> = { load: "frame", decode: "frame", recenter: "frame", write: "output" };

/** The text for one position; the first line is the title. */
export interface Words {
  readonly kind: string | null;
  readonly lines: readonly string[];
}

/** A finished task. */
export function ofTask(store: TaskStore, server: ServerTasks, lane: Lane, at: number): Words {
  const kind = KINDS[lane.kind[at]!] ?? "other";
  const tasks = lane.count[at]!;
  const duration = lane.duration[at]!;
  const busy = lane.busy[at]!;
  const merged = tasks > 1;
  return {
    kind,
    lines: [
      title(kind, lane.item[at]!, tasks),
      merged && busy < 0.995 * duration ? `${span(duration)}, at work ${span(busy)} of it` : span(duration),
      ...(lane.bytes[at]! > 0 ? [size(lane.bytes[at]!, busy)] : []),
      ...((lane.flags[at]! & FAILED) !== 0 ? ["failed, retried"] : []),
      ...((lane.flags[at]! & LOST) !== 0 ? ["not finished: its server was lost, and this is the last that was heard of it"] : []),
      `server ${server.server}, ${lane.name}, at ${moment(store.seconds(server, lane.start[at]!))}${earlier(server)}`,
    ],
  };
}

/** A running task. */
export function ofRunning(store: TaskStore, server: ServerTasks, task: Running, us: number): Words {
  const kind = KINDS[task.kind] ?? "other";
  return {
    kind,
    lines: [
      title(kind, task.item, task.count),
      `running for ${span(us)}`,
      ...(task.bytes > 0 ? [bytes(task.bytes)] : []),
      `server ${server.server}, ${server.lanes[task.lane]?.name ?? ""}, since ${moment(store.seconds(server, task.start))}`,
    ],
  };
}

/** Many tasks in few pixels: the work of a server in `lanes` lanes in the seconds [from, to] of the axis. */
export function ofCrowd(store: TaskStore, parts: readonly Part[], lanes: number, from: number, to: number): Words | null {
  const shares = new Float32Array(KIND_COUNT);
  let tasks = 0;
  let last: { start: ServerTasks; name: string } | null = null;
  for (const { start, lanes: numbers } of parts) {
    const [begin, end] = [from, to].map((at) => (at - store.seconds(start, 0)) * 1e6) as [number, number];
    const before = shares.reduce((sum, share) => sum + share, 0);
    for (const number of numbers) {
      const lane = start.lanes[number];
      lane?.raster({ from: begin, to: end, columns: 1, shares, edges: new Uint8Array(1) }, 1 / lanes, 0);
      if (lane !== undefined) tasks += lane.before(end) - lane.before(begin);
    }
    if (shares.reduce((sum, share) => sum + share, 0) > before) last = { start, name: start.lanes[numbers[0]!]?.name ?? "" };
  }
  const busy = [...shares].map((share, kind) => ({ share, kind })).filter(({ share }) => share > 0.0005).sort((a, b) => b.share - a.share);
  if (busy.length === 0 || last === null) return null;
  const where = lanes === 1 ? last.name : plural(lanes, "lane");
  return {
    kind: KINDS[busy[0]!.kind] ?? null,
    lines: [
      `${busy.map(({ share, kind }) => `${KINDS[kind] ?? "other"} ${percent(Math.min(1, share))}`).join(" · ")}`,
      `of ${span((to - from) * 1e6)}${tasks > 0 ? `, in which ${plural(tasks, "task")} begin${tasks === 1 ? "s" : ""}` : ""}`,
      `server ${last.start.server}, ${where}, at ${moment(from)}${earlier(last.start)}`,
    ],
  };
}

/** Marks at the same position. */
export function ofMarks(marks: readonly { mark: ServerMark; seconds: number }[]): Words {
  const shown = marks.slice(0, 6).map(({ mark, seconds }) => `${moment(seconds)} · ${ofMark(mark)}`);
  return { kind: null, lines: marks.length > 6 ? [...shown, `and ${marks.length - 6} more`] : shown };
}

/** One mark, without its time. */
export function ofMark(mark: ServerMark): string {
  return `server ${mark.server} · ${mark.kind}${mark.count > 1 ? ` ×${count(mark.count)}` : ""}: ${mark.text}`;
}

/** Seconds on the axis, with more digits for small values. */
export function moment(seconds: number): string {
  return Math.abs(seconds) < 100 ? `${seconds.toFixed(3)} s` : `${clock(seconds)}.${String(Math.floor((seconds % 1) * 10))}`;
}

function earlier(server: ServerTasks): string {
  return server.former ? ", before it was started again" : "";
}

function title(kind: string, item: number, tasks: number): string {
  const what = ITEMS[kind] ?? "band";
  return tasks > 1 ? `${kind} · ${count(tasks)} tasks from ${what} ${count(item)}` : `${kind} · ${what} ${count(item)}`;
}

function size(amount: number, us: number): string {
  return us > 0 ? `${bytes(amount)} (${bytes((amount * 1e6) / us)}/s)` : bytes(amount);
}

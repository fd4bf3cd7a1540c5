// Servers with lanes come in, rows of the drawing go out: one for each lane, or one for each server.

import { plural } from "../../model/format.ts";
import type { ServerTasks, TaskStore } from "../../model/tasks.ts";

/** A row: some lanes of one server, at `y` CSS pixels below the first. */
export interface Row {
  readonly server: ServerTasks;
  /** Numbers of its lanes. */
  readonly lanes: readonly number[];
  readonly name: string;
  readonly y: number;
  readonly height: number;
  /** Whether it is its server's first. */
  readonly first: boolean;
}

/** Which rows to make. */
export type Grouping = "lanes" | "servers";

const LANE_HEIGHT = 12;
const LANE_GAP = 1;
// What is on its way is many lanes of which few matter by themselves: they are told apart from others, and pointed at.
const CLASSES = ["fetch", "transfer", "serve", "write"];
const SLIM_HEIGHT = 5;
const CLASS_GAP = 4;
const SERVER_HEIGHT = 28;
const SERVER_GAP = 5;

/** All rows, and their height in all. Lanes that have done nothing have none. */
export function rows(store: TaskStore, grouping: Grouping): { rows: Row[]; height: number } {
  const made: Row[] = [];
  let y = 0;
  for (const server of store.inOrder()) {
    const lanes = server.lanes.flatMap((lane, at) => (lane.length > 0 || server.running.some((task) => task.lane === at) ? [at] : []));
    if (lanes.length === 0) continue;
    if (grouping === "servers") {
      made.push({ server, lanes, name: plural(lanes.length, "lane"), y, height: SERVER_HEIGHT, first: true });
      y += SERVER_HEIGHT + SERVER_GAP;
      continue;
    }
    const classOf = (lane: number): number => CLASSES.indexOf(server.lanes[lane]!.name.split(" ")[0]!);
    const sorted = [...lanes].sort((a, b) => classOf(a) - classOf(b) || a - b);
    sorted.forEach((lane, at) => {
      const own = classOf(lane);
      const [before, after] = [sorted[at - 1], sorted[at + 1]].map((other) => (other === undefined ? undefined : classOf(other)));
      const alone = before !== own && after !== own;
      const slim = own >= 0 && !alone;
      const name = own < 0 ? server.lanes[lane]!.name : before === own ? "" : CLASSES[own]!;
      const height = slim ? SLIM_HEIGHT : LANE_HEIGHT;
      made.push({ server, lanes: [lane], name, y, height, first: at === 0 });
      y += height + (after !== own && (own >= 0 || (after ?? -1) >= 0) ? CLASS_GAP : LANE_GAP);
    });
    y += SERVER_GAP;
  }
  return { rows: made, height: Math.max(0, y - SERVER_GAP) };
}

/** The row at `y`, if there is one. */
export function rowAt(all: readonly Row[], y: number): Row | undefined {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (all[middle]!.y <= y) low = middle + 1;
    else high = middle;
  }
  const row = all[low - 1];
  return row !== undefined && y < row.y + row.height + LANE_GAP ? row : undefined;
}

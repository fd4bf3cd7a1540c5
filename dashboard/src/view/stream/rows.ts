// Servers with lanes come in, rows of the drawing go out: one for each lane, or one for each server.

import { plural } from "../../model/format.ts";
import type { ServerTasks, TaskStore } from "../../model/tasks.ts";

/** What one start of a server has in a row. */
export interface Part {
  readonly start: ServerTasks;
  /** The number of each of the row's lanes in this start; -1 where it has none of that name. */
  readonly lanes: readonly number[];
}

/** A row: some lanes of one server, at `y` CSS pixels below the first. */
export interface Row {
  readonly server: number;
  /** Starts of the server, the latest last. Lanes of one name are one lane, however often it was started. */
  readonly parts: readonly Part[];
  /** How many lanes share its height. */
  readonly lanes: number;
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
  for (const { server } of store.inOrder()) {
    const starts = store.startsOf(server);
    const lanes = named(starts);
    if (lanes.length === 0) continue;
    const parts = (of: readonly NamedLane[]): Part[] =>
      starts
        .map((start, at) => ({ start, lanes: of.map((lane) => lane.numbers[at]!) }))
        .filter((part) => part.lanes.some((lane) => lane >= 0));
    if (grouping === "servers") {
      made.push({ server, parts: parts(lanes), lanes: lanes.length, name: plural(lanes.length, "lane"), y, height: SERVER_HEIGHT, first: true });
      y += SERVER_HEIGHT + SERVER_GAP;
      continue;
    }
    lanes.forEach((lane, at) => {
      const own = classOf(lane.name);
      const [before, after] = [lanes[at - 1], lanes[at + 1]].map((other) => (other === undefined ? undefined : classOf(other.name)));
      const alone = before !== own && after !== own;
      const slim = own >= 0 && !alone;
      const name = own < 0 ? lane.name : before === own ? "" : CLASSES[own]!;
      const height = slim ? SLIM_HEIGHT : LANE_HEIGHT;
      made.push({ server, parts: parts([lane]), lanes: 1, name, y, height, first: at === 0 });
      y += height + (after !== own && (own >= 0 || (after ?? -1) >= 0) ? CLASS_GAP : LANE_GAP);
    });
    y += SERVER_GAP;
  }
  return { rows: made, height: Math.max(0, y - SERVER_GAP) };
}

/** A lane's name, and its number in each start of its server, -1 where there is none. */
interface NamedLane {
  readonly name: string;
  readonly numbers: number[];
}

/** The lanes of all starts that have done something, by name, in the order of rows. */
function named(starts: readonly ServerTasks[]): NamedLane[] {
  const lanes = new Map<string, NamedLane>();
  starts.forEach((start, of) => {
    start.lanes.forEach((lane, at) => {
      if (lane.length === 0 && !start.running.some((task) => task.lane === at)) return;
      let known = lanes.get(lane.name);
      if (known === undefined) lanes.set(lane.name, (known = { name: lane.name, numbers: starts.map(() => -1) }));
      known.numbers[of] = at;
    });
  });
  const place = (name: string): number => Number(/\d+$/.exec(name)?.[0] ?? 0);
  return [...lanes.values()].sort((a, b) => classOf(a.name) - classOf(b.name) || place(a.name) - place(b.name));
}

function classOf(name: string): number {
  return CLASSES.indexOf(name.split(" ")[0]!);
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

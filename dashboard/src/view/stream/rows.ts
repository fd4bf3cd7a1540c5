// Input: servers with lanes. Output: rows of the drawing, one for each lane or one for each server.

import { plural } from "../../model/format.ts";
import type { ServerTasks, TaskStore } from "../../model/tasks.ts";

/** The part of a row that belongs to one start of a server. */
export interface Part {
  readonly start: ServerTasks;
  /** The numbers of the row's lanes in this start; -1 for a lane that the start does not have. */
  readonly lanes: readonly number[];
}

/** A row: lanes of one server, `y` CSS pixels below the first row. */
export interface Row {
  readonly server: number;
  /** Starts of the server, the latest last. Lanes with one name are one lane over all starts. */
  readonly parts: readonly Part[];
  /** Number of lanes that share the height of the row. */
  readonly lanes: number;
  readonly name: string;
  readonly y: number;
  readonly height: number;
  /** Whether the row is the first row of its server. */
  readonly first: boolean;
}

/** The kind of rows: one for each lane, or one for each server. */
export type Grouping = "lanes" | "servers";

const LANE_HEIGHT = 12;
const LANE_GAP = 1;
// Lanes of these names are many, and a single lane matters little: they are thin, and separate from the other lanes.
const CLASSES = ["fetch", "transfer", "serve", "write"];
const SLIM_HEIGHT = 5;
const CLASS_GAP = 4;
const SERVER_HEIGHT = 28;
const SERVER_GAP = 5;

/** All rows, and their total height. Lanes without tasks have no row. */
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

/** A lane's name, and its number in each start of its server; -1 for a start without this lane. */
interface NamedLane {
  readonly name: string;
  readonly numbers: number[];
}

/** The lanes with tasks of all starts, by name, in the order of the rows. */
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

/** The row at `y`, if a row covers `y`. */
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

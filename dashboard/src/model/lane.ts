// Input: tasks of one thread, in any order. Output: sorted columns with a pyramid over them, which sums the tasks of each column of pixels.

import type { TaskColumns } from "../wire/tasks.ts";

/** Kinds of tasks in the order of the work; `other` is a kind of a newer server. */
export const KINDS = ["load", "decode", "recenter", "gather", "transfer", "fft", "write", "other"] as const;
/** Number of kinds. */
export const KIND_COUNT = KINDS.length;

// With eight children, the pyramid has a seventh of the nodes of its tasks, and a path through a million tasks has seven nodes.
const FAN = 8;

/** One level of the pyramid; a node has FAN nodes below. Times in µs. */
interface Level {
  count: number;
  start: Float64Array;
  /** Latest end of any task in the node. */
  end: Float64Array;
  /** (count, KIND_COUNT): µs of work. */
  busy: Float32Array;
}

/** Flags of columns in which a task begins or ends that is wide enough to separate from its neighbours. */
export const BEGINS = 1;
export const ENDS = 2;

/** Input and output of a sum: `columns` equal parts of [from, to), µs; `shares` (columns, KIND_COUNT), added to; `edges`, BEGINS or ENDS. */
export interface Raster {
  readonly from: number;
  readonly to: number;
  readonly columns: number;
  readonly shares: Float32Array;
  readonly edges: Uint8Array;
}

/** Finished tasks of one lane, sorted by start. Times are µs since the server's epoch. */
export class Lane {
  readonly name: string;
  length = 0;
  start = new Float64Array(16);
  duration = new Float32Array(16);
  busy = new Float32Array(16);
  count = new Uint32Array(16);
  item = new Uint32Array(16);
  bytes = new Float32Array(16);
  kind = new Uint8Array(16);
  flags = new Uint8Array(16);
  private levels: Level[] = [];
  /** Number of the first task that the pyramid does not contain. */
  private fresh = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Adds the tasks at `places` of `tasks`; `kinds` maps the kinds of the response to the indices of `KINDS`. */
  add(tasks: TaskColumns, places: ArrayLike<number>, kinds: Uint8Array): void {
    this.reserve(this.length + places.length);
    const first = this.length;
    let sorted = true;
    for (let at = 0; at < places.length; at++) {
      const place = places[at]!;
      const to = this.length++;
      this.start[to] = tasks.start[place]!;
      this.duration[to] = tasks.duration[place]!;
      this.busy[to] = tasks.busy[place]!;
      this.count[to] = tasks.count[place]!;
      this.item[to] = tasks.item[place]!;
      this.bytes[to] = tasks.bytes[place]!;
      this.kind[to] = kinds[tasks.kind[place]!] ?? KIND_COUNT - 1;
      this.flags[to] = tasks.flags[place]!;
      if (to > 0 && this.start[to]! < this.start[to - 1]!) sorted = false;
    }
    this.fresh = Math.min(this.fresh, sorted ? first : this.sortTail(first));
  }

  /** Number of tasks that begin before `us`. */
  before(us: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.start[middle]! < us) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The task that covers `us`, or the nearest task within `reach` µs; -1 without such a task. */
  near(us: number, reach: number): number {
    let best = -1;
    let distance = reach;
    // Tasks of one lane hardly overlap, so the task at `us` is among the last few tasks that begin before `us`.
    const until = this.before(us + reach);
    for (let at = until - 1; at >= Math.max(0, until - 64); at--) {
      const from = this.start[at]!;
      const to = from + this.duration[at]!;
      const away = us < from ? from - us : us > to ? us - to : 0;
      if (away < distance || (best < 0 && away <= distance)) {
        best = at;
        distance = away;
      }
      if (distance === 0) break;
    }
    return best;
  }

  /** Latest end of any task, µs. */
  get end(): number {
    this.build();
    const top = this.levels.at(-1);
    let end = -Infinity;
    if (top !== undefined) for (let at = 0; at < top.count; at++) end = Math.max(end, top.end[at]!);
    else for (let at = 0; at < this.length; at++) end = Math.max(end, this.start[at]! + this.duration[at]!);
    return end;
  }

  /**
   * Adds the work of the lane in each column, as a fraction of the column's time, multiplied by `weight`.
   * A node narrower than `coarse` columns counts in the column of its middle. At 0 the sums are exact; at 0.25 the error is invisible.
   */
  raster(raster: Raster, weight = 1, coarse = 0.25): void {
    this.build();
    const perColumn = (raster.to - raster.from) / raster.columns;
    const depth = this.levels.length;
    const count = depth === 0 ? this.length : this.levels[depth - 1]!.count;
    this.visit(depth, 0, count, raster, 1 / perColumn, weight, coarse);
  }

  private visit(depth: number, first: number, until: number, raster: Raster, scale: number, weight: number, coarse: number): void {
    if (depth === 0) {
      for (let at = first; at < until; at++) {
        const start = this.start[at]!;
        if (start >= raster.to) return;
        this.cover(at, start, raster, scale, weight);
      }
      return;
    }
    const level = this.levels[depth - 1]!;
    const { shares } = raster;
    for (let node = first; node < until; node++) {
      const start = level.start[node]!;
      if (start >= raster.to) return;
      const end = level.end[node]!;
      if (end <= raster.from) continue;
      const left = (start - raster.from) * scale;
      const right = (end - raster.from) * scale;
      const column = right - left <= coarse ? ((left + right) / 2) | 0 : left | 0;
      if (left >= 0 && right <= raster.columns && (right - left <= coarse || right <= column + 1)) {
        const from = node * KIND_COUNT;
        const to = Math.min(column, raster.columns - 1) * KIND_COUNT;
        for (let kind = 0; kind < KIND_COUNT; kind++) shares[to + kind]! += level.busy[from + kind]! * scale * weight;
        continue;
      }
      const below = depth === 1 ? this.length : this.levels[depth - 2]!.count;
      this.visit(depth - 1, node * FAN, Math.min((node + 1) * FAN, below), raster, scale, weight, coarse);
    }
  }

  /** Spreads one task over the columns that the task covers. */
  private cover(at: number, start: number, raster: Raster, scale: number, weight: number): void {
    const { shares, edges, columns } = raster;
    const duration = this.duration[at]!;
    const kind = this.kind[at]!;
    const left = (start - raster.from) * scale;
    const right = left + duration * scale;
    if (right <= 0) return;
    const height = duration > 0 ? (weight * this.busy[at]!) / duration : 0;
    const from = Math.max(0, left);
    const to = Math.min(columns, right);
    let column = from | 0;
    const last = Math.min(columns - 1, to | 0);
    if (column >= last) {
      shares[Math.min(column, columns - 1) * KIND_COUNT + kind]! += (to - from) * height;
      return;
    }
    // A gap separates neighbours of one colour; only a wide task has room for a gap.
    if (right - left >= 4) {
      if (left >= 0) edges[column] = BEGINS;
      if (right < columns) edges[last] = ENDS;
    }
    shares[column * KIND_COUNT + kind]! += (column + 1 - from) * height;
    for (column += 1; column < last; column++) shares[column * KIND_COUNT + kind]! += height;
    shares[last * KIND_COUNT + kind]! += (to - last) * height;
  }

  /** Updates the pyramid: only nodes over new tasks are summed again. */
  private build(): void {
    if (this.fresh >= this.length) return;
    let count = this.length;
    let dirty = this.fresh;
    for (let depth = 0; count > FAN; depth++) {
      const nodes = Math.ceil(count / FAN);
      // A new level also sums the old nodes below its first nodes.
      dirty = depth < this.levels.length ? Math.floor(dirty / FAN) : 0;
      const level = this.level(depth, nodes);
      level.busy.fill(0, dirty * KIND_COUNT, nodes * KIND_COUNT);
      for (let node = dirty; node < nodes; node++) this.sum(depth, level, node, Math.min((node + 1) * FAN, count));
      count = nodes;
    }
    this.fresh = this.length;
  }

  private sum(depth: number, level: Level, node: number, until: number): void {
    const first = node * FAN;
    const to = node * KIND_COUNT;
    let end = -Infinity;
    if (depth === 0) {
      for (let at = first; at < until; at++) {
        end = Math.max(end, this.start[at]! + this.duration[at]!);
        level.busy[to + this.kind[at]!]! += this.busy[at]!;
      }
      level.start[node] = this.start[first]!;
    } else {
      const below = this.levels[depth - 1]!;
      for (let at = first; at < until; at++) {
        end = Math.max(end, below.end[at]!);
        for (let kind = 0; kind < KIND_COUNT; kind++) level.busy[to + kind]! += below.busy[at * KIND_COUNT + kind]!;
      }
      level.start[node] = below.start[first]!;
    }
    level.end[node] = end;
  }

  private level(depth: number, nodes: number): Level {
    let level = this.levels[depth];
    if (level === undefined) {
      level = { count: 0, start: new Float64Array(0), end: new Float64Array(0), busy: new Float32Array(0) };
      this.levels.push(level);
    }
    if (level.start.length < nodes) {
      const room = Math.max(nodes, 2 * level.start.length);
      level.start = grown(level.start, new Float64Array(room));
      level.end = grown(level.end, new Float64Array(room));
      level.busy = grown(level.busy, new Float32Array(room * KIND_COUNT));
    }
    level.count = nodes;
    return level;
  }

  private reserve(length: number): void {
    if (length <= this.start.length) return;
    const room = Math.max(length, 2 * this.start.length);
    this.start = grown(this.start, new Float64Array(room));
    this.duration = grown(this.duration, new Float32Array(room));
    this.busy = grown(this.busy, new Float32Array(room));
    this.count = grown(this.count, new Uint32Array(room));
    this.item = grown(this.item, new Uint32Array(room));
    this.bytes = grown(this.bytes, new Float32Array(room));
    this.kind = grown(this.kind, new Uint8Array(room));
    this.flags = grown(this.flags, new Uint8Array(room));
  }

  /** Sorts the tasks from `first` on into place; returns the first task that moved. Tasks arrive by end, so each move is short. */
  private sortTail(first: number): number {
    let least = Infinity;
    for (let at = first; at < this.length; at++) least = Math.min(least, this.start[at]!);
    let from = first;
    while (from > 0 && this.start[from - 1]! > least) from -= 1;
    const order = Uint32Array.from({ length: this.length - from }, (_, at) => from + at);
    order.sort((a, b) => this.start[a]! - this.start[b]! || a - b);
    const moved = new Float64Array(order.length);
    for (const column of [this.start, this.duration, this.busy, this.count, this.item, this.bytes, this.kind, this.flags]) {
      order.forEach((at, to) => (moved[to] = column[at]!));
      column.set(moved, from);
    }
    return from;
  }
}

function grown<T extends Float64Array | Float32Array | Uint32Array | Uint8Array>(old: T, room: T): T {
  room.set(old);
  return room;
}

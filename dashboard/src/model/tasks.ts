// Answers of all servers come in, one store of lanes, running tasks and marks goes out: what the task stream draws.

import { FAILED } from "../wire/tasks.ts";
import type { TaskColumns, TasksAnswer } from "../wire/tasks.ts";
import { KINDS, KIND_COUNT, Lane } from "./lane.ts";

/** A task that had not ended when its server answered. Times in µs since the server's epoch. */
export interface Running {
  readonly lane: number;
  readonly kind: number;
  readonly start: number;
  /** µs until the server answered. */
  readonly duration: number;
  readonly item: number;
  readonly bytes: number;
  readonly count: number;
}

/** A mark with the server that tells it. */
export interface ServerMark {
  readonly server: number;
  /** Seconds on the page's axis can be had by `TaskStore.seconds`. */
  readonly atUs: number;
  readonly kind: string;
  readonly text: string;
  readonly count: number;
}

/** What one kind took, over all servers. */
export interface Total {
  /** µs at work. */
  busy: number;
  count: number;
  bytes: number;
  failed: number;
  /** Of `count`, those that ran when their server was last heard of before it was started again. */
  lost: number;
}

/** Flag that no server sends: the task ran when its server was last heard of, and that server was started again since. */
export const LOST = 128;
// Running tasks have their kinds in our order already.
const SAME_KINDS = Uint8Array.from(KINDS.keys());

// Between two answers a task that has lasted longer than that is taken to go on; a shorter one has most likely ended.
const LASTING_US = 1e6;
// A server that was not heard of for so long may have ended its tasks.
const GROWS_MS = 3000;

/** µs by which a running task has grown since its server answered; `nowMs` is this page's monotonic clock, null when nothing runs any more. */
export function growth(server: ServerTasks, task: Running, nowMs: number | null): number {
  if (nowMs === null || task.duration < LASTING_US) return 0;
  return Math.min(GROWS_MS, Math.max(0, nowMs - server.answeredMs)) * 1000;
}

/** What one start of a server has done: its log. */
export class ServerTasks {
  readonly server: number;
  readonly boot: string;
  readonly log: string;
  next = 0;
  epochUs: number;
  /** µs since the epoch when it last answered, and this page's clock (ms, monotonic) then. */
  nowUs = 0;
  answeredMs = 0;
  /** Whether the server was started again since. */
  former = false;
  lanes: Lane[] = [];
  running: Running[] = [];
  marks: ServerMark[] = [];
  readonly totals: Total[] = KINDS.map(nothing);
  /** Attempts that failed or were lost: lane and µs since the epoch. */
  failed: { lane: number; at: number }[] = [];

  constructor(answer: TasksAnswer) {
    this.server = answer.server;
    this.boot = answer.boot;
    this.log = answer.log;
    this.epochUs = answer.epochUs;
  }

  /** Number of finished records. */
  get length(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.length, 0);
  }

  /** Takes in the next answer of this log. */
  add(answer: TasksAnswer, atMs: number): void {
    const { tasks } = answer;
    this.next = answer.next;
    this.epochUs = answer.epochUs;
    this.nowUs = answer.nowUs - answer.epochUs;
    this.answeredMs = atMs;
    this.marks.push(...answer.marks.map((mark) => ({ ...mark, server: answer.server })));
    const kinds = Uint8Array.from(answer.kinds, (name) => {
      const at = (KINDS as readonly string[]).indexOf(name);
      return at < 0 ? KIND_COUNT - 1 : at;
    });
    answer.lanes.forEach((name, at) => {
      if (this.lanes[at]?.name !== name) this.lanes[at] = new Lane(name);
    });
    this.addFinished(tasks, answer.finished, kinds);
    this.running = Array.from({ length: answer.running }, (_, after) => {
      const at = answer.finished + after;
      return {
        lane: tasks.lane[at]!,
        kind: kinds[tasks.kind[at]!] ?? KIND_COUNT - 1,
        start: tasks.start[at]!,
        duration: tasks.duration[at]!,
        item: tasks.item[at]!,
        bytes: tasks.bytes[at]!,
        count: tasks.count[at]!,
      };
    });
  }

  /** Ends what ran where it was last seen: the server was started again, and nobody will tell of it any more. */
  leave(): void {
    const all = this.running;
    this.running = [];
    this.former = true;
    const duration = Float32Array.from(all, (task) => task.duration);
    const columns: TaskColumns = {
      length: all.length,
      start: Float64Array.from(all, (task) => task.start),
      duration,
      busy: duration,
      count: Uint32Array.from(all, (task) => task.count),
      item: Uint32Array.from(all, (task) => task.item),
      bytes: Float32Array.from(all, (task) => task.bytes),
      lane: Uint16Array.from(all, (task) => task.lane),
      kind: Uint8Array.from(all, (task) => task.kind),
      flags: new Uint8Array(all.length).fill(LOST),
    };
    this.addFinished(columns, all.length, SAME_KINDS);
  }

  private addFinished(tasks: TaskColumns, finished: number, kinds: Uint8Array): void {
    const counts = new Uint32Array(this.lanes.length);
    for (let at = 0; at < finished; at++) counts[tasks.lane[at]!]! += 1;
    const places = Array.from(counts, (count) => new Uint32Array(count));
    counts.fill(0);
    for (let at = 0; at < finished; at++) {
      const lane = tasks.lane[at]!;
      const to = places[lane];
      if (to === undefined) continue;
      to[counts[lane]!++] = at;
      const total = this.totals[kinds[tasks.kind[at]!] ?? KIND_COUNT - 1]!;
      const flags = tasks.flags[at]!;
      total.busy += tasks.busy[at]!;
      total.count += tasks.count[at]!;
      total.bytes += tasks.bytes[at]!;
      if ((flags & FAILED) !== 0) total.failed += 1;
      if ((flags & LOST) !== 0) total.lost += 1;
      if ((flags & (FAILED | LOST)) !== 0) this.failed.push({ lane, at: tasks.start[at]! + tasks.duration[at]! });
    }
    places.forEach((of, lane) => {
      if (of.length > 0) this.lanes[lane]!.add(tasks, of, kinds);
    });
  }
}

/** All servers' logs on one axis of time: of their latest starts, and of former ones that this page has seen. */
export class TaskStore {
  /** The latest start of each server. */
  readonly servers = new Map<number, ServerTasks>();
  /** Unix time in µs that is 0 on the axis: the job's start. */
  originUs = 0;
  /** Grows with every change. */
  version = 0;
  private readonly former = new Map<number, ServerTasks[]>();
  private originIsGuess = true;
  private job = "";

  /**
   * Sets the axis' origin to the start of the job `job`, ms of Unix time, 0 before. The earliest that was told of it counts: a server that
   * was started again does not know when it first began. Another job begins with nothing.
   */
  startAt(ms: number, job = ""): void {
    if (job !== this.job) {
      if (this.job !== "") this.forget();
      this.job = job;
    }
    if (ms <= 0 || (!this.originIsGuess && this.originUs <= ms * 1000)) return;
    this.originUs = ms * 1000;
    this.originIsGuess = false;
    this.version += 1;
  }

  /** What to ask a server with, so that only news come: empty before its first answer. */
  since(server: number): string {
    const known = this.servers.get(server);
    return known === undefined ? "" : `?log=${encodeURIComponent(known.log)}&after=${known.next}`;
  }

  /** Takes in an answer; `atMs` is this page's monotonic clock. Returns whether anything is new. */
  apply(answer: TasksAnswer, atMs: number): boolean {
    const known = this.servers.get(answer.server);
    let start = known;
    // Another log than was asked for: this is all of it.
    if (start === undefined || start.boot !== answer.boot || start.log !== answer.log) {
      // Of the same start it replaces what that told, whose neighbours were merged; another start was the end of the one before.
      start = new ServerTasks(answer);
      if (known !== undefined && known.boot !== answer.boot) this.retire(known, answer.boot);
      this.servers.set(answer.server, start);
    }
    if (this.originIsGuess && (this.originUs === 0 || answer.epochUs < this.originUs)) this.originUs = answer.epochUs;
    const changed = answer.finished > 0 || answer.running > 0 || start.running.length > 0 || answer.marks.length > 0;
    start.add(answer, atMs);
    this.version += 1;
    return changed;
  }

  /** Seconds on the axis of µs since a server's epoch. */
  seconds(server: ServerTasks, us: number): number {
    return (server.epochUs - this.originUs + us) / 1e6;
  }

  /** Servers in order of their numbers, by their latest starts. */
  inOrder(): ServerTasks[] {
    return [...this.servers.values()].sort((a, b) => a.server - b.server);
  }

  /** All starts of a server that are known, the latest last. */
  startsOf(server: number): ServerTasks[] {
    const latest = this.servers.get(server);
    return [...(this.former.get(server) ?? []), ...(latest === undefined ? [] : [latest])];
  }

  /** All starts of all servers. */
  starts(): ServerTasks[] {
    return this.inOrder().flatMap(({ server }) => this.startsOf(server));
  }

  /** Number of finished records. */
  get length(): number {
    return this.starts().reduce((sum, start) => sum + start.length, 0);
  }

  /** First start and last end, in seconds on the axis, while it runs up to the latest answer at least; [0, 1] when there is nothing. */
  extent(nowMs: number | null = null): [number, number] {
    let first = 0;
    let last = 0;
    for (const server of this.starts()) {
      for (const lane of server.lanes) {
        if (lane.length === 0) continue;
        first = Math.min(first, this.seconds(server, lane.start[0]!));
        last = Math.max(last, this.seconds(server, lane.end));
      }
      for (const task of server.running) last = Math.max(last, this.seconds(server, task.start + task.duration + growth(server, task, nowMs)));
      if (nowMs !== null) last = Math.max(last, this.seconds(server, server.nowUs));
      for (const mark of server.marks) last = Math.max(last, this.seconds(server, mark.atUs));
    }
    return last > first ? [first, last] : [first, first + 1];
  }

  /** What each kind took, over all servers; running tasks not counted. */
  totals(): Total[] {
    const sums = KINDS.map(nothing);
    for (const start of this.starts()) {
      start.totals.forEach((part, kind) => {
        const sum = sums[kind]!;
        for (const of of ["busy", "count", "bytes", "failed", "lost"] as const) sum[of] += part[of];
      });
    }
    return sums;
  }

  /** All marks, oldest first. */
  marks(): { mark: ServerMark; seconds: number }[] {
    return this.starts()
      .flatMap((server) => server.marks.map((mark) => ({ mark, seconds: this.seconds(server, mark.atUs) })))
      .sort((a, b) => a.seconds - b.seconds);
  }

  /** Keeps a start that was followed by that of `boot`, unless there is nothing to keep. */
  private retire(start: ServerTasks, boot: string): void {
    start.leave();
    // A start that was taken for over and answers after all tells everything anew.
    const others = (this.former.get(start.server) ?? []).filter((of) => of.boot !== boot);
    this.former.set(start.server, start.length > 0 || start.marks.length > 0 ? [...others, start] : others);
  }

  private forget(): void {
    this.servers.clear();
    this.former.clear();
    this.originUs = 0;
    this.originIsGuess = true;
    this.version += 1;
  }
}

function nothing(): Total {
  return { busy: 0, count: 0, bytes: 0, failed: 0, lost: 0 };
}

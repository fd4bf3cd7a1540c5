// Input: task responses of all servers. Output: one store of lanes, running tasks and marks, which the task stream draws.

import { FAILED } from "../wire/tasks.ts";
import type { TaskColumns, TasksAnswer } from "../wire/tasks.ts";
import { KINDS, KIND_COUNT, Lane } from "./lane.ts";

/** A task that ran at the time of the server's response. Times in µs since the server's epoch. */
export interface Running {
  readonly lane: number;
  readonly kind: number;
  readonly start: number;
  /** µs between the start of the task and the server's response. */
  readonly duration: number;
  readonly item: number;
  readonly bytes: number;
  readonly count: number;
}

/** A mark, with the server that reported the mark. */
export interface ServerMark {
  readonly server: number;
  /** `TaskStore.seconds` converts this time to seconds on the page's axis. */
  readonly atUs: number;
  readonly kind: string;
  readonly text: string;
  readonly count: number;
}

/** Totals of one kind of task, over all servers. */
export interface Total {
  /** µs of work. */
  busy: number;
  count: number;
  bytes: number;
  failed: number;
  /** Tasks within `count` that ran at the last response of a server that started again later. */
  lost: number;
}

/** A flag that no server sends: the task ran at the last response of its server, and the server started again after that response. */
export const LOST = 128;
// The kinds of running tasks are already indices into `KINDS`.
const SAME_KINDS = Uint8Array.from(KINDS.keys());

// Between two responses, the page assumes that a task above this duration continues. A shorter task has probably ended.
const LASTING_US = 1e6;
// After this time without a response, the tasks of a server may have ended.
const GROWS_MS = 3000;

/** µs by which a running task has grown since the last response; `nowMs` is this page's monotonic clock, null after the end of the job. */
export function growth(server: ServerTasks, task: Running, nowMs: number | null): number {
  if (nowMs === null || task.duration < LASTING_US) return 0;
  return Math.min(GROWS_MS, Math.max(0, nowMs - server.answeredMs)) * 1000;
}

/** The log of one start of a server. */
export class ServerTasks {
  readonly server: number;
  readonly boot: string;
  readonly log: string;
  next = 0;
  epochUs: number;
  /** µs since the epoch at the last response; `answeredMs` is this page's monotonic clock (ms) at the same moment. */
  nowUs = 0;
  answeredMs = 0;
  /** Whether the server has started again after this start. */
  former = false;
  lanes: Lane[] = [];
  running: Running[] = [];
  marks: ServerMark[] = [];
  readonly totals: Total[] = KINDS.map(nothing);
  /** Attempts that failed or were lost: lane, and µs since the epoch. */
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

  /** Adds the next response of this log. */
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

  /** Ends the running tasks at their last reported times: the server started again, and reports these tasks no more. */
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

/** The logs of all servers on one time axis: the latest starts, and the former starts that this page has seen. */
export class TaskStore {
  /** The latest start of each server. */
  readonly servers = new Map<number, ServerTasks>();
  /** Unix time in µs of the axis' origin: the start of the job. */
  originUs = 0;
  /** Increases with every change. */
  version = 0;
  private readonly former = new Map<number, ServerTasks[]>();
  private originIsGuess = true;
  private job = "";

  /**
   * Sets the axis' origin to the start of the job `job`, in ms of Unix time, 0 before the start. The earliest reported start is used,
   * because a server that started again does not know its first start. A different job clears the store.
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

  /** The query that requests only new tasks of a server; empty before the first response. */
  since(server: number): string {
    const known = this.servers.get(server);
    return known === undefined ? "" : `?log=${encodeURIComponent(known.log)}&after=${known.next}`;
  }

  /** Adds a response; `atMs` is this page's monotonic clock. Returns whether the response contains anything new. */
  apply(answer: TasksAnswer, atMs: number): boolean {
    const known = this.servers.get(answer.server);
    let start = known;
    // A response with another log than the requested log is complete.
    if (start === undefined || start.boot !== answer.boot || start.log !== answer.log) {
      // A new log of the same start replaces the old log, which has its neighbours merged. A new start ends the previous start.
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

  /** Converts µs since a server's epoch to seconds on the axis. */
  seconds(server: ServerTasks, us: number): number {
    return (server.epochUs - this.originUs + us) / 1e6;
  }

  /** The latest starts of the servers, in the order of the server numbers. */
  inOrder(): ServerTasks[] {
    return [...this.servers.values()].sort((a, b) => a.server - b.server);
  }

  /** All known starts of a server, the latest last. */
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

  /** First start and last end, seconds on the axis; during the job, the end is at least the latest response. [0, 1] for an empty store. */
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

  /** Totals of each kind, over all servers, without running tasks. */
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

  /** Keeps a start that the start `boot` followed, unless the kept start is empty. */
  private retire(start: ServerTasks, boot: string): void {
    start.leave();
    // A start that seemed ended and responds again sends its whole log again.
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

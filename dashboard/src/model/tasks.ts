// Answers of all servers come in, one store of lanes, running tasks and marks goes out: what the task stream draws.

import { FAILED } from "../wire/tasks.ts";
import type { TasksAnswer } from "../wire/tasks.ts";
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
}

// Between two answers a task that has lasted longer than that is taken to go on; a shorter one has most likely ended.
const LASTING_US = 1e6;
// A server that was not heard of for so long may have ended its tasks.
const GROWS_MS = 3000;

/** µs by which a running task has grown since its server answered; `nowMs` is this page's monotonic clock, null when nothing runs any more. */
export function growth(server: ServerTasks, task: Running, nowMs: number | null): number {
  if (nowMs === null || task.duration < LASTING_US) return 0;
  return Math.min(GROWS_MS, Math.max(0, nowMs - server.answeredMs)) * 1000;
}

/** One server's log. */
export class ServerTasks {
  readonly server: number;
  boot: string;
  log: string;
  next = 0;
  epochUs: number;
  /** µs since the epoch when it last answered, and this page's clock (ms, monotonic) then. */
  nowUs = 0;
  answeredMs = 0;
  lanes: Lane[] = [];
  running: Running[] = [];
  marks: ServerMark[] = [];
  readonly totals: Total[] = KINDS.map(() => ({ busy: 0, count: 0, bytes: 0, failed: 0 }));
  /** Attempts that failed: lane and µs since the epoch. */
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
}

/** All servers' logs on one axis of time. */
export class TaskStore {
  readonly servers = new Map<number, ServerTasks>();
  /** Unix time in µs that is 0 on the axis: the job's start. */
  originUs = 0;
  /** Grows with every change. */
  version = 0;
  private originIsGuess = true;

  /** Sets the axis' origin to the job's start, ms of Unix time. */
  startAt(ms: number): void {
    if (ms <= 0 || (!this.originIsGuess && this.originUs === ms * 1000)) return;
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
    let server = this.servers.get(answer.server);
    // Another log: the server was started again or has merged neighbours, and this is all of it.
    if (server === undefined || server.log !== answer.log) {
      server = new ServerTasks(answer);
      this.servers.set(answer.server, server);
    }
    if (this.originIsGuess && (this.originUs === 0 || answer.epochUs < this.originUs)) this.originUs = answer.epochUs;
    const changed = answer.finished > 0 || answer.running > 0 || server.running.length > 0 || answer.marks.length > 0;
    server.boot = answer.boot;
    server.next = answer.next;
    server.epochUs = answer.epochUs;
    server.nowUs = answer.nowUs - answer.epochUs;
    server.answeredMs = atMs;
    server.marks.push(...answer.marks.map((mark) => ({ ...mark, server: answer.server })));
    this.addFinished(server, answer);
    this.version += 1;
    return changed;
  }

  /** Seconds on the axis of µs since a server's epoch. */
  seconds(server: ServerTasks, us: number): number {
    return (server.epochUs - this.originUs + us) / 1e6;
  }

  /** Servers in order of their numbers. */
  inOrder(): ServerTasks[] {
    return [...this.servers.values()].sort((a, b) => a.server - b.server);
  }

  /** Number of finished records. */
  get length(): number {
    let sum = 0;
    for (const server of this.servers.values()) sum += server.length;
    return sum;
  }

  /** First start and last end, in seconds on the axis, while it runs up to the latest answer at least; [0, 1] when there is nothing. */
  extent(nowMs: number | null = null): [number, number] {
    let first = 0;
    let last = 0;
    for (const server of this.servers.values()) {
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
    return KINDS.map((_, kind) => {
      const total = { busy: 0, count: 0, bytes: 0, failed: 0 };
      for (const server of this.servers.values()) {
        const part = server.totals[kind]!;
        total.busy += part.busy;
        total.count += part.count;
        total.bytes += part.bytes;
        total.failed += part.failed;
      }
      return total;
    });
  }

  /** All marks, oldest first. */
  marks(): { mark: ServerMark; seconds: number }[] {
    return this.inOrder()
      .flatMap((server) => server.marks.map((mark) => ({ mark, seconds: this.seconds(server, mark.atUs) })))
      .sort((a, b) => a.seconds - b.seconds);
  }

  private addFinished(server: ServerTasks, answer: TasksAnswer): void {
    const { tasks } = answer;
    const kinds = Uint8Array.from(answer.kinds, (name) => {
      const at = (KINDS as readonly string[]).indexOf(name);
      return at < 0 ? KIND_COUNT - 1 : at;
    });
    answer.lanes.forEach((name, at) => {
      if (server.lanes[at]?.name !== name) server.lanes[at] = new Lane(name);
    });
    const counts = new Uint32Array(server.lanes.length);
    for (let at = 0; at < answer.finished; at++) counts[tasks.lane[at]!]! += 1;
    const places = Array.from(counts, (count) => new Uint32Array(count));
    counts.fill(0);
    for (let at = 0; at < answer.finished; at++) {
      const lane = tasks.lane[at]!;
      const to = places[lane];
      if (to === undefined) continue;
      to[counts[lane]!++] = at;
      const total = server.totals[kinds[tasks.kind[at]!] ?? KIND_COUNT - 1]!;
      total.busy += tasks.busy[at]!;
      total.count += tasks.count[at]!;
      total.bytes += tasks.bytes[at]!;
      if ((tasks.flags[at]! & FAILED) !== 0) {
        total.failed += 1;
        server.failed.push({ lane, at: tasks.start[at]! + tasks.duration[at]! });
      }
    }
    places.forEach((of, lane) => {
      if (of.length > 0) server.lanes[lane]!.add(tasks, of, kinds);
    });
    server.running = Array.from({ length: answer.running }, (_, after) => {
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
}

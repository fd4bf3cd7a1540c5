// Input: samples of a server process' resource usage. Output: rates and their history.

import type { Vitals } from "../wire/status.ts";
import type { TasksAnswer } from "../wire/tasks.ts";

/** One sample of the usage: ms of Unix time by the server's clock, and counters since the start of the server. */
interface Use {
  readonly ms: number;
  readonly cpuMs: number;
  readonly resident: number;
  readonly received: number;
  readonly sent: number;
}

/** Rates over the last 2.5 s. */
export interface Usage {
  /** Share of all cores, 0 to 1. */
  readonly cpu: number;
  /** Bytes per second. */
  readonly received: number;
  readonly sent: number;
}

// Four minutes at the rate of the statuses; older samples are thinned, not dropped.
const KEPT = 1024;
const WINDOW_MS = 2500;

/** Usage samples of one server over the run, in order of time. */
export class VitalsHistory {
  cores = 1;
  latest: Vitals | null = null;
  private uses: Use[] = [];

  /** Adds the sample of a status. */
  look(vitals: Vitals): void {
    this.cores = vitals.cores;
    this.latest = vitals;
    const last = this.uses.at(-1);
    if (last !== undefined && vitals.cpuMs < last.cpuMs) this.uses = [];
    if (last !== undefined && vitals.atMs <= last.ms) return;
    this.uses.push({ ms: vitals.atMs, cpuMs: vitals.cpuMs, resident: vitals.residentBytes, received: vitals.receivedBytes, sent: vitals.sentBytes });
    this.thin();
  }

  /** Adds the samples of a task log from before the page was opened. */
  recall(answer: TasksAnswer): void {
    const first = this.uses[0]?.ms ?? Infinity;
    const older = answer.vitals
      .map(([atUs = 0, cpuMs = 0, resident = 0, received = 0, sent = 0]) => ({ ms: (answer.epochUs + atUs) / 1000, cpuMs, resident, received, sent }))
      .filter((use) => use.ms < first);
    if (older.length === 0) return;
    this.uses = [...older.sort((a, b) => a.ms - b.ms), ...this.uses];
    this.thin();
  }

  /** Rates over the last 2.5 s; null before two samples at least 100 ms apart. */
  get usage(): Usage | null {
    const last = this.uses.at(-1);
    if (last === undefined) return null;
    let at = this.uses.length - 1;
    while (at > 0 && this.uses[at]!.ms > last.ms - WINDOW_MS) at -= 1;
    return this.between(this.uses[at]!, last);
  }

  /** Used share of all cores in each of `parts` equal parts of the whole history; NaN where no sample exists. */
  cpuOverTime(parts: number): Float32Array {
    const shares = new Float32Array(parts).fill(NaN);
    const first = this.uses[0];
    const last = this.uses.at(-1);
    if (first === undefined || last === undefined || last.ms <= first.ms) return shares;
    let before = first;
    let at = 1;
    for (let part = 0; part < parts; part++) {
      const until = first.ms + ((last.ms - first.ms) * (part + 1)) / parts;
      while (at + 1 < this.uses.length && this.uses[at]!.ms < until) at += 1;
      const after = this.uses[at]!;
      shares[part] = this.between(before, after)?.cpu ?? (part > 0 ? shares[part - 1]! : NaN);
      before = this.uses[at - 1]!.ms > before.ms ? this.uses[at - 1]! : before;
    }
    return shares;
  }

  private between(a: Use, b: Use): Usage | null {
    const ms = b.ms - a.ms;
    if (ms < 100) return null;
    const positive = (value: number): number => Math.max(0, value);
    return {
      cpu: Math.min(1, positive(b.cpuMs - a.cpuMs) / ms / this.cores),
      received: (positive(b.received - a.received) * 1000) / ms,
      sent: (positive(b.sent - a.sent) * 1000) / ms,
    };
  }

  private thin(): void {
    if (this.uses.length <= KEPT) return;
    const half = this.uses.length >> 1;
    this.uses = this.uses.filter((_, at) => at >= half || at % 2 === 0);
  }
}

// The job as it stands: JSON of `api/v1/status` and of the events named `status` comes in, one plain object goes out.

/** How far a job is, as one word. */
export type State = "Loading" | "Computing" | "Writing" | "Finished" | "Failed";

/** One array that can be read, axes in the order (t, y, x). */
export interface ArrayInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly axes: readonly string[];
  readonly chunks: readonly number[];
}

/** One phase, over all servers or of one server. Counts are frames, bands or objects; times are ms of Unix time, 0 before. */
export interface Phase {
  readonly name: string;
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
  readonly retries: number;
  readonly startedMs: number;
  readonly endedMs: number;
}

/** A reason for programs, and a sentence for people. `server` is null where nobody in particular says it. */
export interface Told {
  readonly reason: string;
  readonly message: string;
  readonly server: number | null;
}

/** What a server's process uses, in ms and bytes since its start. Rates are differences of successive ones. */
export interface Vitals {
  readonly atMs: number;
  readonly cores: number;
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** 0 = no limit. */
  readonly memoryLimitBytes: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly waits: readonly string[];
}

/** One server as the asked server sees it; without what it says of itself while it does not answer. */
export interface Member {
  readonly server: number;
  readonly answers: boolean;
  /** Whether it answers and is at work on this job: one that was just started again may not be yet. */
  readonly works: boolean;
  readonly phases: readonly Phase[];
  readonly peakBytes: number;
  readonly vitals: Vitals | null;
}

/** The whole job. */
export interface Status {
  readonly job: string;
  readonly uid: string;
  /** With `uid`, which job this is: a changed manifest is another one. */
  readonly generation: number;
  readonly state: State;
  /** Number of the server that was asked. */
  readonly server: number;
  readonly servers: number;
  readonly arrays: readonly ArrayInfo[];
  readonly phases: readonly Phase[];
  /** Numbers of the frames that are zero because they could not be had. */
  readonly blank: readonly number[];
  readonly outputs: { readonly written: number; readonly total: number };
  readonly failure: Told | null;
  readonly trouble: Told | null;
  readonly fleet: readonly Member[];
}

/** Reads a status. What is missing becomes empty rather than an error: servers of two versions may answer during an upgrade. */
export function readStatus(text: string): Status {
  const json = object(JSON.parse(text));
  const outputs = object(json["outputs"]);
  return {
    job: string(json["job"]),
    uid: string(json["uid"]),
    generation: number(json["generation"]),
    state: string(json["state"]) as State,
    server: number(json["server"]),
    servers: number(json["servers"]),
    arrays: list(json["arrays"]).map((item) => {
      const array = object(item);
      return {
        name: string(array["name"]),
        shape: list(array["shape"]).map(number),
        dtype: string(array["dtype"]),
        axes: list(array["axes"]).map(string),
        chunks: list(array["chunks"]).map(number),
      };
    }),
    phases: list(json["phases"]).map(phase),
    blank: list(json["blank"]).map(number),
    outputs: { written: number(outputs["written"]), total: number(outputs["total"]) },
    failure: told(json["failure"]),
    trouble: told(json["trouble"]),
    fleet: list(json["fleet"]).map((item) => member(item, string(json["uid"]), number(json["generation"]))),
  };
}

/** Whether nothing more will happen. */
export function isOver(status: Status): boolean {
  return status.state === "Finished" || status.state === "Failed";
}

/** The array of that name, if readers can have it. */
export function arrayNamed(status: Status, name: string): ArrayInfo | undefined {
  return status.arrays.find((array) => array.name === name);
}

/** The phase of that name, if the job has it. */
export function phaseNamed(status: Status, name: string): Phase | undefined {
  return status.phases.find((phase) => phase.name === name);
}

/** Whether the job has that phase and all of it is done. */
export function isDone(status: Status, name: string): boolean {
  const phase = phaseNamed(status, name);
  return phase !== undefined && phase.done >= phase.total;
}

/** Whether frames of that stack are summed as they come, so that their mean so far can be had. */
export function isSummed(status: Status, stack: "raw" | "recentered"): boolean {
  return ["mean", "sum", "std", "var"].some((of) => arrayNamed(status, `${stack}_${of}_frame`) !== undefined);
}

/**
 * Who has frame `frame` of what phase `name` makes, and whether it is most likely there: servers have equal shares in the order of their
 * numbers, and take their frames in order. Null where that cannot be told.
 */
export function holderOf(status: Status, name: string, frame: number): { server: number; works: boolean; there: boolean } | null {
  const frames = phaseNamed(status, name)?.total ?? 0;
  const parts = status.fleet.map((member) => ({ member, phase: member.works ? member.phases.find((phase) => phase.name === name) : undefined }));
  const absent = parts.filter(({ phase }) => phase === undefined);
  const known = parts.reduce((sum, { phase }) => sum + (phase?.total ?? 0), 0);
  // What all others do not have, one that is absent has; of several nobody knows which.
  if (absent.length > 1 || (absent.length === 0 && known !== frames)) return null;
  let first = 0;
  for (const { member, phase } of parts) {
    const total = phase?.total ?? frames - known;
    const done = phase?.done ?? 0;
    if (frame < first + total) return { server: member.server, works: phase !== undefined, there: frame - first < done };
    first += total;
  }
  return null;
}

function member(item: unknown, uid: string, generation: number): Member {
  const json = object(item);
  const progress = object(json["progress"]);
  const assignment = list(progress["assignment"]);
  // What is missing is no news: only an empty or another assignment is.
  const assigned = progress["assignment"] === undefined || (assignment[0] === uid && assignment[1] === generation);
  return {
    server: number(json["server"]),
    answers: json["answers"] === true,
    works: json["answers"] === true && assigned,
    phases: list(progress["phases"]).map(phase),
    peakBytes: number(progress["peak_rss_bytes"]),
    vitals: vitals(progress["vitals"]),
  };
}

function vitals(item: unknown): Vitals | null {
  if (typeof item !== "object" || item === null) return null;
  const json = object(item);
  return {
    atMs: number(json["at_ms"]),
    cores: Math.max(1, number(json["cores"])),
    cpuMs: number(json["cpu_ms"]),
    residentBytes: number(json["resident_bytes"]),
    memoryLimitBytes: number(json["memory_limit_bytes"]),
    receivedBytes: number(json["received_bytes"]),
    sentBytes: number(json["sent_bytes"]),
    waits: list(json["waits"]).map(string),
  };
}

/** A phase of the job says `name`, a phase of one server says `phase`. */
function phase(item: unknown): Phase {
  const json = object(item);
  return {
    name: string(json["name"] ?? json["phase"]),
    done: number(json["done"]),
    total: number(json["total"]),
    bytes: number(json["bytes"]),
    retries: number(json["retries"]),
    startedMs: number(json["started_ms"]),
    endedMs: number(json["ended_ms"]),
  };
}

function told(item: unknown): Told | null {
  if (typeof item !== "object" || item === null) return null;
  const json = object(item);
  const server = json["server"];
  return { reason: string(json["reason"]), message: string(json["message"]), server: typeof server === "number" ? server : null };
}

function object(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function number(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

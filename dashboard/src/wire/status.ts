// The status of the job. Input: JSON of `api/v1/status` and of `status` events. Output: one plain object.

/** The state of a job. */
export type State = "Loading" | "Computing" | "Writing" | "Finished" | "Failed";

/** An array that readers can fetch, axes in the order (t, y, x). */
export interface ArrayInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly axes: readonly string[];
  readonly chunks: readonly number[];
}

/** One phase, of the whole job or of one server. Counts are frames, bands or objects; times are ms of Unix time, 0 before. */
export interface Phase {
  readonly name: string;
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
  readonly retries: number;
  readonly startedMs: number;
  readonly endedMs: number;
}

/** A reason for programs, and a sentence for people. `server` is null if no particular server reports the reason. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
  readonly server: number | null;
}

/** Resource usage of a server process since its start, in ms and bytes. Differences of two samples give rates. */
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

/** One server, as the responding server sees that server. Without a response from the server, its own fields are empty. */
export interface Member {
  readonly server: number;
  readonly answers: boolean;
  /** Whether the server responds and works on this job. A server that started again may have no job yet. */
  readonly works: boolean;
  readonly phases: readonly Phase[];
  readonly peakBytes: number;
  readonly vitals: Vitals | null;
}

/** The whole job. */
export interface Status {
  readonly job: string;
  readonly uid: string;
  /** With `uid`, identifies the job: a changed manifest increases the generation. */
  readonly generation: number;
  readonly state: State;
  /** Number of the responding server. */
  readonly server: number;
  readonly servers: number;
  readonly arrays: readonly ArrayInfo[];
  readonly phases: readonly Phase[];
  /** Numbers of the frames that are zero because their fetch failed. */
  readonly blank: readonly number[];
  readonly outputs: { readonly written: number; readonly total: number };
  readonly failure: Problem | null;
  readonly trouble: Problem | null;
  readonly fleet: readonly Member[];
}

/** Reads a status. A missing field is empty, not an error: during an upgrade, servers of two versions respond. */
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
    failure: problem(json["failure"]),
    trouble: problem(json["trouble"]),
    fleet: list(json["fleet"]).map((item) => member(item, string(json["uid"]), number(json["generation"]))),
  };
}

/** Whether the job has ended. */
export function isOver(status: Status): boolean {
  return status.state === "Finished" || status.state === "Failed";
}

/** The array with this name, if readers can fetch the array. */
export function arrayNamed(status: Status, name: string): ArrayInfo | undefined {
  return status.arrays.find((array) => array.name === name);
}

/** The phase with this name, if the job has the phase. */
export function phaseNamed(status: Status, name: string): Phase | undefined {
  return status.phases.find((phase) => phase.name === name);
}

/** Whether the job has the phase and the phase is complete. */
export function isDone(status: Status, name: string): boolean {
  const phase = phaseNamed(status, name);
  return phase !== undefined && phase.done >= phase.total;
}

/** Whether the server sums frames of this stack on arrival, so that a preview of the mean is available. */
export function isSummed(status: Status, stack: "raw" | "recentered"): boolean {
  return ["mean", "sum", "std", "var"].some((of) => arrayNamed(status, `${stack}_${of}_frame`) !== undefined);
}

/**
 * The server of frame `frame` in phase `name`, and whether the server probably has the frame already. Servers have consecutive shares in
 * the order of their numbers, and process their frames in order. Null if the server is not known.
 */
export function holderOf(status: Status, name: string, frame: number): { server: number; works: boolean; there: boolean } | null {
  const frames = phaseNamed(status, name)?.total ?? 0;
  const parts = status.fleet.map((member) => ({ member, phase: member.works ? member.phases.find((phase) => phase.name === name) : undefined }));
  const absent = parts.filter(({ phase }) => phase === undefined);
  const known = parts.reduce((sum, { phase }) => sum + (phase?.total ?? 0), 0);
  // One absent server has the remaining frames; with several absent servers the owner is unknown.
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
  // An absent field gives no information: only an empty or a different assignment shows that the server has no work on this job.
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

/** A phase of the job has the field `name`, a phase of one server the field `phase`. */
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

function problem(item: unknown): Problem | null {
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

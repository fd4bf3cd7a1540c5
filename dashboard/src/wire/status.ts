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
  readonly phases: readonly Phase[];
  readonly peakBytes: number;
  readonly vitals: Vitals | null;
}

/** The whole job. */
export interface Status {
  readonly job: string;
  readonly uid: string;
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
    fleet: list(json["fleet"]).map(member),
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

function member(item: unknown): Member {
  const json = object(item);
  const progress = object(json["progress"]);
  return {
    server: number(json["server"]),
    answers: json["answers"] === true,
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

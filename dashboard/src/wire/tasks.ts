// Tasks of one server. Input: `application/vnd.arrayjob.tasks`. Output: a header and columns of tasks.

import { splitHeader } from "./framed.ts";

/** Size of a record, in bytes. */
export const RECORD_BYTES = 32;
/** Flag of a running task. */
export const RUNNING = 1;
/** Flag of a failed attempt; the server retries. */
export const FAILED = 2;

/** An event at one moment, with a text for people. */
export interface Mark {
  /** µs since the server's epoch. */
  readonly atUs: number;
  readonly kind: string;
  readonly text: string;
  readonly count: number;
}

/** Columns of `length` tasks each, times in µs since the server's epoch. */
export interface TaskColumns {
  readonly length: number;
  readonly start: Float64Array;
  readonly duration: Float32Array;
  /** µs of work within `duration`; less than `duration` in a record of several merged tasks. */
  readonly busy: Float32Array;
  readonly count: Uint32Array;
  readonly item: Uint32Array;
  readonly bytes: Float32Array;
  readonly lane: Uint16Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
}

/** One response: the first `finished` tasks have ended, the others run. */
export interface TasksAnswer {
  readonly server: number;
  readonly boot: string;
  readonly log: string;
  readonly next: number;
  readonly epochUs: number;
  readonly nowUs: number;
  readonly kinds: readonly string[];
  readonly lanes: readonly string[];
  readonly finished: number;
  readonly running: number;
  readonly marks: readonly Mark[];
  /** Samples (at_us since the epoch, cpu_ms, resident_bytes, received_bytes, sent_bytes). */
  readonly vitals: readonly (readonly number[])[];
  readonly tasks: TaskColumns;
}

/** Reads a response. */
export function readTasks(buffer: ArrayBuffer): TasksAnswer {
  const { header, offset } = splitHeader(buffer);
  const finished = Number(header["finished"]);
  const running = Number(header["running"]);
  const length = finished + running;
  if (offset + length * RECORD_BYTES > buffer.byteLength) {
    throw new Error(`an answer has ${buffer.byteLength - offset} bytes of tasks, not ${length * RECORD_BYTES}`);
  }
  const marks = (header["marks"] ?? []) as { at_us: number; kind: string; text: string; count?: number }[];
  return {
    server: Number(header["server"]),
    boot: String(header["boot"]),
    log: String(header["log"]),
    next: Number(header["next"]),
    epochUs: Number(header["epoch_us"]),
    nowUs: Number(header["now_us"]),
    kinds: header["kinds"] as string[],
    lanes: header["lanes"] as string[],
    finished,
    running,
    marks: marks.map((mark) => ({ atUs: mark.at_us, kind: mark.kind, text: mark.text, count: mark.count ?? 1 })),
    vitals: (header["vitals"] ?? []) as number[][],
    tasks: columns(new DataView(buffer, offset, length * RECORD_BYTES), length),
  };
}

function columns(view: DataView, length: number): TaskColumns {
  const start = new Float64Array(length);
  const duration = new Float32Array(length);
  const busy = new Float32Array(length);
  const count = new Uint32Array(length);
  const item = new Uint32Array(length);
  const bytes = new Float32Array(length);
  const lane = new Uint16Array(length);
  const kind = new Uint8Array(length);
  const flags = new Uint8Array(length);
  for (let at = 0, byte = 0; at < length; at++, byte += RECORD_BYTES) {
    start[at] = view.getFloat64(byte, true);
    duration[at] = view.getFloat32(byte + 8, true);
    busy[at] = view.getFloat32(byte + 12, true);
    count[at] = view.getUint32(byte + 16, true);
    item[at] = view.getUint32(byte + 20, true);
    bytes[at] = view.getFloat32(byte + 24, true);
    lane[at] = view.getUint16(byte + 28, true);
    kind[at] = view.getUint8(byte + 30);
    flags[at] = view.getUint8(byte + 31);
  }
  return { length, start, duration, busy, count, item, bytes, lane, kind, flags };
}

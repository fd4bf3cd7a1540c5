// Builds the bytes of server responses.

import { KINDS } from "../src/model/lane.ts";

/** A task; an omitted field has the value of a single short task. */
export interface Task {
  readonly start: number;
  readonly duration: number;
  readonly busy?: number;
  readonly count?: number;
  readonly item?: number;
  readonly bytes?: number;
  readonly lane?: number;
  readonly kind?: number;
  readonly flags?: number;
}

/** A padded line of JSON, and the data after the line. */
export function framed(header: object, body: ArrayBufferView): ArrayBuffer {
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(Math.ceil((text.length + 1) / 8) * 8 - 1) + "\n");
  const bytes = new Uint8Array(head.length + body.byteLength);
  bytes.set(head);
  bytes.set(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), head.length);
  return bytes.buffer;
}

/** A response with tasks; the last `running` tasks still run. */
export function answer(of: {
  server?: number;
  log: string;
  boot?: string;
  next?: number;
  epoch?: number;
  lanes?: string[];
  tasks?: readonly Task[];
  running?: number;
  marks?: object[];
}): ArrayBuffer {
  const tasks = of.tasks ?? [];
  const body = new DataView(new ArrayBuffer(32 * tasks.length));
  tasks.forEach((task, at) => {
    body.setFloat64(32 * at, task.start, true);
    body.setFloat32(32 * at + 8, task.duration, true);
    body.setFloat32(32 * at + 12, task.busy ?? task.duration, true);
    body.setUint32(32 * at + 16, task.count ?? 1, true);
    body.setUint32(32 * at + 20, task.item ?? 0, true);
    body.setFloat32(32 * at + 24, task.bytes ?? 0, true);
    body.setUint16(32 * at + 28, task.lane ?? 0, true);
    body.setUint8(32 * at + 30, task.kind ?? 0);
    body.setUint8(32 * at + 31, task.flags ?? 0);
  });
  const running = of.running ?? 0;
  const header = {
    server: of.server ?? 0,
    boot: of.boot ?? "b",
    log: of.log,
    next: of.next ?? tasks.length - running,
    epoch_us: of.epoch ?? 1e15,
    now_us: (of.epoch ?? 1e15) + 1e6,
    kinds: KINDS.slice(0, 7),
    lanes: of.lanes ?? ["compute 1"],
    finished: tasks.length - running,
    running,
    marks: of.marks ?? [],
    vitals: [],
  };
  return framed(header, body);
}

/** Builds a `.npy` file. */
export function npy(descr: string, shape: readonly number[], body: ArrayBufferView, { fortran = false, version = 1 } = {}): ArrayBuffer {
  const shapeText = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${shapeText}), }\n`;
  const before = version === 1 ? 10 : 12;
  const bytes = new Uint8Array(before + text.length + body.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  const view = new DataView(bytes.buffer);
  if (version === 1) view.setUint16(8, text.length, true);
  else view.setUint32(8, text.length, true);
  bytes.set(new TextEncoder().encode(text), before);
  bytes.set(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), before + text.length);
  return bytes.buffer;
}

/** Pseudo-random numbers in [0, 1), equal in every run (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

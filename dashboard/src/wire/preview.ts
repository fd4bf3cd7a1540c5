// Means so far and traces so far: framed float32 come in, pictures and columns go out.

import { float32s, splitHeader } from "./framed.ts";

/** The mean of the frames loaded so far, every `stride`-th pixel; `values` is (shown[0], shown[1]) row-major, NaN = no frame yet. */
export interface Preview {
  readonly array: string;
  readonly frames: number;
  readonly of: number;
  /** (h, w) in pixels of the array. */
  readonly shape: readonly [number, number];
  readonly stride: number;
  readonly shown: readonly [number, number];
  readonly values: Float32Array;
}

/** What is known of each frame so far: columns of `frames` values each, NaN = not yet. */
export interface Traces {
  readonly frames: number;
  readonly known: number;
  readonly columns: ReadonlyMap<string, Float32Array>;
}

/** Reads `application/vnd.arrayjob.preview`. */
export function readPreview(buffer: ArrayBuffer): Preview {
  const { header, offset } = splitHeader(buffer);
  const shape = header["shape"] as [number, number];
  const shown = header["shown"] as [number, number];
  return {
    array: String(header["array"]),
    frames: Number(header["frames"]),
    of: Number(header["of"]),
    shape,
    stride: Number(header["stride"]),
    shown,
    values: float32s(buffer, offset, shown[0] * shown[1]),
  };
}

/** Reads `application/vnd.arrayjob.traces`. */
export function readTraces(buffer: ArrayBuffer): Traces {
  const { header, offset } = splitHeader(buffer);
  const frames = Number(header["frames"]);
  const names = header["columns"] as string[];
  return {
    frames,
    known: Number(header["known"]),
    columns: new Map(names.map((name, column) => [name, float32s(buffer, offset + 4 * frames * column, frames)])),
  };
}

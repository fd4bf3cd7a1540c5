// Previews of means and of traces. Input: framed float32. Output: pictures and columns.

import { float32s, splitHeader } from "./framed.ts";

/** The mean of the loaded frames, every `stride`-th pixel; `values` is (shown[0], shown[1]) row-major, NaN before the first frame. */
export interface Preview {
  readonly array: string;
  readonly frames: number;
  readonly of: number;
  /** (h, w) of the full array, in pixels. */
  readonly shape: readonly [number, number];
  readonly stride: number;
  readonly shown: readonly [number, number];
  readonly values: Float32Array;
}

/** Known values of each frame: columns of `frames` values each, NaN = not yet known. */
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

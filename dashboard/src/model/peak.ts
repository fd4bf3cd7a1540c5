// A spectrum comes in, its strongest bin goes out.

import type { Elements } from "../wire/npy.ts";

/** The strongest bin of a spectrum besides the mean. */
export interface Peak {
  /** Number of the bin = cycles in the whole run. */
  readonly bin: number;
  readonly value: number;
  /** Its part of the sum over all bins but the first. */
  readonly share: number;
}

/** Number of bins that say everything of `frames` real samples: from 0 to half of them. */
export function halfBins(frames: number): number {
  return Math.floor(frames / 2) + 1;
}

/** The greatest of bins 1 to the last; null when they are all zero or there is none. Of equal ones the first. */
export function strongest(spectrum: Elements): Peak | null {
  let bin = 0;
  let sum = 0;
  for (let at = 1; at < spectrum.length; at++) {
    const value = spectrum[at]!;
    if (!Number.isFinite(value)) continue;
    sum += value;
    if (value > 0 && (bin === 0 || value > spectrum[bin]!)) bin = at;
  }
  return bin === 0 ? null : { bin, value: spectrum[bin]!, share: spectrum[bin]! / sum };
}

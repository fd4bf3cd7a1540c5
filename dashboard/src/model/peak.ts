// Input: a spectrum. Output: its strongest bin.

import type { Elements } from "../wire/npy.ts";

/** The strongest bin of a spectrum, without the mean. */
export interface Peak {
  /** Number of the bin: cycles in the whole run. */
  readonly bin: number;
  readonly value: number;
  /** Fraction of the sum over all bins except bin 0. */
  readonly share: number;
}

/** Number of independent bins of `frames` real samples: 0 to `frames` / 2. */
export function halfBins(frames: number): number {
  return Math.floor(frames / 2) + 1;
}

/** The largest of bins 1 to the last, the first of equal bins; null when all bins are zero or the spectrum is empty. */
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

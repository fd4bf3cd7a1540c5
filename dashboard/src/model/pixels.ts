// Input: values of pixels. Output: limits of contrast, and bytes of colour.

import type { Elements } from "../wire/npy.ts";

/** Names of the colour maps, in the order of the menu. */
export const COLOUR_MAPS = ["gray", "viridis", "magma", "inferno", "turbo"] as const;
/** The name of a colour map. */
export type ColourMap = (typeof COLOUR_MAPS)[number];

/** Limits and scale of the map from values to colours. */
export interface Contrast {
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
}

// Nine colours at equal steps of each map in matplotlib 2.0 and later (van der Walt and Smith 2015, CC0), interpolated linearly.
const STOPS: Readonly<Record<Exclude<ColourMap, "turbo">, readonly string[]>> = {
  gray: ["000000", "ffffff"],
  viridis: ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"],
  magma: ["000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf"],
  inferno: ["000004", "210c4a", "57106e", "8a226a", "bc3754", "e45a31", "f98e09", "f9cb35", "fcffa4"],
};

// Mikhailov's polynomials of degree 5 for turbo (2019), red, green and blue, lowest power first.
const TURBO: readonly (readonly number[])[] = [
  [0.13572138, 4.6153926, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
  [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
  [0.1066733, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
];

/** 256 colours, four bytes (red, green, blue, 255) each. */
export function colours(map: ColourMap): Uint8ClampedArray {
  const table = new Uint8ClampedArray(1024);
  for (let at = 0; at < 256; at++) {
    const [red, green, blue] = map === "turbo" ? turbo(at / 255) : between(STOPS[map], at / 255);
    table.set([red, green, blue, 255], 4 * at);
  }
  return table;
}

function turbo(x: number): [number, number, number] {
  const channel = (powers: readonly number[]): number => 255 * powers.reduceRight((sum, power) => sum * x + power, 0);
  return [channel(TURBO[0]!), channel(TURBO[1]!), channel(TURBO[2]!)];
}

function between(stops: readonly string[], x: number): [number, number, number] {
  const place = x * (stops.length - 1);
  const from = Math.min(Math.floor(place), stops.length - 2);
  const channel = (at: number): number => {
    const [a, b] = [stops[from]!, stops[from + 1]!].map((stop) => parseInt(stop.slice(2 * at, 2 * at + 2), 16)) as [number, number];
    return a + (b - a) * (place - from);
  };
  return [channel(0), channel(1), channel(2)];
}

/** Colours of `values`, four bytes each. NaN is transparent. */
export function paint(values: Elements, contrast: Contrast, table: Uint8ClampedArray, into: Uint8ClampedArray): void {
  const words = new Uint32Array(table.buffer, table.byteOffset, 256);
  const out = new Uint32Array(into.buffer, into.byteOffset, values.length);
  const { low, scale, log } = steps(contrast);
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (value !== value) {
      out[at] = 0;
      continue;
    }
    const step = ((log ? Math.log(value > 0 ? value : 0) : value) - low) * scale;
    out[at] = words[step >= 255 ? 255 : step > 0 ? step | 0 : 0]!;
  }
}

function steps({ low, high, log }: Contrast): { low: number; scale: number; log: boolean } {
  const from = log ? Math.log(Math.max(low, Number.MIN_VALUE)) : low;
  const to = log ? Math.log(Math.max(high, Number.MIN_VALUE)) : high;
  return { low: from, scale: to > from ? 255.999 / (to - from) : 0, log };
}

// Sorting more values makes the slider slow; a uniform sample of this size gives the same limits to the eye.
const SAMPLED = 1 << 16;

/** The quantiles `low` and `high` of all finite values, or of the positive values if `log`. Null when no such value exists. */
export function percentiles(values: Elements, low: number, high: number, log = false): { low: number; high: number } | null {
  const every = Math.max(1, Math.ceil(values.length / SAMPLED));
  const chosen = new Float64Array(Math.ceil(values.length / every));
  let count = 0;
  for (let at = 0; at < values.length; at += every) {
    const value = values[at]!;
    if (Number.isFinite(value) && (!log || value > 0)) chosen[count++] = value;
  }
  if (count === 0) return null;
  const sorted = chosen.subarray(0, count).sort();
  // Linear interpolation between neighbours, as in numpy.percentile.
  const at = (share: number): number => {
    const place = share * (count - 1);
    const below = Math.floor(place);
    const a = sorted[below]!;
    return a + (sorted[Math.min(below + 1, count - 1)]! - a) * (place - below);
  };
  return { low: at(low), high: at(high) };
}

/** Minimum and maximum of the finite values, or of the positive values if `log`. Null when no such value exists. */
export function extremes(values: Elements, log = false): { low: number; high: number } | null {
  let low = Infinity;
  let high = -Infinity;
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? { low, high } : null;
}

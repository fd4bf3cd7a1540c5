// Input: numbers. Output: short texts for people.

const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];

/** `1234567` as `1.23 MB` (powers of 1000). */
export function bytes(count: number): string {
  let size = Math.max(0, count);
  let unit = 0;
  while (size >= 999.5 && unit + 1 < BYTES.length) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : digits(size)} ${BYTES[unit]}`;
}

/** Three significant digits, without an exponent below a million. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 999_500 || size < 0.001) return value.toExponential(2).replace("e+", "e");
  if (size >= 99.95) return String(Math.round(value));
  return (size >= 0.9995 ? value.toFixed(size >= 9.995 ? 1 : 2) : value.toPrecision(3)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** The value of a pixel: integers in full, others with five significant digits. */
export function sample(value: number): string {
  if (Number.isNaN(value)) return "none";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(4).replace("e+", "e") : String(Number(value.toPrecision(5)));
}

/** Counts with thin spaces between thousands. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Seconds as `0:42`, `12:03` or `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** A duration, in a unit that fits: `840 µs`, `12.5 ms`, `3.2 s`, `12 min 30 s`. */
export function span(us: number): string {
  if (us < 1000) return `${digits(Math.max(0, us))} µs`;
  if (us < 1e6) return `${digits(us / 1000)} ms`;
  if (us < 120e6) return `${digits(us / 1e6)} s`;
  const seconds = Math.round(us / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** `3 frames`, `1 frame`. */
export function plural(value: number, unit: string): string {
  return `${count(value)} ${unit}${value === 1 ? "" : "s"}`;
}

/** A fraction as percent, without decimals above 10 %. */
export function percent(share: number): string {
  const value = 100 * share;
  return `${value >= 9.95 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

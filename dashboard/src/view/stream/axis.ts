// Input: an interval in seconds. Output: positions of labels, and their texts.

/** Round positions (s) in [from, to], with a distance of about `every` seconds. */
export function ticks(from: number, to: number, every: number): { at: number; label: string }[] {
  const step = roundStep(every);
  const made = [];
  for (let number = Math.ceil(from / step); number * step <= to; number++) made.push({ at: number * step, label: label(number * step, step) });
  return made;
}

/** The label of a position, with the precision of `step` seconds. */
export function label(at: number, step: number): string {
  if (step >= 1 && Math.abs(at) >= 60) {
    const size = Math.round(Math.abs(at));
    const two = (value: number): string => String(value).padStart(2, "0");
    const minutes = Math.floor(size / 60);
    const text = minutes < 60 ? `${minutes}:${two(size % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(size % 60)}`;
    return at < 0 ? `-${text}` : text;
  }
  const places = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return `${at.toFixed(places)} s`;
}

function roundStep(every: number): number {
  if (every > 30) {
    const minutes = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200].find((step) => step >= every);
    return minutes ?? 86_400 * Math.ceil(every / 86_400);
  }
  const power = 10 ** Math.floor(Math.log10(every));
  const factor = [1, 2, 5, 10].find((step) => step * power >= every * (1 - 1e-9)) ?? 10;
  return every > 10 ? (every > 20 ? 30 : 20) : factor * power;
}

// The movie of the simulated job: frames, results, and the list of arrays.

export const FRAMES = 240;
export const [HEIGHT, WIDTH] = [160, 200];
export const [H, W] = [96, 112];

/** Cycles per run of the brightness of a recentered pixel: slow in the left half, fast in the right half. */
export const cyclesAt = (_y, x) => (x < W / 2 ? 12 : 31);

// Deterministic on every machine: tests compare pictures of the movie.
export const noise = (...of) => {
  let word = 2166136261;
  for (const value of of) word = Math.imul(word ^ (value + 0x9e3779b9), 16777619);
  word ^= word >>> 15;
  word = Math.imul(word, 0x2c1b3c6d);
  return ((word ^ (word >>> 13)) >>> 0) / 2 ** 32;
};
const centroid = (t) => [
  HEIGHT / 2 + 18 * Math.sin((2 * Math.PI * t) / FRAMES) + 3 * noise(t, 1),
  WIDTH / 2 + 24 * Math.sin((4 * Math.PI * t) / FRAMES + 0.6) + 3 * noise(t, 2),
];
const corner = (t) => centroid(t).map((at, axis) => Math.min(Math.max(0, Math.trunc(at) - [H, W][axis] / 2), [HEIGHT - H, WIDTH - W][axis]));
/** A beating cell: a soft disc with a nucleus and some grains. */
const drawnCell = (t, y, x) => {
  const [dy, dx] = [(y - H / 2) / (0.36 * H), (x - W / 2) / (0.36 * W)];
  const r = Math.hypot(dy, dx) * (1 + 0.08 * Math.cos(5 * Math.atan2(dy, dx)));
  const body = 1 / (1 + Math.exp(14 * (r - 1)));
  const nucleus = 0.8 * Math.exp(-(((dy + 0.2) ** 2 + (dx - 0.15) ** 2) * 14));
  const grains = 0.35 * (noise(y >> 1, x >> 1, 7) > 0.9 ? 1 : 0);
  const beat = 1 + (0.25 + 0.1 * grains) * Math.sin((2 * Math.PI * cyclesAt(y, x) * t) / FRAMES);
  return Math.min(255, Math.max(0, Math.round(22 + 6 * noise(t, y, x) + 120 * body * (0.6 + nucleus + grains) * beat)));
};
const background = (t, y, x) => Math.round(22 + 6 * noise(t, y + 1000, x));
/** Computes a stack before the job begins, so that the simulated server responds at once. */
const rendered = (height, width, value) => {
  const stack = Uint8Array.from({ length: FRAMES * height * width }, (_, at) => value(Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width));
  return (t, y, x) => stack[(t * height + y) * width + x];
};
const cell = rendered(H, W, drawnCell);
const raw = rendered(HEIGHT, WIDTH, (t, y, x) => {
  const [top, left] = corner(t);
  const [cy, cx] = [y - top, x - left];
  return cy >= 0 && cx >= 0 && cy < H && cx < W ? cell(t, cy, cx) : background(t, y, x);
});
const series = (y, x) => Float64Array.from({ length: FRAMES }, (_, t) => cell(t, y, x));
const power = (y, x) => {
  const values = series(y, x);
  return Float64Array.from({ length: FRAMES }, (_, k) => {
    let [re, im] = [0, 0];
    for (let t = 0; t < FRAMES; t++) {
      const angle = (-2 * Math.PI * ((k * t) % FRAMES)) / FRAMES;
      re += values[t] * Math.cos(angle);
      im += values[t] * Math.sin(angle);
    }
    return re * re + im * im;
  });
};
const lazily = (make) => {
  let made = null;
  return () => (made ??= make());
};
// The mean of power over all frequencies is the sum of squares over time (Parseval).
const powerMean = lazily(() => Float32Array.from({ length: H * W }, (_, at) => series(Math.floor(at / W), at % W).reduce((sum, value) => sum + value * value, 0)));
const powers = new Map();
const powerOf = (y, x) => {
  const key = y * W + x;
  if (!powers.has(key)) powers.set(key, power(y, x));
  return powers.get(key);
};

/** Running sums of frames: a preview after n frames costs little time. */
const sums = (height, width, value) => {
  const sum = new Float64Array(height * width);
  let done = 0;
  return (frames) => {
    if (frames < done) (sum.fill(0), (done = 0));
    for (; done < frames; done++) for (let at = 0; at < sum.length; at++) sum[at] += value(done, Math.floor(at / width), at % width);
    return sum;
  };
};
export const rawSums = sums(HEIGHT, WIDTH, raw);
export const recenteredSums = sums(H, W, cell);

const array = (name, shape, dtype, at, axes = ["t", "y", "x"]) => ({ name, shape, dtype, axes: axes.slice(0, shape.length), chunks: shape, at });
export const ARRAYS = [
  array("raw", [FRAMES, HEIGHT, WIDTH], "uint8", raw),
  array("recentered", [FRAMES, H, W], "uint8", cell),
  array("power", [FRAMES, H, W], "float32", (t, y, x) => powerOf(y, x)[t]),
  array("frequency", [FRAMES], "float64", (t) => (t < FRAMES / 2 ? t : t - FRAMES) / FRAMES),
  array("centroids", [FRAMES, 2], "float64", (t, axis) => centroid(t)[axis]),
  array("offsets", [FRAMES, 2], "int32", (t, axis) => corner(t)[axis]),
  array("raw_mean_frame", [HEIGHT, WIDTH], "float64", (y, x) => rawSums(FRAMES)[y * WIDTH + x] / FRAMES, ["y", "x"]),
  array("recentered_mean_frame", [H, W], "float64", (y, x) => recenteredSums(FRAMES)[y * W + x] / FRAMES, ["y", "x"]),
  array("power_mean_frame", [H, W], "float32", (y, x) => powerMean()[y * W + x], ["y", "x"]),
  array("raw_mean_trace", [FRAMES], "float64", (t) => traceOf("raw_mean", t)),
];
export const NPY = { uint8: ["|u1", Uint8Array], int32: ["<i4", Int32Array], float32: ["<f4", Float32Array], float64: ["<f8", Float64Array] };

const traces = new Map();
export function traceOf(column, t) {
  const key = `${column} ${t}`;
  if (!traces.has(key)) {
    let value;
    if (column.startsWith("centroid")) value = centroid(t)[column.endsWith("y") ? 0 : 1];
    else {
      const [height, width, of] = column === "raw_mean" ? [HEIGHT, WIDTH, raw] : [H, W, cell];
      let sum = 0;
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) sum += of(t, y, x);
      value = sum / (height * width);
    }
    traces.set(key, value);
  }
  return traces.get(key);
}

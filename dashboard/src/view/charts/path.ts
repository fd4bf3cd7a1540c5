// The path of the specimen. Input: centroids. Output: a line through the centroids, coloured by time.

import { digits } from "../../model/format.ts";
import { colours } from "../../model/pixels.ts";
import { h, setAttribute } from "../dom.ts";
import { colour, isDark, onTheme } from "../theme.ts";

const MARGIN = { left: 46, right: 12, top: 10, bottom: 34 };

/** The path of the centroids, y downwards as in the pictures. */
export class Path {
  readonly box: HTMLElement;
  private readonly canvas = h("canvas", { role: "img", testid: "centroid-path" });
  private readonly height: number;
  private y: ArrayLike<number> = [];
  private x: ArrayLike<number> = [];

  constructor(height = 260) {
    this.height = height;
    this.box = h("div", { class: "chart" }, this.canvas);
    new ResizeObserver(() => this.draw()).observe(this.box);
    onTheme(() => this.draw());
  }

  /** Shows (T,) centroids in pixels; NaN = not known yet. */
  show(y: ArrayLike<number>, x: ArrayLike<number>, summary: string): void {
    this.y = y;
    this.x = x;
    setAttribute(this.canvas, "aria-label", `Path of the centroids: ${summary}`);
    this.draw();
  }

  private draw(): void {
    const { canvas, height } = this;
    const width = this.box.clientWidth;
    const [top, bottom] = limits(this.y);
    const [left, right] = limits(this.x);
    if (width === 0 || top > bottom) return;
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d")!;
    context.scale(ratio, ratio);
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    // One scale for both axes, so that a circle stays a circle.
    const scale = Math.min(inner.width / Math.max(1e-9, right - left), inner.height / Math.max(1e-9, bottom - top));
    const toX = (x: number): number => MARGIN.left + inner.width / 2 + (x - (left + right) / 2) * scale;
    const toY = (y: number): number => MARGIN.top + inner.height / 2 + (y - (top + bottom) / 2) * scale;
    context.strokeStyle = colour("--line");
    context.strokeRect(MARGIN.left - 0.5, MARGIN.top - 0.5, inner.width + 1, inner.height + 1);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = colour("--muted");
    context.textAlign = "center";
    for (const value of round(left, right)) context.fillText(digits(value), toX(value), height - MARGIN.bottom + 14);
    context.fillText("centroid x, pixels", MARGIN.left + inner.width / 2, height - 4);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of round(top, bottom)) context.fillText(digits(value), MARGIN.left - 6, toY(value));
    context.save();
    context.translate(9, MARGIN.top + inner.height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText("y", 0, 0);
    context.restore();
    const table = colours("viridis");
    const frames = this.y.length;
    // Omits the darkest colours on a dark page and the brightest colours on a light page.
    const [first, last] = isDark() ? [64, 255] : [0, 215];
    const radius = frames > 2000 ? 1 : 1.75;
    context.lineWidth = 1;
    for (let at = 0; at < frames; at++) {
      const [y, x] = [this.y[at]!, this.x[at]!];
      if (!Number.isFinite(y) || !Number.isFinite(x)) continue;
      const step = 4 * Math.round(first + ((last - first) * at) / Math.max(1, frames - 1));
      const ink = `rgb(${table[step]} ${table[step + 1]} ${table[step + 2]})`;
      const [before, beforeX] = [this.y[at - 1] ?? NaN, this.x[at - 1] ?? NaN];
      if (Number.isFinite(before)) {
        context.globalAlpha = 0.45;
        context.strokeStyle = ink;
        context.beginPath();
        context.moveTo(toX(beforeX), toY(before));
        context.lineTo(toX(x), toY(y));
        context.stroke();
        context.globalAlpha = 1;
      }
      context.fillStyle = ink;
      context.fillRect(toX(x) - radius, toY(y) - radius, 2 * radius, 2 * radius);
    }
  }
}

/** Minimum and maximum. */
export function limits(values: ArrayLike<number>): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** About three round numbers in [low, high]. */
function round(low: number, high: number): number[] {
  const rough = Math.max(1e-9, high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const made = [];
  for (let number = Math.ceil(low / step); number * step <= high; number++) made.push(number * step);
  return made;
}

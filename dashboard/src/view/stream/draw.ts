// Input: rows and an interval of time. Output: pixels, in O(pixels) time for any number of tasks.

import { BEGINS, ENDS, KINDS, KIND_COUNT } from "../../model/lane.ts";
import type { Raster } from "../../model/lane.ts";
import { growth } from "../../model/tasks.ts";
import type { TaskStore } from "../../model/tasks.ts";
import { colour, colourWord } from "../theme.ts";
import { ticks } from "./axis.ts";
import type { Row } from "./rows.ts";

/** The visible interval of the run: seconds on the axis. */
export interface View {
  readonly from: number;
  readonly to: number;
}

/** Sizes in CSS pixels; `top` is the first pixel of the lanes, below the axis and the marks. */
export interface Box {
  readonly width: number;
  readonly height: number;
  readonly gutter: number;
  readonly top: number;
  readonly ratio: number;
}

/** The content of one drawing. */
export interface Scene {
  readonly store: TaskStore;
  readonly rows: readonly Row[];
  readonly view: View;
  readonly box: Box;
  /** Height of the rows that are scrolled out above the box, CSS pixels. */
  readonly scrolled: number;
  /** Which kinds are visible, by number. */
  readonly shown: readonly boolean[];
  /** This page's monotonic clock, ms, the end of running tasks; null after the end of the job. */
  readonly nowMs: number | null;
  readonly marks: readonly { readonly kind: string; readonly seconds: number }[];
}

/** Heights of the axis and of the strip of marks below the axis, CSS pixels. */
export const AXIS_HEIGHT = 22;
export const MARKS_HEIGHT = 16;

/** Draws scenes onto one canvas, and reuses the memory. */
export class Painter {
  private readonly context: CanvasRenderingContext2D;
  private image: ImageData | null = null;
  private words = new Uint32Array(0);
  private shares = new Float32Array(0);
  private edges = new Uint8Array(0);

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("this browser has no canvas");
    this.context = context;
  }

  /** Draws a scene. */
  draw(scene: Scene): void {
    const { box } = scene;
    const { canvas } = this.context;
    const [width, height] = [Math.round(box.width * box.ratio), Math.round(box.height * box.ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.fillStyle = colour("--panel");
    this.context.fillRect(0, 0, width, height);
    this.lanes(scene);
    this.context.setTransform(box.ratio, 0, 0, box.ratio, 0, 0);
    this.running(scene);
    this.failed(scene);
    this.labels(scene);
    this.axis(scene);
    this.marks(scene);
  }

  private lanes(scene: Scene): void {
    const { box, rows, view, store, scrolled } = scene;
    const left = Math.round(box.gutter * box.ratio);
    const top = Math.round(box.top * box.ratio);
    const columns = Math.round(box.width * box.ratio) - left;
    const lines = Math.round(box.height * box.ratio) - top;
    if (columns <= 0 || lines <= 0) return;
    if (this.image === null || this.image.width !== columns || this.image.height !== lines) {
      this.image = this.context.createImageData(columns, lines);
      this.words = new Uint32Array(this.image.data.buffer);
      this.shares = new Float32Array(columns * KIND_COUNT);
      this.edges = new Uint8Array(columns);
    }
    this.words.fill(colourWord("--panel"));
    const track = colourWord("--track");
    const inks = KINDS.map((kind) => colourWord(`--kind-${kind}`));
    for (const row of rows) {
      if (row.y + row.height < scrolled) continue;
      if (row.y > scrolled + box.height) break;
      const first = Math.round((row.y - scrolled) * box.ratio);
      const height = Math.round(row.height * box.ratio);
      this.shares.fill(0);
      this.edges.fill(0);
      for (const { start, lanes } of row.parts) {
        const shift = store.seconds(start, 0);
        const raster: Raster = { from: (view.from - shift) * 1e6, to: (view.to - shift) * 1e6, columns, shares: this.shares, edges: this.edges };
        for (const lane of lanes) start.lanes[lane]?.raster(raster, 1 / row.lanes);
      }
      if (row.lanes > 1) this.edges.fill(0);
      this.stack(first, height, columns, lines, track, inks, scene.shown);
    }
    this.context.putImageData(this.image, left, top);
  }

  /** Draws one row: the height of a column is the share of its time at work, with the kinds stacked. */
  private stack(first: number, height: number, columns: number, lines: number, track: number, inks: readonly number[], shown: readonly boolean[]): void {
    const { words, shares, edges } = this;
    const from = Math.max(0, first);
    const until = Math.min(lines, first + height);
    for (let line = from; line < until; line++) words.fill(track, line * columns, (line + 1) * columns);
    const bottom = first + height;
    for (let column = 0; column < columns; column++) {
      if (edges[column] === BEGINS) continue;
      const at = column * KIND_COUNT;
      let sum = 0;
      for (let kind = 0; kind < KIND_COUNT; kind++) sum += shares[at + kind]!;
      if (sum <= 0) continue;
      // The last column of a wide task is full or empty: a partial column would suggest a different height.
      if (edges[column] === ENDS && sum < 0.5) continue;
      const scale = sum > 1 || edges[column] === ENDS ? height / sum : height;
      let filled = 0;
      let drawn = 0;
      for (let kind = 0; kind < KIND_COUNT; kind++) {
        const share = shares[at + kind]!;
        if (share <= 0 || shown[kind] === false) continue;
        filled += share * scale;
        // A small share is at least one pixel high, except below a tenth of a pixel.
        let to = Math.round(filled);
        if (to === drawn && drawn < height && share * scale > 0.1) to = drawn + 1;
        const ink = inks[kind]!;
        const stop = Math.max(from, bottom - to);
        for (let line = Math.min(until, bottom - drawn) - 1; line >= stop; line--) words[line * columns + column] = ink;
        drawn = Math.max(drawn, to);
      }
    }
  }

  /** Running tasks: pale, with an outline, up to the current time. */
  private running(scene: Scene): void {
    if (scene.nowMs === null) return;
    const { box, rows, view, store, scrolled } = scene;
    const context = this.context;
    context.save();
    context.beginPath();
    context.rect(box.gutter, box.top, box.width - box.gutter, box.height - box.top);
    context.clip();
    const scale = (box.width - box.gutter) / (view.to - view.from);
    for (const row of rows) {
      // Only the latest start of a server has running tasks.
      const latest = row.parts.at(-1);
      if (latest === undefined || latest.start.running.length === 0 || row.y + row.height < scrolled || row.y > scrolled + box.height) continue;
      const { start, lanes } = latest;
      const part = row.height / row.lanes;
      for (const task of start.running) {
        const place = lanes.indexOf(task.lane);
        if (place < 0 || scene.shown[task.kind] === false) continue;
        const from = box.gutter + (store.seconds(start, task.start) - view.from) * scale;
        const to = box.gutter + (store.seconds(start, task.start + task.duration + growth(start, task, scene.nowMs)) - view.from) * scale;
        if (to < box.gutter || from > box.width) continue;
        const y = box.top + row.y - scrolled + row.height - part * (place + 1);
        const ink = colour(`--kind-${KINDS[task.kind] ?? "other"}`);
        context.fillStyle = ink;
        context.globalAlpha = 0.3;
        context.fillRect(from, y, Math.max(1, to - from), part);
        context.globalAlpha = 1;
        if (part < 4) continue;
        context.strokeStyle = ink;
        context.lineWidth = 1;
        context.strokeRect(from + 0.5, y + 0.5, Math.max(1, to - from - 1), part - 1);
      }
    }
    context.restore();
  }

  /** Failed attempts, and tasks lost with their server: a cross at the end, at most one for a few pixels. */
  private failed(scene: Scene): void {
    const { box, rows, view, store, scrolled } = scene;
    const context = this.context;
    const scale = (box.width - box.gutter) / (view.to - view.from);
    for (const row of rows) {
      if (row.y + row.height < scrolled || row.y > scrolled + box.height) continue;
      const y = box.top + row.y - scrolled + row.height / 2;
      if (y < box.top) continue;
      const taken = new Set<number>();
      for (const { start, lanes } of row.parts) {
        for (const { lane, at } of start.failed) {
          if (!lanes.includes(lane)) continue;
          const x = Math.round(box.gutter + (store.seconds(start, at) - view.from) * scale);
          if (x < box.gutter || x > box.width || taken.has(x >> 2)) continue;
          taken.add(x >> 2);
          cross(context, x, y, 3, colour("--panel"), 3.5);
          cross(context, x, y, 3, colour("--text"), 1.5);
        }
      }
    }
  }

  private labels(scene: Scene): void {
    const { box, rows, scrolled } = scene;
    const context = this.context;
    context.save();
    context.beginPath();
    context.rect(0, box.top, box.gutter - 4, box.height - box.top);
    context.clip();
    context.textBaseline = "middle";
    for (const row of rows) {
      if (row.y + row.height < scrolled) continue;
      if (row.y > scrolled + box.height) break;
      const y = box.top + row.y - scrolled + row.height / 2 + 0.5;
      if (row.first) {
        context.font = "600 11px system-ui, sans-serif";
        context.fillStyle = colour("--text");
        context.textAlign = "left";
        context.fillText(String(row.server), 2, y);
      }
      context.font = "10px system-ui, sans-serif";
      context.fillStyle = colour("--muted");
      context.textAlign = "right";
      context.fillText(row.name, box.gutter - 8, y);
    }
    context.restore();
  }

  private axis(scene: Scene): void {
    const { box, view } = scene;
    const context = this.context;
    const scale = (box.width - box.gutter) / (view.to - view.from);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const { at, label } of ticks(view.from, view.to, 90 / scale)) {
      const x = Math.round(box.gutter + (at - view.from) * scale) + 0.5;
      context.fillStyle = colour("--muted");
      const half = context.measureText(label).width / 2;
      context.fillText(label, Math.min(Math.max(x, box.gutter + half - 8), box.width - half - 1), 12);
      context.strokeStyle = colour("--line");
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, AXIS_HEIGHT - 6);
      context.lineTo(x, box.top);
      context.stroke();
    }
    context.strokeStyle = colour("--line");
    context.beginPath();
    context.moveTo(box.gutter, AXIS_HEIGHT - 1.5);
    context.lineTo(box.width, AXIS_HEIGHT - 1.5);
    context.stroke();
  }

  private marks(scene: Scene): void {
    const { box, view } = scene;
    const context = this.context;
    const scale = (box.width - box.gutter) / (view.to - view.from);
    const taken = new Map<number, string>();
    for (const { kind, seconds } of scene.marks) {
      const x = box.gutter + (seconds - view.from) * scale;
      if (x < box.gutter - 1 || x > box.width + 1) continue;
      const place = Math.floor(x / 8);
      const there = taken.get(place);
      if (there !== undefined && gravity(there) >= gravity(kind)) continue;
      taken.set(place, kind);
      if (gravity(kind) >= 2) {
        context.strokeStyle = colour(markColour(kind));
        context.globalAlpha = 0.55;
        context.lineWidth = 1;
        context.setLineDash([3, 3]);
        context.beginPath();
        context.moveTo(Math.round(x) + 0.5, box.top);
        context.lineTo(Math.round(x) + 0.5, box.height);
        context.stroke();
        context.setLineDash([]);
        context.globalAlpha = 1;
      }
      symbol(context, kind, x, AXIS_HEIGHT + MARKS_HEIGHT / 2 - 1);
    }
  }
}

const GRAVITY = ["retry", "blank", "recovered", "replaced", "lost", "failure"];

/** The priority of a kind of mark where several marks overlap. */
export function gravity(kind: string): number {
  return Math.max(0, GRAVITY.indexOf(kind));
}

/** The variable of the style sheet that contains the colour of a kind of mark. */
export function markColour(kind: string): string {
  if (kind === "recovered") return "--good";
  if (kind === "replaced") return "--accent";
  return kind === "lost" || kind === "failure" ? "--bad" : "--warn";
}

/** Draws the symbol of a kind of mark around (x, y): each kind has a shape and a colour. */
export function symbol(context: CanvasRenderingContext2D, kind: string, x: number, y: number): void {
  context.fillStyle = colour(markColour(kind));
  context.strokeStyle = context.fillStyle;
  context.lineWidth = 1.5;
  context.beginPath();
  if (kind === "lost") return cross(context, x, y, 4, colour("--bad"), 2);
  if (kind === "recovered" || kind === "replaced") {
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
  } else if (kind === "failure") {
    context.rect(x - 4, y - 4, 8, 8);
  } else if (kind === "blank") {
    context.arc(x, y, 3.5, 0, 2 * Math.PI);
    context.stroke();
    return;
  } else {
    context.moveTo(x, y - 4);
    context.lineTo(x + 4, y + 3.5);
    context.lineTo(x - 4, y + 3.5);
  }
  context.closePath();
  context.fill();
}

function cross(context: CanvasRenderingContext2D, x: number, y: number, size: number, ink: string, width: number): void {
  context.strokeStyle = ink;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  context.stroke();
}

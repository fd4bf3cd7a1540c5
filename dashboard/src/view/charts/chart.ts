// Input: columns of numbers. Output: lines over one axis, drawn by uPlot, with zoom by drag, wheel and keys.

import uPlot from "uplot";
import { digits, sample } from "../../model/format.ts";
import { h, setAttribute, setText } from "../dom.ts";
import { colour, onTheme } from "../theme.ts";

/** One line. */
export interface Line {
  readonly name: string;
  /** The variable of the style sheet that contains the colour. */
  readonly ink: string;
  /** One value for each x; NaN leaves a gap. */
  readonly values: ArrayLike<number>;
}

/** The content of a chart. */
export interface Curves {
  readonly x: ArrayLike<number>;
  readonly xName: string;
  readonly yName: string;
  readonly lines: readonly Line[];
  readonly log?: boolean;
  /** Number of first points that the scale ignores, such as a mean far above all other values. */
  readonly ignored?: number;
  /** A marked point: its index in x, and a label. */
  readonly marked?: { readonly at: number; readonly label: string } | null;
}

/** A chart. */
export class Chart {
  readonly box: HTMLElement;
  private readonly place: HTMLElement;
  private readonly readout = h("p", { class: "readout" });
  private readonly name: string;
  private readonly height: number;
  private plot: uPlot | null = null;
  private curves: Curves | null = null;

  constructor(name: string, testid: string, height = 170) {
    this.name = name;
    this.height = height;
    this.place = h("div", { class: "plot", tabindex: 0, role: "application", "aria-roledescription": "chart", testid });
    this.box = h("div", { class: "chart" }, this.place, this.readout);
    new ResizeObserver(() => this.fit()).observe(this.place);
    onTheme(() => this.build());
    this.place.addEventListener("keydown", (event) => this.key(event));
    this.place.addEventListener(
      "wheel",
      (event) => {
        if (this.plot === null || (document.activeElement !== this.place && !event.ctrlKey)) return;
        event.preventDefault();
        const rect = this.plot.over.getBoundingClientRect();
        this.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.003), this.plot.posToVal(event.clientX - rect.left, "x"));
      },
      { passive: false },
    );
  }

  /** Shows curves; `summary` is their text for screen readers. Null removes the curves. */
  show(curves: Curves | null, summary: string): void {
    const same = curves !== null && this.curves !== null && this.plot !== null && alike(curves, this.curves);
    this.curves = curves;
    setAttribute(this.place, "aria-label", `${this.name}: ${summary}. Arrow keys read out points, + and − zoom, 0 shows all.`);
    if (same && this.plot !== null) {
      // The zoomed interval stays.
      const { min, max } = this.plot.scales["x"]!;
      const [first, last] = [this.plot.data[0][0]!, this.plot.data[0].at(-1)!];
      const zoomed = min != null && max != null && (min > first || max < last);
      this.plot.setData(columns(curves!), !zoomed);
      if (zoomed) this.plot.setScale("x", { min: min!, max: max! });
      return;
    }
    this.build();
  }

  private build(): void {
    this.plot?.destroy();
    this.plot = null;
    const { curves } = this;
    this.place.hidden = curves === null;
    setText(this.readout, "");
    if (curves === null || curves.x.length === 0) return;
    const width = this.place.clientWidth;
    if (width === 0) return;
    const ink = colour("--muted");
    const grid = { stroke: colour("--line"), width: 1 };
    const font = "11px system-ui, sans-serif";
    const axis = { stroke: ink, grid, ticks: { ...grid, size: 4 }, font, labelFont: font, labelSize: 16, labelGap: 0 };
    const log = curves.log === true;
    this.plot = new uPlot(
      {
        width,
        height: this.height,
        legend: { show: false },
        padding: [10, 10, 0, 0],
        cursor: { drag: { x: true, y: false }, points: { size: 6 } },
        scales: {
          x: { time: false },
          y: { distr: log ? 3 : 1, range: (plot) => this.range(plot) },
        },
        axes: [
          { ...axis, label: curves.xName, size: 26, space: 60, values: (_, splits) => splits.map((value) => (value == null ? "" : short(value))) },
          { ...axis, label: curves.yName, size: 52, space: 30, ...(log ? DECADES : {}), values: (_, splits) => splits.map((value) => (value == null ? "" : short(value))) },
        ],
        series: [{}, ...curves.lines.map((line) => ({ label: line.name, stroke: colour(line.ink), width: 1.25, spanGaps: false, points: { show: false } }))],
        hooks: {
          draw: [(plot) => this.drawMark(plot)],
          setCursor: [(plot) => this.read(plot.cursor.idx ?? null)],
        },
      },
      columns(curves),
      this.place,
    );
  }

  /** The scale of y over the visible part of x, without the ignored points. */
  private range(plot: uPlot): [number, number] {
    const { curves } = this;
    if (curves === null) return [0, 1];
    const log = curves.log === true;
    const { min = null, max = null } = plot.scales["x"]!;
    let low = Infinity;
    let high = -Infinity;
    for (let at = curves.ignored ?? 0; at < curves.x.length; at++) {
      const x = curves.x[at]!;
      if (min !== null && max !== null && (x < min || x > max)) continue;
      for (const { values } of curves.lines) {
        const value = values[at]!;
        if (!Number.isFinite(value) || (log && value <= 0)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    if (low > high) return log ? [1, 10] : [0, 1];
    if (log) return [Math.max(low / 1.5, high * 1e-9), high * 2];
    const room = high > low ? 0.06 * (high - low) : Math.abs(high) * 0.1 || 1;
    return [low >= 0 && low < 0.3 * high ? 0 : low - room, high + room];
  }

  private drawMark(plot: uPlot): void {
    const { curves } = this;
    const marked = curves?.marked;
    if (curves === null || marked === undefined || marked === null) return;
    const value = curves.lines[0]?.values[marked.at];
    const at = curves.x[marked.at];
    if (value === undefined || at === undefined) return;
    const x = plot.valToPos(at, "x", true);
    const y = plot.valToPos(value, "y", true);
    const { left, top, width, height } = plot.bbox;
    if (x < left || x > left + width || !(y >= top - 12 && y <= top + height)) return;
    const context = plot.ctx;
    const ratio = devicePixelRatio || 1;
    context.save();
    context.strokeStyle = colour("--bad");
    context.fillStyle = colour("--text");
    context.lineWidth = 1.5 * ratio;
    context.beginPath();
    context.arc(x, y, 4.5 * ratio, 0, 2 * Math.PI);
    context.stroke();
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    const wide = context.measureText(marked.label).width;
    const right = x + wide + 12 * ratio < left + width;
    context.textAlign = right ? "left" : "right";
    context.textBaseline = "middle";
    context.fillText(marked.label, x + (right ? 9 : -9) * ratio, Math.max(y, top + 6 * ratio));
    context.restore();
  }

  private read(at: number | null): void {
    const { curves } = this;
    if (curves === null || at === null || at >= curves.x.length) return setText(this.readout, "");
    const values = curves.lines.map((line) => `${curves.lines.length > 1 ? `${line.name} ` : ""}${sample(line.values[at] ?? NaN)}`);
    setText(this.readout, `${curves.xName} ${sample(curves.x[at]!)}: ${values.join(" · ")}`);
  }

  private zoom(factor: number, around: number | null = null): void {
    const { plot } = this;
    if (plot === null) return;
    const { min, max } = plot.scales["x"]!;
    const [first, last] = [plot.data[0][0]!, plot.data[0].at(-1)!];
    if (min == null || max == null || last <= first) return;
    const middle = around ?? (min + max) / 2;
    const from = Math.max(first, middle - (middle - min) * factor);
    const to = Math.min(last, middle + (max - middle) * factor);
    const least = (2 * (last - first)) / Math.max(2, plot.data[0].length - 1);
    if (to - from >= least) plot.setScale("x", { min: from, max: to });
  }

  private key(event: KeyboardEvent): void {
    const { plot } = this;
    if (plot === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step !== undefined) {
      const at = Math.min(Math.max(0, (plot.cursor.idx ?? -1) + step * (event.shiftKey ? 10 : 1)), plot.data[0].length - 1);
      plot.setCursor({ left: plot.valToPos(plot.data[0][at]!, "x"), top: 10 });
      setAttribute(this.readout, "role", "status");
      this.read(at);
    } else if (event.key === "+" || event.key === "=") this.zoom(1 / 1.6);
    else if (event.key === "-") this.zoom(1.6);
    else if (event.key === "0") plot.setScale("x", { min: plot.data[0][0]!, max: plot.data[0].at(-1)! });
    else return;
    event.preventDefault();
  }

  private fit(): void {
    const width = this.place.clientWidth;
    if (width === 0 || this.curves === null) return;
    if (this.plot === null) this.build();
    else if (this.plot.width !== width) this.plot.setSize({ width, height: this.height });
  }
}

function columns(curves: Curves): uPlot.AlignedData {
  const log = curves.log === true;
  const lines = curves.lines.map(({ values }) =>
    Array.from(values, (value) => (Number.isFinite(value) && !(log && value <= 0) ? value : null)),
  );
  return [Array.from(curves.x), ...lines] as uPlot.AlignedData;
}

function alike(a: Curves, b: Curves): boolean {
  return (
    a.x.length === b.x.length &&
    a.xName === b.xName &&
    a.yName === b.yName &&
    a.log === b.log &&
    a.x[a.x.length - 1] === b.x[b.x.length - 1] &&
    a.lines.map((line) => line.name).join() === b.lines.map((line) => line.name).join()
  );
}

const DECADES = {
  splits: (_plot: uPlot, _axis: number, min: number, max: number) => decades(min, max),
  // uPlot would omit labels of a logarithmic axis; `decades` limits their number already.
  filter: (_plot: uPlot, splits: number[]) => splits,
};

/** At most six powers of ten in [min, max]. */
function decades(min: number, max: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(min) - 1e-9), Math.floor(Math.log10(max) + 1e-9)];
  const step = Math.max(1, Math.ceil((last - first + 1) / 6));
  return Array.from({ length: Math.max(0, Math.floor((last - first) / step) + 1) }, (_, at) => 10 ** (first + at * step));
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(Math.abs(Math.log10(size) % 1) < 1e-6 ? 0 : 1).replace("e+", "e");
  return Number.isInteger(value) ? String(value) : digits(value);
}

// One picture. Input: values. Output: colours, their legend, and the value under the cursor.

import { sample } from "../../model/format.ts";
import { COLOUR_MAPS, colours, extremes, paint, percentiles } from "../../model/pixels.ts";
import type { ColourMap } from "../../model/pixels.ts";
import type { Elements } from "../../wire/npy.ts";
import { download, h, setAttribute, setText } from "../dom.ts";

/** The content of a picture: every `stride`-th pixel of an image of `shape` (h, w); `values` is (rows, columns) row-major. */
export interface Image {
  readonly values: Elements;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  readonly shape: readonly [number, number];
  /** The stack that contains these pixels. */
  readonly stack: "raw" | "recentered";
  /** A short description. */
  readonly caption: string;
  /** File name of a download, without extension. */
  readonly file: string;
  /** URL of the full image as `.npy`, if available. */
  readonly npy: string | null;
}

/** A pixel, in coordinates of the full resolution. */
export interface PixelOf {
  readonly stack: "raw" | "recentered";
  readonly y: number;
  readonly x: number;
}

type Limits = "auto" | "all" | "fixed";

/** A card with one picture. */
export class Picture {
  readonly box: HTMLElement;
  /** Controls of the particular card. */
  readonly extra = h("div", { class: "extra" });
  private readonly canvas: HTMLCanvasElement;
  private readonly caption = h("p", { class: "note caption" });
  private readonly message = h("p", { class: "message", role: "status" });
  private readonly cross = h("div", { class: "cross", hidden: true });
  private readonly chosen = h("div", { class: "chosen", hidden: true });
  private readonly frame: HTMLElement;
  private readonly readout = h("p", { class: "readout" });
  private readonly said = h("p", { class: "hidden", role: "status" });
  private readonly map: HTMLSelectElement;
  private readonly scale: HTMLSelectElement;
  private readonly low: HTMLInputElement;
  private readonly high: HTMLInputElement;
  private readonly strip = h("canvas", { class: "strip", width: 256, height: 1, "aria-hidden": "true" });
  private readonly auto: HTMLButtonElement;
  private readonly all: HTMLButtonElement;
  private readonly npy: HTMLAnchorElement;
  private readonly png: HTMLButtonElement;
  private readonly files: HTMLElement;
  private readonly controls: HTMLElement;
  private readonly title: string;
  private readonly onPixel: (pixel: PixelOf) => void;
  private readonly recorded: boolean;
  private image: Image | null = null;
  private limits: Limits = "auto";
  private at = { row: 0, column: 0 };
  private marked: PixelOf | null = null;

  constructor(title: string, testid: string, recorded: boolean, onPixel: (pixel: PixelOf) => void, map: ColourMap = "gray", log = false) {
    this.title = title;
    this.recorded = recorded;
    this.onPixel = onPixel;
    this.canvas = h("canvas", { tabindex: 0, role: "application", "aria-roledescription": "picture", testid: `${testid}-canvas` });
    this.frame = h("div", { class: "frame" }, this.canvas, this.cross, this.chosen, this.message);
    const select = (label: string, names: readonly string[], value: string): HTMLSelectElement => {
      const made = h("select", { "aria-label": `${label} of ${title}`, onchange: () => this.draw() }, ...names.map((name) => h("option", { value: name }, name)));
      made.value = value;
      return made;
    };
    const number = (label: string): HTMLInputElement =>
      h("input", { type: "number", step: "any", "aria-label": `${label} of ${title}`, onchange: () => this.setLimits("fixed") });
    const button = (text: string, hint: string, act: () => void): HTMLButtonElement =>
      h("button", { type: "button", class: "button small", title: hint, onclick: act }, text);
    this.map = select("Colours", COLOUR_MAPS, map);
    this.scale = select("Scale", ["linear", "log"], log ? "log" : "linear");
    this.low = number("Darkest value");
    this.high = number("Brightest value");
    setAttribute(this.low, "data-testid", `${testid}-low`);
    setAttribute(this.high, "data-testid", `${testid}-high`);
    setAttribute(this.map, "data-testid", `${testid}-map`);
    setAttribute(this.scale, "data-testid", `${testid}-scale`);
    this.auto = button("auto", "From the 1st to the 99th percentile", () => this.setLimits("auto"));
    this.all = button("min–max", "From the least to the greatest value", () => this.setLimits("all"));
    this.png = h("button", { type: "button", class: "link", testid: `${testid}-png`, onclick: () => this.save() }, "PNG");
    this.npy = h("a", { class: "link", download: true, testid: `${testid}-npy` }, ".npy");
    this.files = h("span", { class: "files" }, this.png, this.npy);
    this.controls = h(
      "div",
      { class: "controls" },
      h("div", { class: "limits" }, this.low, this.strip, this.high),
      h("div", { class: "choices" }, this.map, this.scale, this.auto, this.all),
    );
    this.box = h(
      "article",
      { class: "card", testid, "aria-label": title },
      h("h3", {}, title),
      this.caption,
      this.frame,
      this.extra,
      h("div", { class: "foot" }, this.readout, this.files),
      this.said,
      this.controls,
    );
    this.listen();
    this.say("");
  }

  /** Shows an image. */
  show(image: Image): void {
    this.image = image;
    setText(this.message, "");
    this.message.hidden = true;
    setText(this.caption, image.caption);
    this.controls.hidden = false;
    this.files.hidden = false;
    this.canvas.hidden = false;
    setAttribute(this.npy, "href", image.npy);
    setAttribute(this.npy, "download", `${image.file}.npy`);
    this.npy.hidden = image.npy === null || this.recorded;
    this.draw();
    this.mark(this.marked);
  }

  /** Shows a message in place of the picture, or above the present picture if `keep`. */
  say(text: string, keep = false): void {
    const kept = keep && this.image !== null;
    if (!kept) {
      this.image = null;
      this.controls.hidden = true;
      this.files.hidden = true;
      this.canvas.hidden = true;
      this.cross.hidden = true;
      this.chosen.hidden = true;
      setText(this.caption, "");
      setText(this.readout, "");
      this.frame.style.aspectRatio = "";
      this.frame.style.maxWidth = "";
    }
    setAttribute(this.message, "data-over", kept ? "" : null);
    setText(this.message, text);
    this.message.hidden = text === "";
  }

  /** Whether the card shows a picture. */
  get shows(): boolean {
    return this.image !== null;
  }

  /** Marks the pixel of the pixel panel, if the pixel belongs to this picture's stack. */
  mark(pixel: PixelOf | null): void {
    this.marked = pixel;
    this.chosen.hidden = pixel === null || pixel.stack !== this.image?.stack;
    if (pixel !== null && !this.chosen.hidden) this.place(this.chosen, pixel.y / this.image!.stride, pixel.x / this.image!.stride);
  }

  private setLimits(limits: Limits): void {
    this.limits = limits;
    this.draw();
  }

  private draw(): void {
    const { image, canvas } = this;
    if (image === null) return;
    const log = this.scale.value === "log";
    if (this.limits !== "fixed") {
      const found = (this.limits === "auto" ? percentiles(image.values, 0.01, 0.99, log) : null) ?? extremes(image.values, log) ?? { low: 0, high: 1 };
      this.low.value = sample(found.low);
      this.high.value = sample(found.high);
    }
    setAttribute(this.auto, "aria-pressed", String(this.limits === "auto"));
    setAttribute(this.all, "aria-pressed", String(this.limits === "all"));
    const table = colours(this.map.value as ColourMap);
    const contrast = { low: Number(this.low.value), high: Number(this.high.value), log };
    if (canvas.width !== image.columns || canvas.height !== image.rows) [canvas.width, canvas.height] = [image.columns, image.rows];
    const context = canvas.getContext("2d")!;
    const pixels = context.createImageData(image.columns, image.rows);
    paint(image.values, contrast, table, pixels.data);
    context.putImageData(pixels, 0, 0);
    this.frame.style.aspectRatio = `${image.columns} / ${image.rows}`;
    // Limits the width of a tall image, so that all cards have the same height.
    this.frame.style.maxWidth = image.rows > 1.25 * image.columns ? `${Math.round((125 * image.columns) / image.rows)}%` : "";
    const strip = this.strip.getContext("2d")!;
    const row = strip.createImageData(256, 1);
    row.data.set(table);
    strip.putImageData(row, 0, 0);
    const range = extremes(image.values);
    const summary = range === null ? "nothing yet" : `values from ${sample(range.low)} to ${sample(range.high)}`;
    setAttribute(canvas, "aria-label", `${this.title}: ${image.caption}. ${image.shape[0]} by ${image.shape[1]} pixels, ${summary}. Arrow keys move a cross, Enter shows the pixel's time series.`);
    if (this.readout.textContent === "" || this.cross.hidden) this.rest();
  }

  /** The text of the line below the picture while the pointer is elsewhere. */
  private rest(): void {
    if (this.image === null) return;
    const { shape, stride } = this.image;
    setText(this.readout, `${shape[0]} × ${shape[1]}${stride > 1 ? `, every ${stride}${stride === 2 ? "nd" : stride === 3 ? "rd" : "th"} pixel` : ""}`);
  }

  private read(row: number, column: number): string {
    const { values, columns, stride } = this.image!;
    return `y ${row * stride}  x ${column * stride}  =  ${sample(values[row * columns + column] ?? NaN)}`;
  }

  private place(mark: HTMLElement, row: number, column: number): void {
    const { rows, columns } = this.image!;
    mark.style.top = `${(100 * (Math.floor(row) + 0.5)) / rows}%`;
    mark.style.left = `${(100 * (Math.floor(column) + 0.5)) / columns}%`;
  }

  private choose(row: number, column: number): void {
    const { stride, stack, shape } = this.image!;
    this.onPixel({ stack, y: Math.min(row * stride, shape[0] - 1), x: Math.min(column * stride, shape[1] - 1) });
  }

  private listen(): void {
    const under = (event: PointerEvent | MouseEvent): { row: number; column: number } | null => {
      if (this.image === null) return null;
      const rect = this.canvas.getBoundingClientRect();
      const row = Math.floor(((event.clientY - rect.top) / rect.height) * this.image.rows);
      const column = Math.floor(((event.clientX - rect.left) / rect.width) * this.image.columns);
      return row >= 0 && column >= 0 && row < this.image.rows && column < this.image.columns ? { row, column } : null;
    };
    this.canvas.addEventListener("pointermove", (event) => {
      const place = under(event);
      if (place !== null) setText(this.readout, this.read(place.row, place.column));
    });
    this.canvas.addEventListener("pointerleave", () => this.rest());
    this.canvas.addEventListener("click", (event) => {
      const place = under(event);
      if (place === null) return;
      this.at = place;
      this.choose(place.row, place.column);
    });
    this.canvas.addEventListener("keydown", (event) => {
      if (this.image === null || event.ctrlKey || event.metaKey || event.altKey) return;
      const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const step = steps[event.key];
      if (step !== undefined) {
        event.preventDefault();
        const far = event.shiftKey ? 10 : 1;
        this.at = {
          row: Math.min(Math.max(0, this.at.row + far * step[0]), this.image.rows - 1),
          column: Math.min(Math.max(0, this.at.column + far * step[1]), this.image.columns - 1),
        };
        this.cross.hidden = false;
        this.place(this.cross, this.at.row, this.at.column);
        setText(this.readout, this.read(this.at.row, this.at.column));
        setText(this.said, this.read(this.at.row, this.at.column));
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.choose(this.at.row, this.at.column);
      }
    });
    this.canvas.addEventListener("focus", () => {
      if (this.image === null || !this.canvas.matches(":focus-visible")) return;
      if (this.at.row === 0 && this.at.column === 0) this.at = { row: this.image.rows >> 1, column: this.image.columns >> 1 };
      this.at = { row: Math.min(this.at.row, this.image.rows - 1), column: Math.min(this.at.column, this.image.columns - 1) };
      this.cross.hidden = false;
      this.place(this.cross, this.at.row, this.at.column);
    });
    this.canvas.addEventListener("blur", () => {
      this.cross.hidden = true;
      this.rest();
    });
  }

  private save(): void {
    const { image } = this;
    if (image === null) return;
    this.canvas.toBlob((blob) => {
      if (blob !== null) download(`${image.file}.png`, blob);
    });
  }
}

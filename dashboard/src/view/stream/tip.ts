// Input: a hovered or selected position. Output: a box of text beside the position, a line through it, and a sentence for screen readers.

import { h, setAttribute, setText } from "../dom.ts";
import { colour } from "../theme.ts";
import { AXIS_HEIGHT } from "./draw.ts";
import type { Box } from "./draw.ts";
import type { Words } from "./words.ts";

/** A position of the drawing, with its text. */
export interface Place {
  readonly words: Words;
  /** CSS pixels in the canvas. */
  readonly x: number;
  readonly y: number;
}

/** Shows the text of one position: of the hovered position, else of the selected position. */
export class Tip {
  readonly box = h("div", { class: "tip", role: "tooltip", testid: "stream-tip", hidden: true });
  readonly said = h("p", { class: "said", role: "status", testid: "stream-said" });
  private readonly canvas: HTMLCanvasElement;
  private readonly size: () => Box;
  private pinned: Place | null = null;
  private hovered: Place | null = null;

  /** `canvas` is above the drawing; `size` returns the current size of the drawing. */
  constructor(canvas: HTMLCanvasElement, size: () => Box) {
    this.canvas = canvas;
    this.size = size;
  }

  /** Shows a position while the pointer is there. */
  point(place: Place | null): void {
    this.hovered = place;
    if (place !== null || this.pinned === null) this.show(place);
  }

  /** Shows a position until the next selection. */
  pin(place: Place | null): void {
    this.pinned = place;
    this.show(place);
    setText(this.said, place === null ? "" : place.words.lines.join(" · "));
  }

  /** Draws the line, on a separate canvas: a moved line redraws no lane. */
  draw(): void {
    const context = this.canvas.getContext("2d");
    const place = this.hovered ?? this.pinned;
    const { width, height, ratio } = this.size();
    if (context === null) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (place === null) return;
    context.strokeStyle = colour("--muted");
    context.globalAlpha = 0.7;
    context.beginPath();
    context.moveTo(Math.round(place.x) + 0.5, AXIS_HEIGHT);
    context.lineTo(Math.round(place.x) + 0.5, height);
    context.stroke();
    context.globalAlpha = 1;
  }

  private show(place: Place | null): void {
    const { box } = this;
    const { width, height } = this.size();
    box.hidden = place === null;
    this.draw();
    if (place === null) return;
    box.replaceChildren(...place.words.lines.map((line, at) => h(at === 0 ? "strong" : "span", {}, line)));
    setAttribute(box, "data-kind", place.words.kind);
    const canvas = this.canvas.getBoundingClientRect();
    const parent = box.offsetParent?.getBoundingClientRect() ?? canvas;
    const tip = box.getBoundingClientRect();
    const left = Math.min(Math.max(place.x + 14, 4), width - tip.width - 4);
    const below = place.y + 18;
    const top = below + tip.height > height + 40 ? place.y - tip.height - 12 : below;
    box.style.left = `${canvas.left - parent.left + Math.max(4, left)}px`;
    box.style.top = `${canvas.top - parent.top + top}px`;
  }
}

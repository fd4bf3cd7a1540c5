// The task stream: past and present tasks of every thread of every server. Input: the store of tasks. Output: a drawing with zoom and pan.

import { count, plural, span } from "../../model/format.ts";
import { growth } from "../../model/tasks.ts";
import type { ServerMark, TaskStore } from "../../model/tasks.ts";
import { h, setAttribute, setText, wantsStillness, whenSeen } from "../dom.ts";
import { onTheme } from "../theme.ts";
import { AXIS_HEIGHT, MARKS_HEIGHT, Painter } from "./draw.ts";
import type { Box, View } from "./draw.ts";
import { counted, find, nth } from "./find.ts";
import { listen } from "./gestures.ts";
import { Legend } from "./legend.ts";
import { MarkLog } from "./marks.ts";
import { rowAt, rows } from "./rows.ts";
import type { Grouping, Row } from "./rows.ts";
import { Tip } from "./tip.ts";
import type { Place } from "./tip.ts";
import { ofMarks, ofTask } from "./words.ts";
import type { Words } from "./words.ts";

const GUTTER = 118;
const NARROW_GUTTER = 78;
const MOST_HEIGHT = 460;
// With more lanes than this, the first view shows one row for each server.
const MANY_LANES = 120;
const LEAST_SECONDS = 20e-6;
const GROWTH_MS = 250;
const STILL_GROWTH_MS = 1000;

/** How the view follows the run: the whole run, the latest part, or not at all. */
type Follow = "all" | "latest" | "none";

/** The task stream. */
export class Stream {
  private readonly store: TaskStore;
  private readonly sum: HTMLElement;
  private readonly base = h("canvas", { "aria-hidden": "true", testid: "stream-canvas" });
  private readonly front = h("canvas", {
    class: "front",
    tabindex: 0,
    role: "application",
    "aria-label": "Task stream",
    "aria-roledescription": "timeline",
    "aria-describedby": "stream-keys stream-sum",
    testid: "stream-front",
  });
  private readonly stick = h("div", { class: "stick" }, this.base, this.front);
  private readonly space = h("div", { class: "space" }, this.stick);
  private readonly scroller = h("div", { class: "lanes", tabindex: -1 }, this.space);
  private readonly tip = new Tip(this.front, () => this.box);
  private readonly empty = h("p", { class: "empty" }, "No task has been heard of yet.");
  private readonly legend = new Legend(() => this.redraw());
  private readonly latest = this.button("Latest 10 s", "stream-latest", () => this.showLatest());
  private readonly whole = this.button("Whole run", "stream-whole", () => this.fit());
  private readonly grouped = h(
    "select",
    { "aria-label": "Rows", testid: "stream-rows", onchange: () => this.group(this.grouped.value as Grouping) },
    h("option", { value: "lanes" }, "a row per thread"),
    h("option", { value: "servers" }, "a row per server"),
  );
  private readonly log: MarkLog;
  private readonly painter = new Painter(this.base);
  private grouping: Grouping = "lanes";
  private chosenGrouping = false;
  private rows: Row[] = [];
  private height = 0;
  /** Width of the drawing, CSS pixels, from an observer: a query would cause a layout for every frame. */
  private width = 0;
  private marks: { mark: ServerMark; seconds: number; kind: string }[] = [];
  private view: View = { from: 0, to: 1 };
  private follow: Follow = "all";
  private ended = false;
  private seen = true;
  private drawing = 0;
  private version = -1;
  private box: Box = { width: 0, height: 0, gutter: GUTTER, top: AXIS_HEIGHT, ratio: 1 };
  private keyRow = 0;
  private keyTask = -1;
  private grownMs = 0;

  constructor(root: HTMLElement, sum: HTMLElement, store: TaskStore) {
    this.store = store;
    this.sum = sum;
    const tools = h(
      "div",
      { class: "tools" },
      this.whole,
      this.latest,
      this.button("−", "stream-out", () => this.zoom(1.6), "Zoom out"),
      this.button("+", "stream-in", () => this.zoom(1 / 1.6), "Zoom in"),
      this.grouped,
    );
    this.log = new MarkLog();
    const keys = h(
      "p",
      { class: "note", id: "stream-keys" },
      h("span", { class: "keys" }, "Drag to pan. Click into it, then the wheel zooms (Ctrl + wheel always does). Keys: + − zoom, ← → pan, ↑ ↓ rows, , . tasks of a row, 0 whole run."),
      h("span", { class: "fingers" }, "One finger pans, two zoom, a tap shows the task."),
    );
    sum.after(tools);
    root.append(this.legend.box, this.empty, this.scroller, this.tip.box, this.tip.said, keys, this.log.box);
    listen(this.front, {
      zoom: (factor, x) => this.zoom(factor, x),
      move: (left, up) => {
        this.scroller.scrollTop += up;
        if (left !== 0) this.pan((left / (this.box.width - this.box.gutter)) * (this.view.to - this.view.from));
      },
      point: (at) => this.tip.point(at === null ? null : this.find(at.x, at.y)),
      pin: (at) => this.tip.pin(at === null ? null : this.find(at.x, at.y)),
      fit: () => this.fit(),
      key: (name) => this.key(name),
    });
    this.scroller.addEventListener("scroll", () => this.redraw());
    onTheme(() => this.redraw());
    whenSeen(this.scroller, (seen) => {
      this.seen = seen;
      this.redraw();
    });
    new ResizeObserver((entries) => {
      this.width = Math.floor(entries.at(-1)?.contentRect.width ?? 0);
      this.redraw();
    }).observe(this.space);
    setInterval(() => this.grow(), GROWTH_MS);
  }

  /** Shows the content of the store; `over` after the end of the job. */
  update(over: boolean): void {
    const turned = this.ended !== over;
    this.ended = over;
    this.latest.hidden = over;
    if (over && this.follow === "latest") this.follow = "none";
    if (this.version === this.store.version && !turned) return;
    this.version = this.store.version;
    this.marks = this.store.marks().map(({ mark, seconds }) => ({ mark, seconds, kind: mark.kind }));
    this.log.update(this.marks);
    this.arrange();
    this.tell();
    this.redraw();
  }

  private arrange(): void {
    let made = rows(this.store, this.grouping);
    if (!this.chosenGrouping && this.grouping === "lanes" && made.rows.length > MANY_LANES) {
      this.grouping = "servers";
      this.grouped.value = "servers";
      made = rows(this.store, this.grouping);
    }
    this.rows = made.rows;
    this.height = made.height;
    this.empty.hidden = this.rows.length > 0;
    this.scroller.hidden = this.rows.length === 0;
  }

  /** Updates the legend and the summary. */
  private tell(): void {
    this.legend.update(this.store);
    const tasks = this.store.totals().reduce((sum, total) => sum + total.count, 0);
    const running = this.ended ? 0 : [...this.store.servers.values()].reduce((sum, server) => sum + server.running.length, 0);
    const [first, last] = this.store.extent();
    setText(
      this.sum,
      `${plural(tasks, "task")} on ${plural(this.store.servers.size, "server")} in ${span((last - first) * 1e6)}${running > 0 ? `, ${count(running)} running` : ""}`,
    );
  }

  /** Schedules one drawing with the next frame of the screen. */
  private redraw(): void {
    if (this.drawing !== 0 || !this.seen || this.rows.length === 0) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw();
    });
  }

  private draw(): void {
    const began = performance.now();
    this.measure();
    this.move();
    if (this.box.width - this.box.gutter < 20) return;
    const scrolled = this.scroller.scrollTop;
    this.painter.draw({
      store: this.store,
      rows: this.rows,
      view: this.view,
      box: this.box,
      scrolled,
      shown: this.legend.shown,
      nowMs: this.ended ? null : performance.now(),
      marks: this.marks,
    });
    this.tip.draw();
    setAttribute(this.whole, "aria-pressed", String(this.follow === "all"));
    setAttribute(this.latest, "aria-pressed", String(this.follow === "latest"));
    // For tests and diagnosis: the duration of the drawing, and the visible interval.
    this.front.dataset["lastMs"] = (performance.now() - began).toFixed(2);
    this.front.dataset["view"] = `${this.view.from.toFixed(6)},${this.view.to.toFixed(6)}`;
  }

  private measure(): void {
    const { width } = this;
    const top = AXIS_HEIGHT + (this.marks.length > 0 ? MARKS_HEIGHT : 0);
    const height = Math.min(MOST_HEIGHT, top + this.height + 2);
    const gutter = width < 560 ? NARROW_GUTTER : GUTTER;
    const ratio = Math.min(3, devicePixelRatio || 1);
    const old = this.box;
    this.space.style.height = `${top + this.height + 2}px`;
    this.scroller.style.height = `${height}px`;
    if (old.width === width && old.height === height && old.gutter === gutter && old.top === top && old.ratio === ratio) return;
    this.box = { width, height, gutter, top, ratio };
    for (const canvas of [this.base, this.front]) {
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    [this.front.width, this.front.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  }

  /** Follows the run, if this is active. */
  private move(): void {
    if (this.follow === "none") return;
    const [first, last] = this.extent();
    if (this.follow === "all") this.view = { from: first, to: last + 0.01 * (last - first) };
    else this.view = { from: last - (this.view.to - this.view.from), to: last };
  }

  /** The interval of the run so far. */
  private extent(): [number, number] {
    return this.store.extent(this.ended ? null : performance.now());
  }

  private grow(): void {
    if (this.ended || document.hidden || !this.seen) return;
    const now = performance.now();
    if (now - this.grownMs < (wantsStillness() ? STILL_GROWTH_MS : GROWTH_MS) - 5) return;
    this.grownMs = now;
    // Between two responses, only running tasks move.
    if ([...this.store.servers.values()].some((server) => server.running.some((task) => growth(server, task, now) > 0))) this.redraw();
  }

  private fit(): void {
    this.follow = "all";
    this.redraw();
  }

  private showLatest(): void {
    const [first, last] = this.extent();
    this.follow = "latest";
    this.view = { from: Math.max(first, last - 10), to: last };
    this.redraw();
  }

  private group(grouping: Grouping): void {
    this.grouping = grouping;
    this.chosenGrouping = true;
    this.keyRow = 0;
    this.keyTask = -1;
    this.tip.point(null);
    this.arrange();
    this.redraw();
  }

  /** Zooms by `factor` around `x` CSS pixels, or around the middle. */
  private zoom(factor: number, x = (this.box.gutter + this.box.width) / 2): void {
    const [first, last] = this.extent();
    const { from, to } = this.view;
    const width = Math.min(Math.max((to - from) * factor, LEAST_SECONDS), 1.2 * (last - first));
    const at = this.timeAt(x);
    const share = (at - from) / (to - from);
    if (this.follow === "latest" && factor < 1) this.view = { from: to - width, to };
    else {
      this.follow = "none";
      this.look(at - share * width, width);
    }
    this.tip.point(null);
    this.redraw();
  }

  private pan(seconds: number): void {
    this.follow = "none";
    this.look(this.view.from + seconds, this.view.to - this.view.from);
    this.tip.point(null);
    this.redraw();
  }

  /** Shows `width` seconds from `from` on, within the run. */
  private look(from: number, width: number): void {
    const [first, last] = this.extent();
    const margin = 0.5 * width;
    const start = Math.min(Math.max(from, first - margin), Math.max(first - margin, last + margin - width));
    this.view = { from: start, to: start + width };
  }

  private timeAt(x: number): number {
    return this.view.from + ((x - this.box.gutter) / (this.box.width - this.box.gutter)) * (this.view.to - this.view.from);
  }

  private xAt(seconds: number): number {
    return this.box.gutter + ((seconds - this.view.from) / (this.view.to - this.view.from)) * (this.box.width - this.box.gutter);
  }

  /** The item at (x, y) CSS pixels of the canvas. */
  private find(x: number, y: number): Place | null {
    if (x < this.box.gutter) return null;
    const words = y < this.box.top ? this.markAt(x) : this.taskAt(x, y);
    return words === null ? null : { words, x, y };
  }

  private markAt(x: number): Words | null {
    const near = this.marks.filter(({ seconds }) => Math.abs(this.xAt(seconds) - x) <= 6);
    return near.length > 0 ? ofMarks(near) : null;
  }

  private taskAt(x: number, y: number): Words | null {
    const row = rowAt(this.rows, y - this.box.top + this.scroller.scrollTop);
    if (row === undefined) return null;
    const perPixel = (this.view.to - this.view.from) / (this.box.width - this.box.gutter);
    return find(this.store, row, this.timeAt(x), perPixel, this.legend.shown, this.ended ? null : performance.now());
  }

  private key(name: string): boolean {
    const tenth = 0.1 * (this.view.to - this.view.from);
    const keys: Record<string, () => void> = {
      "+": () => this.zoom(1 / 1.6),
      "=": () => this.zoom(1 / 1.6),
      "-": () => this.zoom(1.6),
      ArrowLeft: () => this.pan(-tenth),
      ArrowRight: () => this.pan(tenth),
      ArrowUp: () => this.stepRow(-1),
      ArrowDown: () => this.stepRow(1),
      ",": () => this.stepTask(-1),
      ".": () => this.stepTask(1),
      "0": () => this.fit(),
      Home: () => this.pan(this.extent()[0] - this.view.from),
      End: () => this.pan(this.extent()[1] - this.view.to),
      Escape: () => this.tip.pin(null),
    };
    const act = keys[name];
    act?.();
    return act !== undefined;
  }

  private stepRow(by: number): void {
    this.keyRow = Math.min(Math.max(0, this.keyRow + by), this.rows.length - 1);
    this.keyTask = -1;
    const row = this.rows[this.keyRow];
    if (row === undefined) return;
    const visible = this.box.height - this.box.top;
    if (row.y < this.scroller.scrollTop) this.scroller.scrollTop = row.y;
    if (row.y + row.height > this.scroller.scrollTop + visible) this.scroller.scrollTop = row.y + row.height - visible;
    this.stepTask(1);
  }

  /** Selects and shows a neighbouring task of the row. */
  private stepTask(by: number): void {
    const row = this.rows[this.keyRow];
    if (row === undefined) return;
    const { length, before } = counted(this.store, row, this.view.from);
    this.keyTask = Math.min(Math.max(0, this.keyTask < 0 ? before : this.keyTask + by), length - 1);
    const step = nth(row, this.keyTask);
    if (step === null) return;
    const { start, lane, at } = step;
    const middle = this.store.seconds(start, lane.start[at]!) + lane.duration[at]! / 2e6;
    if (middle < this.view.from || middle > this.view.to) this.pan(middle - (this.view.from + this.view.to) / 2);
    const y = this.box.top + row.y - this.scroller.scrollTop + row.height / 2;
    this.tip.pin({ words: ofTask(this.store, start, lane, at), x: this.xAt(middle), y });
    this.redraw();
  }

  private button(text: string, testid: string, act: () => void, label: string | null = null): HTMLButtonElement {
    return h("button", { type: "button", class: "button small", testid, "aria-label": label, onclick: act }, text);
  }
}

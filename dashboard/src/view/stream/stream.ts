// The task stream: what every thread of every server did and does. Tasks of all servers come in, a drawing to be moved through goes out.

import { bytes, count, percent, plural, span } from "../../model/format.ts";
import { KINDS } from "../../model/lane.ts";
import { growth } from "../../model/tasks.ts";
import type { ServerMark, TaskStore } from "../../model/tasks.ts";
import { h, setAttribute, setText, wantsStillness, whenSeen } from "../dom.ts";
import { colour, onTheme } from "../theme.ts";
import { AXIS_HEIGHT, MARKS_HEIGHT, Painter } from "./draw.ts";
import type { Box, View } from "./draw.ts";
import { MarkLog } from "./marks.ts";
import { rowAt, rows } from "./rows.ts";
import type { Grouping, Row } from "./rows.ts";
import { ofCrowd, ofMarks, ofRunning, ofTask } from "./words.ts";
import type { Words } from "./words.ts";

const GUTTER = 118;
const NARROW_GUTTER = 78;
const MOST_HEIGHT = 460;
// So many lanes are more than anybody scrolls through at first.
const MANY_LANES = 120;
const LEAST_SECONDS = 20e-6;
const GROWTH_MS = 250;
const STILL_GROWTH_MS = 1000;

/** Where the drawing moves by itself: to show all, to keep the latest in sight, or nowhere. */
type Follow = "all" | "latest" | "none";

/** A place that was pointed at. */
interface Place {
  readonly words: Words;
  /** CSS pixels within the canvas. */
  readonly x: number;
  readonly y: number;
}

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
  private readonly tip = h("div", { class: "tip", role: "tooltip", testid: "stream-tip", hidden: true });
  private readonly said = h("p", { class: "said", role: "status", testid: "stream-said" });
  private readonly empty = h("p", { class: "empty" }, "No task has been heard of yet.");
  private readonly legend = h("ul", { class: "legend", "aria-label": "Kinds of tasks", testid: "stream-legend" });
  private readonly chips = KINDS.map((kind, at) => this.chip(kind, at));
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
  private readonly shown = KINDS.map(() => true);
  private grouping: Grouping = "lanes";
  private chosenGrouping = false;
  private rows: Row[] = [];
  private height = 0;
  /** Of the drawing, CSS pixels; observed rather than asked for, which would lay out the page once a frame. */
  private width = 0;
  private marks: { mark: ServerMark; seconds: number; kind: string }[] = [];
  private view: View = { from: 0, to: 1 };
  private follow: Follow = "all";
  private ended = false;
  private seen = true;
  private drawing = 0;
  private version = -1;
  private box: Box = { width: 0, height: 0, gutter: GUTTER, top: AXIS_HEIGHT, ratio: 1 };
  private pinned: Place | null = null;
  private hovered: Place | null = null;
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
      { class: "note keys", id: "stream-keys" },
      "Drag to pan. Click into it, then the wheel zooms (Ctrl + wheel always does). Keys: + − zoom, ← → pan, ↑ ↓ rows, , . tasks of a row, 0 whole run.",
    );
    sum.after(tools);
    root.append(this.legend, this.empty, this.scroller, this.tip, this.said, keys, this.log.box);
    this.legend.append(...this.chips.map((chip) => chip.item));
    this.listen();
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

  /** Shows what the store holds now; `over` when nothing will run any more. */
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

  /** Legend and summary. */
  private tell(): void {
    const totals = this.store.totals();
    const all = totals.reduce((sum, total) => sum + total.busy, 0);
    totals.forEach((total, kind) => {
      const chip = this.chips[kind]!;
      chip.item.hidden = total.count === 0 && !this.runs(kind);
      setText(chip.time, total.count > 0 ? `${span(total.busy)} · ${percent(all > 0 ? total.busy / all : 0)}` : "runs");
      const failed = total.failed > 0 ? `, ${count(total.failed)} failed and tried again` : "";
      setAttribute(chip.button, "title", `${plural(total.count, "task")}, ${bytes(total.bytes)}${failed}. Click to hide or show.`);
    });
    const tasks = totals.reduce((sum, total) => sum + total.count, 0);
    const running = this.ended ? 0 : [...this.store.servers.values()].reduce((sum, server) => sum + server.running.length, 0);
    const [first, last] = this.store.extent();
    setText(
      this.sum,
      `${plural(tasks, "task")} on ${plural(this.store.servers.size, "server")} in ${span((last - first) * 1e6)}${running > 0 ? `, ${count(running)} running` : ""}`,
    );
  }

  private runs(kind: number): boolean {
    for (const server of this.store.servers.values()) if (server.running.some((task) => task.kind === kind)) return true;
    return false;
  }

  /** Draws with the next frame of the screen, once. */
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
      shown: this.shown,
      nowMs: this.ended ? null : performance.now(),
      marks: this.marks,
    });
    this.drawFront();
    setAttribute(this.whole, "aria-pressed", String(this.follow === "all"));
    setAttribute(this.latest, "aria-pressed", String(this.follow === "latest"));
    // For tests, and for who wonders: how long it took, and what shows.
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

  /** Follows the run, where that is wanted. */
  private move(): void {
    if (this.follow === "none") return;
    const [first, last] = this.extent();
    if (this.follow === "all") this.view = { from: first, to: last + 0.01 * (last - first) };
    else this.view = { from: last - (this.view.to - this.view.from), to: last };
  }

  /** The run as far as it has come. */
  private extent(): [number, number] {
    return this.store.extent(this.ended ? null : performance.now());
  }

  private grow(): void {
    if (this.ended || document.hidden || !this.seen) return;
    const now = performance.now();
    if (now - this.grownMs < (wantsStillness() ? STILL_GROWTH_MS : GROWTH_MS) - 5) return;
    this.grownMs = now;
    // Between two answers nothing else moves.
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
    this.point(null);
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
    this.point(null);
    this.redraw();
  }

  private pan(seconds: number): void {
    this.follow = "none";
    this.look(this.view.from + seconds, this.view.to - this.view.from);
    this.point(null);
    this.redraw();
  }

  /** Shows `width` seconds from `from` on, without leaving the run behind. */
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

  /** What lies at (x, y) CSS pixels of the canvas. */
  private find(x: number, y: number): Words | null {
    if (x < this.box.gutter) return null;
    if (y < this.box.top) {
      const near = this.marks.filter(({ seconds }) => Math.abs(this.xAt(seconds) - x) <= 6);
      return near.length > 0 ? ofMarks(near) : null;
    }
    const row = rowAt(this.rows, y - this.box.top + this.scroller.scrollTop);
    if (row === undefined) return null;
    const { server } = row;
    const us = (this.timeAt(x) - this.store.seconds(server, 0)) * 1e6;
    const perPixel = ((this.view.to - this.view.from) * 1e6) / (this.box.width - this.box.gutter);
    const nowMs = this.ended ? null : performance.now();
    if (row.lanes.length === 1) {
      const lane = server.lanes[row.lanes[0]!]!;
      const task = server.running.find((running) => running.lane === row.lanes[0] && us >= running.start && us <= running.start + running.duration + growth(server, running, nowMs));
      if (nowMs !== null && task !== undefined && this.shown[task.kind] === true) return ofRunning(this.store, server, task, task.duration + growth(server, task, nowMs));
      const crowd = lane.before(us + 1.5 * perPixel) - lane.before(us - 1.5 * perPixel);
      const at = lane.near(us, 2 * perPixel);
      if (at >= 0 && (crowd <= 2 || lane.duration[at]! > 3 * perPixel)) return ofTask(this.store, server, lane, at);
      if (at < 0) return null;
    }
    return ofCrowd(this.store, server, row.lanes, us - perPixel, us + perPixel);
  }

  private point(place: Place | null): void {
    this.hovered = place;
    if (place !== null || this.pinned === null) this.showTip(place);
  }

  private pin(place: Place | null): void {
    this.pinned = place;
    this.showTip(place);
    setText(this.said, place === null ? "" : place.words.lines.join(" · "));
  }

  private showTip(place: Place | null): void {
    this.tip.hidden = place === null;
    this.drawFront();
    if (place === null) return;
    this.tip.replaceChildren(...place.words.lines.map((line, at) => h(at === 0 ? "strong" : "span", {}, line)));
    setAttribute(this.tip, "data-kind", place.words.kind);
    const canvas = this.front.getBoundingClientRect();
    const parent = this.tip.offsetParent?.getBoundingClientRect() ?? canvas;
    const tip = this.tip.getBoundingClientRect();
    const left = Math.min(Math.max(place.x + 14, 4), this.box.width - tip.width - 4);
    const below = place.y + 18;
    const top = below + tip.height > this.box.height + 40 ? place.y - tip.height - 12 : below;
    this.tip.style.left = `${canvas.left - parent.left + Math.max(4, left)}px`;
    this.tip.style.top = `${canvas.top - parent.top + top}px`;
  }

  /** The line under the pointer, on a canvas of its own: moving it draws no lane. */
  private drawFront(): void {
    const context = this.front.getContext("2d");
    const place = this.hovered ?? this.pinned;
    if (context === null) return;
    context.setTransform(this.box.ratio, 0, 0, this.box.ratio, 0, 0);
    context.clearRect(0, 0, this.box.width, this.box.height);
    if (place === null) return;
    context.strokeStyle = colour("--muted");
    context.globalAlpha = 0.7;
    context.beginPath();
    context.moveTo(Math.round(place.x) + 0.5, AXIS_HEIGHT);
    context.lineTo(Math.round(place.x) + 0.5, this.box.height);
    context.stroke();
    context.globalAlpha = 1;
  }

  private listen(): void {
    const pointers = new Map<number, { x: number; y: number }>();
    let moved = 0;
    const place = (event: MouseEvent): { x: number; y: number } => {
      const rect = this.front.getBoundingClientRect();
      return { x: event.clientX - rect.left, y: event.clientY - rect.top };
    };
    this.front.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.front.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, place(event));
      moved = 0;
    });
    this.front.addEventListener("pointermove", (event) => {
      const now = place(event);
      const before = pointers.get(event.pointerId);
      if (before === undefined) {
        const words = this.find(now.x, now.y);
        return this.point(words === null ? null : { words, ...now });
      }
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
      if (other !== undefined) {
        const apart = (point: { x: number }): number => Math.max(8, Math.abs(point.x - other.x));
        this.zoom(apart(before) / apart(now), (now.x + other.x) / 2);
      } else if (moved > 4) {
        this.front.dataset["drags"] = "";
        this.scroller.scrollTop -= now.y - before.y;
        this.pan(this.timeAt(before.x) - this.timeAt(now.x));
      }
    });
    const up = (event: PointerEvent): void => {
      if (!pointers.delete(event.pointerId)) return;
      delete this.front.dataset["drags"];
      if (moved > 4 || event.type === "pointercancel") return;
      const now = place(event);
      const words = this.find(now.x, now.y);
      this.pin(words === null ? null : { words, ...now });
    };
    this.front.addEventListener("pointerup", up);
    this.front.addEventListener("pointercancel", up);
    this.front.addEventListener("pointerleave", () => this.point(null));
    this.front.addEventListener("dblclick", () => {
      this.pin(null);
      this.fit();
    });
    // The page scrolls over a drawing that nobody has entered: only then the wheel is for scrolling.
    this.front.addEventListener(
      "wheel",
      (event) => {
        const entered = document.activeElement === this.front;
        if (!entered && !event.ctrlKey) return;
        event.preventDefault();
        const unit = event.deltaMode === 1 ? 16 : 1;
        if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
          const pixels = (event.deltaX || event.deltaY) * unit;
          this.pan((pixels / (this.box.width - this.box.gutter)) * (this.view.to - this.view.from));
        } else {
          this.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY * unit)) * (event.ctrlKey ? 0.006 : 0.003)), place(event).x);
        }
      },
      { passive: false },
    );
    this.scroller.addEventListener("scroll", () => this.redraw());
    this.front.addEventListener("keydown", (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
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
      Escape: () => this.pin(null),
    };
    const act = keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
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

  /** Goes to a neighbouring task of the row, and shows it. */
  private stepTask(by: number): void {
    const row = this.rows[this.keyRow];
    if (row === undefined) return;
    const { server } = row;
    const lane = server.lanes[row.lanes[0]!]!;
    if (lane.length === 0) return;
    const first = lane.before((this.view.from - this.store.seconds(server, 0)) * 1e6);
    this.keyTask = Math.min(Math.max(0, this.keyTask < 0 ? first : this.keyTask + by), lane.length - 1);
    const start = this.store.seconds(server, lane.start[this.keyTask]!);
    const middle = start + lane.duration[this.keyTask]! / 2e6;
    if (middle < this.view.from || middle > this.view.to) this.pan(middle - (this.view.from + this.view.to) / 2);
    const y = this.box.top + row.y - this.scroller.scrollTop + row.height / 2;
    this.pin({ words: ofTask(this.store, server, lane, this.keyTask), x: this.xAt(middle), y });
    this.redraw();
  }

  private chip(kind: string, at: number): { item: HTMLElement; button: HTMLElement; time: HTMLElement } {
    const time = h("span", { class: "note" });
    const button = h(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-pressed": "true",
        testid: `legend-${kind}`,
        onclick: () => {
          this.shown[at] = this.shown[at] !== true;
          setAttribute(button, "aria-pressed", String(this.shown[at]));
          this.redraw();
        },
      },
      h("span", { class: `swatch kind-${kind}` }),
      `${kind} `,
      time,
    );
    return { item: h("li", { hidden: true }, button), button, time };
  }

  private button(text: string, testid: string, act: () => void, label: string | null = null): HTMLButtonElement {
    return h("button", { type: "button", class: "button small", testid, "aria-label": label, onclick: act }, text);
  }
}

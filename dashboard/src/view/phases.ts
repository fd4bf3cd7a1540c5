// A bar for each phase: its progress, its rate and its remaining time.

import { bytes, clock, count, digits, span } from "../model/format.ts";
import { Rate } from "../model/rates.ts";
import { isOver } from "../wire/status.ts";
import type { Phase, Status } from "../wire/status.ts";
import { h, setAttribute, setText } from "./dom.ts";

const UNITS: Readonly<Record<string, string>> = { Load: "frames", Recenter: "frames", Rechunk: "bands", Fft: "bands", Write: "objects" };
const NAMES: Readonly<Record<string, string>> = { Fft: "FFT" };

/** The list of phases. */
export class Phases {
  private readonly root: HTMLElement;
  private readonly rows = new Map<string, Row>();

  constructor(root: HTMLElement) {
    this.root = root;
  }

  /** Shows a status that arrived at `ms` by this page's monotonic clock. */
  update(status: Status, ms: number): void {
    for (const phase of status.phases) {
      let row = this.rows.get(phase.name);
      if (row === undefined) {
        row = new Row(phase.name);
        this.rows.set(phase.name, row);
        this.root.append(row.box);
      }
      row.update(phase, ms, isOver(status));
    }
    for (const [name, row] of this.rows) row.box.hidden = !status.phases.some((phase) => phase.name === name);
  }
}

class Row {
  readonly box: HTMLElement;
  private readonly unit: string;
  private readonly name: string;
  private readonly rate = new Rate();
  private readonly fill = h("div", { class: "fill" });
  private readonly bar: HTMLElement;
  private readonly share = h("span", { class: "share" });
  private readonly done = h("span", { class: "done" });
  private readonly speed = h("span", { class: "speed" });
  private readonly left = h("span", { class: "left" });

  constructor(phase: string) {
    this.name = NAMES[phase] ?? phase;
    this.unit = UNITS[phase] ?? "units";
    this.bar = h("div", { class: "bar", role: "progressbar", "aria-label": this.name, "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
    this.box = h(
      "div",
      { class: "phase", testid: `phase-${phase}` },
      h("h3", {}, this.name),
      this.bar,
      this.share,
      h("p", { class: "figures" }, this.done, this.speed, this.left),
    );
  }

  update(phase: Phase, ms: number, over: boolean): void {
    this.rate.look(ms, phase.done, phase.bytes);
    const share = phase.total > 0 ? Math.min(1, phase.done / phase.total) : 0;
    const complete = phase.done >= phase.total;
    // Rounded down: 100 % means complete.
    const percent = Math.floor(share * 100);
    this.fill.style.transform = `scaleX(${share})`;
    setAttribute(this.bar, "aria-valuenow", String(percent));
    setAttribute(this.box, "data-state", complete ? "done" : phase.done > 0 ? "going" : "waiting");
    setText(this.share, `${percent} %`);
    const unit = phase.total === 1 ? this.unit.replace(/s$/, "") : this.unit;
    const retries = phase.retries > 0 ? `, ${count(phase.retries)} retried` : "";
    setText(this.done, `${count(phase.done)} of ${count(phase.total)} ${unit}${retries}`);
    const took = phase.endedMs - phase.startedMs;
    if (complete || over) {
      const speed = took > 0 && phase.startedMs > 0 ? `${digits((phase.done * 1000) / took)}/s · ${bytes((phase.bytes * 1000) / took)}/s` : "";
      setText(this.speed, speed);
      setText(this.left, complete && phase.startedMs > 0 ? `took ${span(Math.max(0, took) * 1000)}` : "");
    } else {
      const left = this.rate.secondsLeft(phase.total);
      const moving = this.rate.perSecond > 0;
      setText(this.speed, moving ? `${digits(this.rate.perSecond)}/s · ${bytes(this.rate.bytesPerSecond)}/s` : phase.done > 0 ? "waits" : "not begun");
      setText(this.left, left === null ? "" : `about ${clock(Math.ceil(left))} left`);
    }
    setAttribute(this.bar, "aria-valuetext", `${percent} %, ${this.done.textContent ?? ""}${this.left.textContent === "" ? "" : `, ${this.left.textContent ?? ""}`}`);
  }
}

// A row for each server: its resource usage, its waits and its progress.

import { bytes, percent } from "../model/format.ts";
import { VitalsHistory } from "../model/vitals.ts";
import { isOver } from "../wire/status.ts";
import type { Member, Phase, Status } from "../wire/status.ts";
import type { TasksAnswer } from "../wire/tasks.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { colour, onTheme } from "./theme.ts";

const COLUMNS = ["Server", "CPU", "Memory", "In", "Out", "Waits for", "Phases"];
// Updates of a hundred rows four times a second cost too much CPU time.
const LEAST_MS = 900;
const PER_SERVER_MS = 20;

/** The table of servers. */
export class Servers {
  private readonly histories = new Map<number, VitalsHistory>();
  private readonly rows = new Map<number, Row>();
  private readonly body = h("tbody");
  private readonly root: HTMLElement;
  private readonly sum: HTMLElement;
  private drawnMs = -Infinity;
  private answering = "";
  private status: Status | null = null;

  constructor(root: HTMLElement, sum: HTMLElement) {
    this.sum = sum;
    this.root = root;
    const head = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    root.append(h("table", { class: "grid fixed" }, h("thead", {}, head), this.body));
    onTheme(() => this.drawLines());
    root.addEventListener("scroll", () => this.drawLines());
  }

  /** Shows a status that arrived at `ms` by this page's monotonic clock. */
  update(status: Status, ms: number): void {
    for (const member of status.fleet) if (member.vitals !== null) this.history(member.server).look(member.vitals);
    // A lost or recovered server is shown at once.
    const answering = status.fleet.filter((member) => member.answers).map((member) => member.server).join();
    if (answering === this.answering && ms - this.drawnMs < Math.max(LEAST_MS, status.servers * PER_SERVER_MS) && !isOver(status)) return;
    this.answering = answering;
    this.drawnMs = ms;
    this.show(status);
  }

  private show(status: Status): void {
    this.status = status;
    for (const member of status.fleet) {
      let row = this.rows.get(member.server);
      if (row === undefined) {
        row = new Row(member.server, this.history(member.server));
        this.rows.set(member.server, row);
        this.body.append(row.box);
      }
      row.update(member, isOver(status));
    }
    this.drawLines();
    const answering = status.fleet.filter((member) => member.answers).length;
    const usages = status.fleet.map((member) => this.history(member.server).usage);
    const total = (of: "received" | "sent"): string => bytes(usages.reduce((sum, usage) => sum + (usage?.[of] ?? 0), 0));
    const cpu = usages.reduce((total, usage) => total + (usage?.cpu ?? 0), 0) / Math.max(1, usages.length);
    const all = answering === status.servers ? `all ${status.servers} answer` : `${answering} of ${status.servers} answer`;
    setText(this.sum, isOver(status) ? all : `${all} · ${percent(cpu)} CPU · ${total("received")}/s in · ${total("sent")}/s out`);
  }

  /** Adds the samples of a task log from before the page was opened. */
  recall(answer: TasksAnswer): void {
    this.history(answer.server).recall(answer);
    if (this.status !== null && isOver(this.status)) this.show(this.status);
  }

  /** Draws the usage lines of the visible rows. */
  private drawLines(): void {
    const first = this.rows.values().next().value;
    if (first === undefined) return;
    const height = Math.max(1, first.box.offsetHeight);
    const from = Math.floor(this.root.scrollTop / height) - 2;
    const until = from + Math.ceil(this.root.clientHeight / height) + 4;
    let at = 0;
    for (const row of this.rows.values()) {
      if (at >= from && at <= until) row.draw();
      at += 1;
    }
  }

  private history(server: number): VitalsHistory {
    let history = this.histories.get(server);
    if (history === undefined) {
      history = new VitalsHistory();
      this.histories.set(server, history);
    }
    return history;
  }
}

class Row {
  readonly box: HTMLElement;
  private readonly history: VitalsHistory;
  private readonly answers = h("span", { class: "dot" });
  private readonly cpu = h("span", { class: "value" });
  private readonly line = h("canvas", { class: "spark", width: 120, height: 36, "aria-hidden": "true" });
  private readonly memory = h("span", { class: "value wide" });
  private readonly memoryFill = h("div", { class: "fill" });
  private readonly received = h("td", { class: "right" });
  private readonly sent = h("td", { class: "right" });
  private readonly waits = h("td", { class: "waits" });
  private readonly phases = h("td", { class: "minis" });
  private readonly minis = new Map<string, { box: HTMLElement; fill: HTMLElement }>();

  constructor(server: number, history: VitalsHistory) {
    this.history = history;
    this.box = h(
      "tr",
      { testid: `server-${server}` },
      h("th", { scope: "row" }, this.answers, String(server)),
      h("td", { class: "cpu" }, this.line, this.cpu),
      h("td", { class: "memory" }, h("div", { class: "bar small", "aria-hidden": "true" }, this.memoryFill), this.memory),
      this.received,
      this.sent,
      this.waits,
      this.phases,
    );
  }

  update(member: Member, over: boolean): void {
    setAttribute(this.box, "data-answers", String(member.answers));
    const { latest, usage } = this.history;
    setAttribute(this.answers, "title", member.answers ? "answers" : "does not respond");
    setText(this.cpu, usage === null ? "–" : percent(usage.cpu));
    if (latest === null) {
      setText(this.memory, member.peakBytes > 0 ? `peak ${bytes(member.peakBytes)}` : "–");
    } else {
      const limit = latest.memoryLimitBytes;
      setText(this.memory, limit > 0 ? `${bytes(latest.residentBytes)} of ${bytes(limit)}` : bytes(latest.residentBytes));
      setAttribute(this.memory, "title", `at most ${bytes(member.peakBytes)} so far`);
      const share = limit > 0 ? Math.min(1, latest.residentBytes / limit) : 0;
      this.memoryFill.style.transform = `scaleX(${share})`;
      setAttribute(this.memoryFill, "data-level", share > 0.9 ? "high" : "fine");
    }
    setText(this.received, usage === null ? "–" : `${bytes(usage.received)}/s`);
    setText(this.sent, usage === null ? "–" : `${bytes(usage.sent)}/s`);
    const waits = latest?.waits ?? [];
    setText(this.waits, !member.answers ? "does not respond" : over ? "" : waits.length > 0 ? waits.join(", ") : "");
    const parts = member.phases.filter((phase) => phase.total > 0);
    for (const phase of parts) this.mini(phase);
  }

  /** A small bar for each phase; its text is for tooltips and screen readers. */
  private mini({ name, done, total }: Phase): void {
    let mini = this.minis.get(name);
    if (mini === undefined) {
      const fill = h("div", { class: "fill" });
      mini = { box: h("div", { class: "bar mini", role: "img" }, fill), fill };
      this.minis.set(name, mini);
      this.phases.append(mini.box);
    }
    mini.fill.style.transform = `scaleX(${Math.min(1, done / total)})`;
    setAttribute(mini.box, "data-state", done >= total ? "done" : "going");
    setAttribute(mini.box, "title", `${name}: ${done} of ${total}`);
    setAttribute(mini.box, "aria-label", `${name}: ${done} of ${total}`);
  }

  draw(): void {
    const context = this.line.getContext("2d");
    if (context === null) return;
    const { width, height } = this.line;
    context.clearRect(0, 0, width, height);
    const shares = this.history.cpuOverTime(60);
    const y = (share: number): number => height - 2 - share * (height - 4);
    context.beginPath();
    let begun = false;
    shares.forEach((share, at) => {
      if (Number.isNaN(share)) return;
      const x = (at * width) / (shares.length - 1);
      if (!begun) context.moveTo(x, y(share));
      else context.lineTo(x, y(share));
      begun = true;
    });
    if (!begun) return;
    context.strokeStyle = colour("--accent");
    context.lineWidth = 2.5;
    context.stroke();
    context.lineTo(width, height);
    context.lineTo(0, height);
    context.closePath();
    context.globalAlpha = 0.15;
    context.fillStyle = colour("--accent");
    context.fill();
    context.globalAlpha = 1;
  }
}

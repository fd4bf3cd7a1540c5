// The job's name, state and time, its errors, and the state of the connection.

import { clock, count, plural } from "../model/format.ts";
import type { Connection } from "../source/source.ts";
import { isOver } from "../wire/status.ts";
import type { Problem, Status } from "../wire/status.ts";
import { byId, h, setAttribute, setText } from "./dom.ts";

const WORDS: Readonly<Record<string, string>> = {
  Loading: "loading",
  Computing: "computing",
  Writing: "writing",
  Finished: "finished",
  Failed: "failed",
};

// Titles of an error that the job retries. The title of a failure would lead users to stop a healthy job.
const REASONS: Readonly<Record<string, string>> = {
  SourceUnavailable: "The source does not respond",
  ChunkDecodeFailed: "A frame cannot be decoded",
  OutputWriteFailed: "An output cannot be written",
  StoreFailed: "The system refuses memory or a scratch file",
  DiskFull: "The scratch disk is full",
  FileSizeLimit: "A file would exceed the system's limit on its size",
  TooManyOpenFiles: "The system's limit on open files is too low",
  SourceChanged: "The source changed while the job runs",
  InternalError: "ArrayJob has a bug",
  BackoffLimitExceeded: "Servers were lost too often",
  ServerStartFailed: "Servers cannot be started",
  InvalidSpec: "The manifest is wrong",
  InsufficientMemory: "The servers have too little memory",
  StartDeadlineExceeded: "The servers did not start in time",
  DeadlineExceeded: "The job did not end in time",
};

/** The top of the page. */
export class Header {
  private readonly failure = banner("bad", "failure", "alert");
  private readonly trouble = banner("warn", "trouble", "status");
  private readonly connection = banner("warn", "connection", "status");
  private status: Status | null = null;
  private madeMs = 0;
  /** This page's clock minus the servers' clock, ms. */
  private skewMs = Infinity;
  private lostUntil = 0;
  private lostWhy = "";

  constructor() {
    byId("banners").append(this.failure.box, this.trouble.box, this.connection.box);
    setInterval(() => this.tick(), 1000);
  }

  /** Shows a status. */
  update(status: Status): void {
    this.status = status;
    document.title = `${status.job} - ArrayJob`;
    setText(byId("job"), status.job);
    const state = byId("state");
    setText(state, WORDS[status.state] ?? status.state.toLowerCase());
    setAttribute(state, "data-state", status.state);
    const facts = [
      plural(status.servers, "server"),
      ...(status.outputs.total > 0 ? [`${status.outputs.written} of ${plural(status.outputs.total, "output")} written`] : []),
      ...(status.blank.length > 0 ? [`${plural(status.blank.length, "blank frame")} (${few(status.blank)})`] : []),
    ];
    setText(byId("facts"), facts.join(" · "));
    showProblem(this.failure, status.failure, "The job failed");
    showProblem(this.trouble, status.failure === null ? status.trouble : null, "Retrying after an error");
    const own = status.fleet.find((member) => member.server === status.server)?.vitals;
    if (own) this.skewMs = Math.min(this.skewMs, Date.now() - own.atMs);
    this.tick();
  }

  /** Shows the state of the connection. */
  connected(connection: Connection): void {
    if (connection.kind === "recorded") {
      this.madeMs = connection.madeMs;
      byId("report-link").hidden = true;
      byId("arrays-link").hidden = true;
      const when = new Date(connection.madeMs);
      this.connection.show("Report", `made ${when.toISOString().replace("T", " ").slice(0, 19)} UTC. The report sends no requests; values that the report does not contain are marked.`);
      setAttribute(this.connection.box, "data-kind", "recorded");
      return;
    }
    setAttribute(this.connection.box, "data-kind", connection.kind);
    if (connection.kind === "lost") {
      this.lostUntil = Date.now() + connection.seconds * 1000;
      this.lostWhy = connection.why;
    } else {
      this.lostUntil = 0;
      this.connection.hide();
    }
    this.tick();
  }

  private tick(): void {
    if (this.lostUntil > 0) {
      const left = Math.max(0, Math.ceil((this.lostUntil - Date.now()) / 1000));
      const known = this.status === null ? "" : " What this page shows is what it last heard.";
      this.connection.show("No news of the job:", `${this.lostWhy}. ${left > 0 ? `Next attempt in ${left} s.` : "Trying …"}${known}`);
    }
    if (this.status === null) return;
    setText(byId("elapsed"), elapsedText(this.status, this.now()));
  }

  /** The current time by the servers' clock, ms of Unix time. */
  private now(): number {
    if (this.madeMs > 0) return this.madeMs;
    return Date.now() - (Number.isFinite(this.skewMs) && Math.abs(this.skewMs) > 2000 ? this.skewMs : 0);
  }
}

/** Start of the job, ms of Unix time; 0 before the start. */
export function startedMs(status: Status): number {
  return status.phases.reduce((least, phase) => (phase.startedMs > 0 && (least === 0 || phase.startedMs < least) ? phase.startedMs : least), 0);
}

function elapsedText(status: Status, nowMs: number): string {
  const started = startedMs(status);
  if (started === 0) return "not started";
  const ended = status.phases.reduce((latest, phase) => Math.max(latest, phase.endedMs), 0);
  const ms = (isOver(status) ? Math.max(ended, started) : nowMs) - started;
  return isOver(status) && ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : clock(ms / 1000);
}

interface Banner {
  readonly box: HTMLElement;
  show(title: string, text: string): void;
  hide(): void;
}

function banner(kind: string, testid: string, role: string): Banner {
  const title = h("strong");
  const text = h("span");
  const box = h("p", { class: `banner ${kind}`, role, testid, hidden: true }, title, " ", text);
  return {
    box,
    show: (head, body) => {
      setText(title, head);
      setText(text, body);
      box.hidden = false;
    },
    hide: () => {
      box.hidden = true;
    },
  };
}

function showProblem(banner: Banner, problem: Problem | null, head: string): void {
  if (problem === null) return banner.hide();
  const where = problem.server === null ? "" : ` (server ${problem.server})`;
  banner.show(`${head}: ${REASONS[problem.reason] ?? problem.reason}${where}.`, problem.message);
}

function few(frames: readonly number[]): string {
  const shown = frames.slice(0, 6).map(count).join(", ");
  return frames.length > 6 ? `${shown}, …` : shown;
}

// Polls the new tasks of every server once a second while the page is visible and the job may have new tasks.

import type { TaskStore } from "../model/tasks.ts";
import { readTasks } from "../wire/tasks.ts";
import type { TasksAnswer } from "../wire/tasks.ts";
import { isOver } from "../wire/status.ts";
import type { Status } from "../wire/status.ts";
import type { Source } from "./source.ts";

const EVERY_MS = 1000;
// With many servers, each server is polled less often, so that ten open pages cause little load.
const PER_SERVER_MS = 30;
const LONGEST_PAUSE_MS = 15_000;
// A response after the end of the job may predate the end of the last task; the poll stops after this number of empty responses.
const QUIET_ANSWERS = 2;

/** State of the requests to one server. */
interface Asked {
  busy: boolean;
  nextMs: number;
  failures: number;
  quiet: number;
}

/** Keeps a store of tasks up to date. */
export class TaskPoll {
  private readonly source: Source;
  private readonly store: TaskStore;
  private readonly onAnswer: (answer: TasksAnswer) => void;
  private readonly asked = new Map<number, Asked>();
  private status: Status | null = null;

  constructor(source: Source, store: TaskStore, onAnswer: (answer: TasksAnswer) => void) {
    this.source = source;
    this.store = store;
    this.onAnswer = onAnswer;
    setInterval(() => this.turn(), 200);
    document.addEventListener("visibilitychange", () => this.turn());
  }

  /** Processes a status. */
  update(status: Status): void {
    const first = this.status === null;
    this.status = status;
    if (first) this.turn();
  }

  private turn(): void {
    const { status } = this;
    if (status === null || document.hidden) return;
    const over = isOver(status);
    const now = performance.now();
    for (let server = 0; server < status.servers; server++) {
      let asked = this.asked.get(server);
      if (asked === undefined) {
        asked = { busy: false, nextMs: 0, failures: 0, quiet: 0 };
        this.asked.set(server, asked);
      }
      if (!over) asked.quiet = 0;
      // A server that is being replaced has no tasks, and a failed request is an error in the browser's console.
      if (!this.source.recorded && status.fleet.some((member) => member.server === server && !member.works)) continue;
      if (asked.busy || now < asked.nextMs || asked.quiet >= QUIET_ANSWERS) continue;
      void this.ask(server, asked, over, Math.max(EVERY_MS, status.servers * PER_SERVER_MS));
    }
  }

  private async ask(server: number, asked: Asked, over: boolean, everyMs: number): Promise<void> {
    asked.busy = true;
    const began = performance.now();
    let pause = everyMs;
    try {
      const since = this.source.recorded ? "" : this.store.since(server);
      const answer = readTasks(await this.source.get(`api/v1/servers/${server}/tasks${since}`, "page"));
      asked.failures = 0;
      asked.quiet = this.source.recorded ? QUIET_ANSWERS : over && answer.finished === 0 && answer.running === 0 ? asked.quiet + 1 : 0;
      this.store.apply(answer, performance.now());
      this.onAnswer(answer);
    } catch {
      // The table of servers shows a server without responses; the lanes of the server stay unchanged.
      asked.failures += 1;
      if (this.source.recorded) asked.quiet = QUIET_ANSWERS;
      pause = Math.min(everyMs * 2 ** asked.failures, LONGEST_PAUSE_MS);
    } finally {
      asked.busy = false;
      asked.nextMs = began + pause;
    }
  }
}

// Responses over the network: a limited number of requests at a time, requests of a person first.

import { readStatus } from "../wire/status.ts";
import type { Status } from "../wire/status.ts";
import { Refused, isAbort, sentence } from "./source.ts";
import type { Connection, Priority, Source } from "./source.ts";

// A browser opens 6 connections to one HTTP/1.1 server; the event stream uses one of them.
const AT_A_TIME = 4;
// The server may hold a slice request for 30 s during a computation. Requests of the other priority continue meanwhile.
const OF_ONE_PRIORITY = 3;
const FIRST_PAUSE_SECS = 1;
const LONGEST_PAUSE_SECS = 15;
// Events come at least once a second during the job, and every 5 s afterwards.
const SILENCE_MS = 16_000;

const HOW_TO_GET_IN =
  "the server does not accept this page's token (any more). Open the address that `arrayjob serve` or `kubectl arrayjob open` prints: it carries the token";

interface Waiting {
  readonly url: string;
  readonly priority: Priority;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (body: ArrayBuffer) => void;
  readonly reject: (error: unknown) => void;
}

/** A server of the job, over HTTP. */
export class Live implements Source {
  readonly recorded = false;
  private readonly waiting: Waiting[] = [];
  private lost = false;
  private readonly inFlight = { person: 0, page: 0 };

  get(url: string, priority: Priority, signal?: AbortSignal): Promise<ArrayBuffer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ url, priority, signal, resolve, reject });
      this.start();
    });
  }

  watch(onStatus: (status: Status) => void, onConnection: (connection: Connection) => void): void {
    let pause = FIRST_PAUSE_SECS;
    let watchdog = 0;
    const heard = (text: string): void => {
      this.lost = false;
      onConnection({ kind: "open" });
      onStatus(readStatus(text));
      this.start();
    };
    const lost = (why: string, again: () => void, held = true): void => {
      clearTimeout(watchdog);
      this.lost = held;
      onConnection({ kind: "lost", why, seconds: pause });
      window.setTimeout(again, pause * 1000);
      pause = Math.min(2 * pause, LONGEST_PAUSE_SECS);
    };
    const open = (): void => {
      const events = new EventSource(new URL("api/v1/events", document.baseURI));
      let received = false;
      const alive = (): void => {
        clearTimeout(watchdog);
        watchdog = window.setTimeout(() => {
          events.close();
          lost(received ? "its events stopped" : "it sends no events; the server may have no job yet", open);
        }, SILENCE_MS);
      };
      events.addEventListener("status", (event) => {
        pause = FIRST_PAUSE_SECS;
        received = true;
        alive();
        heard(String((event as MessageEvent).data));
      });
      // An EventSource does not report the cause of a failure; a plain request does.
      events.addEventListener("error", () => {
        clearTimeout(watchdog);
        events.close();
        this.lost = true;
        ask(() => lost("its events broke off", open, false));
      });
      alive();
    };
    /** Requests a status until the server responds again. The console shows a failed request; an EventSource would add a second error. */
    const ask = (then: () => void): void => {
      fetchBody("api/v1/status").then(
        (body) => {
          heard(new TextDecoder().decode(body));
          then();
        },
        (error: unknown) => {
          // A server without a job sends an event as soon as a job arrives.
          const waits = error instanceof Refused && error.status === 503;
          lost(sentence(error), waits ? open : () => ask(open));
        },
      );
    };
    onConnection({ kind: "connecting" });
    open();
  }

  private start(): void {
    for (;;) {
      const next = this.next();
      if (next === undefined) return;
      if (next.signal?.aborted === true) {
        next.reject(new DOMException("given up", "AbortError"));
        continue;
      }
      this.inFlight[next.priority] += 1;
      fetchBody(next.url, next.signal)
        .then(next.resolve, next.reject)
        .finally(() => {
          this.inFlight[next.priority] -= 1;
          this.start();
        });
    }
  }

  private next(): Waiting | undefined {
    // No request during a lost connection: the header shows the loss, and waiting requests start with the next status.
    if (this.lost) return undefined;
    if (this.inFlight.person + this.inFlight.page >= AT_A_TIME) return undefined;
    for (const priority of ["person", "page"] as const) {
      if (this.inFlight[priority] >= OF_ONE_PRIORITY) continue;
      const at = this.waiting.findIndex((waiting) => waiting.priority === priority);
      if (at >= 0) return this.waiting.splice(at, 1)[0];
    }
    return undefined;
  }
}

async function fetchBody(url: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  let response: Response;
  try {
    response = await fetch(new URL(url, document.baseURI), signal === undefined ? {} : { signal });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Refused(0, "the server does not respond");
  }
  if (!response.ok) throw await refusal(response);
  try {
    return await response.arrayBuffer();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Refused(0, "the server broke off its answer");
  }
}

async function refusal(response: Response): Promise<Refused> {
  if (response.status === 401) return new Refused(401, HOW_TO_GET_IN);
  const text = await response.text().catch(() => "");
  try {
    const json = JSON.parse(text) as { error?: unknown; reason?: unknown };
    if (typeof json.error === "string") return new Refused(response.status, json.error, typeof json.reason === "string" ? json.reason : "");
  } catch {
    // Some error responses are not JSON: unknown parameters return a line of text.
  }
  return new Refused(response.status, text.trim() === "" || text.length > 300 ? `the server answers with status ${response.status}` : text.trim());
}

// Where answers come from: a server over the network, or a report that carries them. The rest of the page cannot tell which.

import type { Status } from "../wire/status.ts";

/** Who asks: a person who waits for it, or the page by itself. */
export type Priority = "person" | "page";

/** Whether statuses arrive. */
export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** `seconds` until the next attempt. */
  | { readonly kind: "lost"; readonly why: string; readonly seconds: number }
  | { readonly kind: "recorded"; readonly madeMs: number };

/** Answers to GET requests by URL relative to the page. */
export interface Source {
  /** Whether answers are those of a report. Then requests must be exactly those that the report carries. */
  readonly recorded: boolean;
  /** Resolves to the body, rejects with `Refused` or an `AbortError`. */
  get(url: string, priority: Priority, signal?: AbortSignal): Promise<ArrayBuffer>;
  /** Begins to tell of every status, and of the connection. Called once. */
  watch(onStatus: (status: Status) => void, onConnection: (connection: Connection) => void): void;
}

/** What the server says instead of an answer: its sentence is the message. */
export class Refused extends Error {
  /** HTTP status; 0 when nothing answered, 404 for what a report does not carry. */
  readonly status: number;
  /** As in a job's status, where one fits. */
  readonly reason: string;

  constructor(status: number, message: string, reason = "") {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  /** Whether the same request may succeed later. */
  get later(): boolean {
    return this.status === 503 || this.status === 0;
  }
}

/** Whether a request was given up by the page itself. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** One sentence for people. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

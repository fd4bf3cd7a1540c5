// Where responses come from: a server over the network, or a report that contains them. The rest of the page sees no difference.

import type { Status } from "../wire/status.ts";

/** The origin of a request: a person who waits for the response, or the page itself. */
export type Priority = "person" | "page";

/** State of the connection that delivers statuses. */
export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** `seconds` until the next attempt. */
  | { readonly kind: "lost"; readonly why: string; readonly seconds: number }
  | { readonly kind: "recorded"; readonly madeMs: number };

/** Responses to GET requests by URL relative to the page. */
export interface Source {
  /** Whether responses come from a report. Then the page may send exactly the requests that the report contains. */
  readonly recorded: boolean;
  /** Resolves to the body; rejects with `Refused` or an `AbortError`. */
  get(url: string, priority: Priority, signal?: AbortSignal): Promise<ArrayBuffer>;
  /** Starts to report every status, and the state of the connection. Called once. */
  watch(onStatus: (status: Status) => void, onConnection: (connection: Connection) => void): void;
}

/** An error response. Its message is the server's sentence. */
export class Refused extends Error {
  /** HTTP status; 0 without a response, 404 for a request that the report does not contain. */
  readonly status: number;
  /** A reason of a job's status, or empty. */
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

/** Whether the page itself cancelled the request. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The message of an error, for people. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

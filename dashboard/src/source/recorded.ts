// Responses from a report instead of the network.

import { readStatus } from "../wire/status.ts";
import type { Status } from "../wire/status.ts";
import { Refused } from "./source.ts";
import type { Connection, Priority, Source } from "./source.ts";

/** The message for a response that the report does not contain. */
export const NOT_IN_REPORT = "not in this report";

interface Answer {
  readonly type: string;
  readonly body?: string;
  readonly base64?: string;
  /** Whether the decoded base64 is gzip data. */
  readonly gzip?: boolean;
}

/** A report: responses by relative URL, and the time of the report (ms of Unix time). */
export class Recorded implements Source {
  readonly recorded = true;
  private readonly madeMs: number;
  private readonly answers: Readonly<Record<string, Answer>>;

  constructor(text: string) {
    const json = JSON.parse(text) as { made_ms?: number; answers?: Record<string, Answer> };
    this.madeMs = json.made_ms ?? 0;
    this.answers = json.answers ?? {};
  }

  async get(url: string, _priority: Priority, _signal?: AbortSignal): Promise<ArrayBuffer> {
    const answer = Object.hasOwn(this.answers, url) ? this.answers[url] : undefined;
    if (answer === undefined) throw new Refused(404, NOT_IN_REPORT);
    if (answer.base64 === undefined) return buffered(new TextEncoder().encode(answer.body ?? ""));
    const letters = atob(answer.base64);
    const bytes = new Uint8Array(letters.length);
    for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
    if (answer.gzip !== true) return buffered(bytes);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }

  watch(onStatus: (status: Status) => void, onConnection: (connection: Connection) => void): void {
    onConnection({ kind: "recorded", madeMs: this.madeMs });
    this.get("api/v1/status", "page").then(
      (body) => onStatus(readStatus(new TextDecoder().decode(body))),
      () => onConnection({ kind: "lost", why: "this report carries no status", seconds: 0 }),
    );
  }
}

function buffered(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

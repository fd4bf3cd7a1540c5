// The frame of tasks, previews and traces: a line of JSON, padded so that the data after the line begins at a multiple of 8 bytes.

/** The parsed line, and the byte offset of the data. */
export interface Framed {
  readonly header: Record<string, unknown>;
  readonly offset: number;
}

/** Splits a response at the first line feed. */
export function splitHeader(buffer: ArrayBuffer): Framed {
  const bytes = new Uint8Array(buffer);
  const end = bytes.indexOf(10);
  if (end < 0) throw new Error("an answer ends before its header does");
  const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  if (typeof header !== "object" || header === null) throw new Error("an answer's header is no JSON object");
  return { header: header as Record<string, unknown>, offset: end + 1 };
}

/** `count` little-endian float32 values from byte `offset` on. */
export function float32s(buffer: ArrayBuffer, offset: number, count: number): Float32Array {
  if (offset + 4 * count > buffer.byteLength) throw new Error(`an answer has ${buffer.byteLength - offset} bytes of values, not ${4 * count}`);
  return new Float32Array(buffer.slice(offset, offset + 4 * count));
}

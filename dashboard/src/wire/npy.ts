// NumPy's file format. Input: bytes of a `.npy` file. Output: a typed array with its shape.

/** The element types of JavaScript. Complex elements are interleaved (re, im); 64-bit integers are converted to float64. */
export type Elements = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;

/** An array in C order. */
export interface Npy {
  /** NumPy's name of the dtype, such as `<f4`. */
  readonly descr: string;
  readonly shape: readonly number[];
  readonly complex: boolean;
  /** `product(shape)` elements, or twice that number if `complex`. */
  readonly values: Elements;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** Reads a `.npy` of version 1, 2 or 3, little endian, C order. */
export function readNpy(buffer: ArrayBuffer): Npy {
  const bytes = new Uint8Array(buffer);
  if (MAGIC.some((byte, at) => bytes[at] !== byte)) throw new Error("not an .npy file");
  const view = new DataView(buffer);
  const long = view.getUint8(6) >= 2;
  const headerBytes = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const offset = (long ? 12 : 10) + headerBytes;
  const header = new TextDecoder().decode(bytes.subarray(long ? 12 : 10, offset));
  const descr = /'descr'\s*:\s*'([^']+)'/.exec(header)?.[1];
  const shape = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined) throw new Error(`an .npy header that cannot be read: ${header.trim()}`);
  if (/'fortran_order'\s*:\s*True/.test(header)) throw new Error("an .npy in Fortran order, which no server sends");
  const sizes = shape.split(",").map((size) => size.trim()).filter((size) => size !== "").map(Number);
  const count = sizes.reduce((product, size) => product * size, 1);
  // A copy, because a typed array requires alignment and the header may end at any byte.
  const body = (width: number): ArrayBuffer => {
    if (buffer.byteLength - offset < count * width) throw new Error(`an .npy that is cut off: ${buffer.byteLength - offset} bytes of ${count * width}`);
    return buffer.slice(offset, offset + count * width);
  };
  return { descr, shape: sizes, complex: /^[<|]c/.test(descr), values: elements(descr, body) };
}

function elements(descr: string, body: (width: number) => ArrayBuffer): Elements {
  switch (descr) {
    case "|b1":
    case "|u1":
    case "<u1":
      return new Uint8Array(body(1));
    case "|i1":
      return new Int8Array(body(1));
    case "<u2":
      return new Uint16Array(body(2));
    case "<i2":
      return new Int16Array(body(2));
    case "<u4":
      return new Uint32Array(body(4));
    case "<i4":
      return new Int32Array(body(4));
    // Sums are far below 2^53, so float64 represents them exactly.
    case "<u8":
      return Float64Array.from(new BigUint64Array(body(8)), Number);
    case "<i8":
      return Float64Array.from(new BigInt64Array(body(8)), Number);
    case "<f4":
      return new Float32Array(body(4));
    case "<f8":
      return new Float64Array(body(8));
    case "<c8":
      return new Float32Array(body(8));
    case "<c16":
      return new Float64Array(body(16));
    default:
      throw new Error(`an .npy of ${descr}, which this page does not know`);
  }
}

/** One real number for each element: the magnitude of a complex element. */
export function magnitudes(npy: Npy): Elements {
  if (!npy.complex) return npy.values;
  const { values } = npy;
  return Float32Array.from({ length: values.length / 2 }, (_, at) => Math.hypot(values[2 * at]!, values[2 * at + 1]!));
}

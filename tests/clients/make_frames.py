"""Writes small stacks of frames for the tests: a bright blob that moves over noise, as files of one format.

    make_frames.py KIND OUT_DIR --count T --height H --width W [--seed S] [--depth D]

Files are OUT_DIR/{index:05}.png, .jpg, .tiff or .raw (little-endian pixels without a header). With more than ten frames,
frame 3 is black. `volume` writes raw 8-bit files of D frames. The name of a file is the index of its first frame. The last file may be shorter.
"""

import argparse
import struct
import zlib
from pathlib import Path

import numpy as np

DTYPES = {"png16": np.uint16, "tiff16": np.uint16, "raw16": np.uint16, "tiff_f32": np.float32, "raw_f32": np.float32}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7: x, y, dx, dy


def stack(count, height, width, dtype, seed):
    """(t, y, x) values of `dtype`; integers use the whole range, floats use the whole mantissa."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    frames = np.empty((count, height, width), dtype)
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1.0
    for t in range(count):
        cy = height * (0.5 + 0.32 * np.sin(2 * np.pi * t / 17 + seed))
        cx = width * (0.5 + 0.32 * np.cos(2 * np.pi * t / 23 + seed))
        blob = np.exp(-(((y - cy) / (0.12 * height)) ** 2 + ((x - cx) / (0.17 * width)) ** 2))
        image = 0.7 * (1 + 0.25 * np.sin(2 * np.pi * t / 5)) * blob + rng.uniform(0, 0.12, (height, width))
        frames[t] = np.clip(image, 0, 1) * top
    if count > 10:
        frames[3] = 0
    return frames


def interlaced_png(image):
    """An interlaced (Adam7) PNG of 8-bit gray values."""
    height, width = image.shape
    rows = bytearray()
    for x0, y0, dx, dy in PASSES:
        part = image[y0::dy, x0::dx]
        if part.size:
            for number, row in enumerate(part):
                before = part[number - 1] if number else np.zeros_like(row)
                rows += b"\2" + (row - before).tobytes()  # filter 2: the difference from the row above

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")


def grey_palette_png(path, image):
    """A PNG with a palette of gray entries in another order than the values."""
    from PIL import Image

    entry_of = np.random.default_rng(7).permutation(256).astype(np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[entry_of] = np.arange(256, dtype=np.uint8)[:, None]
    picture = Image.fromarray(entry_of[image])
    picture.putpalette(palette.tobytes())
    picture.save(path)


def write(kind, path, image):
    import imageio.v3 as iio
    import tifffile

    if kind in ("png8", "png16"):
        iio.imwrite(path.with_suffix(".png"), image)
    elif kind == "png_palette":
        grey_palette_png(path.with_suffix(".png"), image)
    elif kind == "png_interlaced":
        path.with_suffix(".png").write_bytes(interlaced_png(image))
    elif kind == "jpeg":
        iio.imwrite(path.with_suffix(".jpg"), image, quality=92)
    elif kind in ("tiff8", "tiff16", "tiff_f32"):
        tifffile.imwrite(path.with_suffix(".tiff"), image)
    elif kind == "tiff_tiled_lzw":
        tifffile.imwrite(path.with_suffix(".tiff"), image, tile=(32, 32), compression="lzw", predictor=True)
    elif kind == "tiff_deflate":
        tifffile.imwrite(path.with_suffix(".tiff"), image, rowsperstrip=7, compression="deflate")
    else:
        path.with_suffix(".raw").write_bytes(image.astype(image.dtype.newbyteorder("<")).tobytes())


KINDS = (
    "png8 png16 png_palette png_interlaced jpeg tiff8 tiff16 tiff_f32 tiff_tiled_lzw tiff_deflate raw8 raw16 raw_f32 volume"
).split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out_dir", type=Path)
    for name in ("count", "height", "width"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", type=int, default=4, help="frames in one file of a volume (default 4)")
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    frames = stack(args.count, args.height, args.width, DTYPES.get(args.kind, np.uint8), args.seed)
    each = args.depth if args.kind == "volume" else 1
    for first in range(0, args.count, each):
        several = frames[first : first + each]
        write(args.kind, args.out_dir / f"{first:05}", several if args.kind == "volume" else several[0])


if __name__ == "__main__":
    main()

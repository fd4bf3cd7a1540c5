"""The frames of the benchmark: a real micrograph that moves and changes its brightness on a black background, with noise, as 8-bit PNG.

    make_frames.py --frames T --size N --out DIR

T files of N x N pixels with the names {index:05}.png. The pixels are the same in every run. The background is black, as in the
stack of the blog post.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from skimage import data, io, transform


def write_frame(index, specimen, size, out):
    half = size // 2
    y = int(size * (0.25 + 0.125 * np.sin(2 * np.pi * index / 200)))
    x = int(size * (0.25 + 0.125 * np.cos(2 * np.pi * index / 333)))
    lit = specimen * np.float32(0.75 + 0.25 * np.sin(2 * np.pi * index / 20))
    noise = np.random.default_rng(index).normal(0, 6, lit.shape)
    frame = np.zeros((size, size), np.uint8)
    frame[y : y + half, x : x + half] = np.clip(lit + np.where(lit > 0, noise, 0), 0, 255)
    io.imsave(out / f"{index:05}.png", frame, check_contrast=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    half = args.size // 2
    specimen = transform.resize(data.cell(), (half, half), preserve_range=True).astype(np.float32)
    args.out.mkdir(parents=True, exist_ok=True)
    make = partial(write_frame, specimen=specimen, size=args.size, out=args.out)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, range(args.frames), chunksize=20))


if __name__ == "__main__":
    main()

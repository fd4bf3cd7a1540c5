"""A small moving stack to try ArrayJob on: scikit-image's picture of a cell, wandering, breathing and noisy.

    python3 crds/examples/make_cell_stack.py --out crds/examples/data/cell --frames 40 --size 128

Needs scikit-image. Files are {index:05}.png, 8-bit grey. The same arguments always make the same pixels.
"""

import argparse
from pathlib import Path

import numpy as np
from skimage import data, io, transform


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / "cell")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, default=128)
    args = parser.parse_args()

    half, room = args.size // 2, args.size // 4
    cell = transform.resize(data.cell(), (half, half), preserve_range=True, anti_aliasing=True)
    args.out.mkdir(parents=True, exist_ok=True)
    for index in range(args.frames):
        turn = 2 * np.pi * index / args.frames
        y, x = (int(room + 0.8 * room * wave) for wave in (np.sin(turn), np.cos(2 * turn)))
        breath = 0.8 + 0.2 * np.sin(6 * turn)
        noise = np.random.default_rng(index).normal(0, 5, cell.shape)
        frame = np.zeros((args.size, args.size), np.uint8)
        frame[y : y + half, x : x + half] = np.clip(cell * breath + noise, 0, 255)
        io.imsave(args.out / f"{index:05}.png", frame, check_contrast=False)
    print(f"{args.frames} frames of {args.size}x{args.size} in {args.out}")


if __name__ == "__main__":
    main()

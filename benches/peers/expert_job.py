"""The same job, as the script of an expert for one machine.

    expert_job.py --frames T --size N --crop C --url URL [--save DIR]

One process, every core: threads fetch over persistent connections and decode with imagecodecs into one array; Numba computes
the centroids and the transpose; SciPy computes the real FFT in float32. Prints one line of JSON, the seconds of each phase,
and saves the same arrays as dask_job.py. Only half of each spectrum is computed, because the other half mirrors it.
"""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numba
import numpy as np
import scipy.fft
import urllib3

PIXELS = 64  # pixels of one step of the transpose: a cache line of the input, about a page of the output


@numba.njit(parallel=True, cache=True)
def recenter(stack, out):
    height, width = stack.shape[1:]
    crop = out.shape[1]
    for t in numba.prange(stack.shape[0]):
        total = np.int64(0)
        sum_y = np.int64(0)
        sum_x = np.int64(0)
        for i in range(height):
            row = np.int64(0)
            for j in range(width):
                value = np.int64(stack[t, i, j])
                row += value
                sum_x += j * value
            total += row
            sum_y += i * row
        y = sum_y // total if total > 0 else 0
        x = sum_x // total if total > 0 else 0
        y = min(max(y - crop // 2, 0), height - crop)
        x = min(max(x - crop // 2, 0), width - crop)
        out[t] = stack[t, y : y + crop, x : x + crop]


@numba.njit(parallel=True, cache=True)
def by_pixel(frames, out):
    """Transpose (t, pixels) uint8 into (pixels, t) float32."""
    count, pixels = frames.shape
    for band in numba.prange((pixels + PIXELS - 1) // PIXELS):
        first = band * PIXELS
        last = min(first + PIXELS, pixels)
        for t in range(count):
            for p in range(first, last):
                out[p, t] = frames[t, p]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("frames", "size", "crop"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    count, size, crop = args.frames, args.size, args.crop
    cores = os.cpu_count()

    # Compile before the measurement.
    recenter(np.zeros((1, 8, 8), np.uint8), np.zeros((1, 4, 4), np.uint8))
    by_pixel(np.zeros((2, 16), np.uint8), np.zeros((16, 2), np.float32))

    seconds = {}
    begin = lap = time.perf_counter()

    def done(phase):
        nonlocal lap
        now = time.perf_counter()
        seconds[phase], lap = now - lap, now

    stack = np.empty((count, size, size), np.uint8)
    pool = urllib3.PoolManager(maxsize=2 * cores)

    def load(index):
        response = pool.request("GET", f"{args.url}/{index:05}.png")
        if response.status != 200:
            raise SystemExit(f"frame {index}: HTTP {response.status}")
        imagecodecs.png_decode(response.data, out=stack[index])

    with ThreadPoolExecutor(2 * cores) as threads:
        list(threads.map(load, range(count)))
    done("load")
    mean_frame = stack.mean(axis=0)
    done("mean_axis0")
    stack.mean(axis=(1, 2))
    done("mean_axes12")
    recentered = np.empty((count, crop, crop), np.uint8)
    recenter(stack, recentered)
    done("recenter")
    recentered.mean(axis=0)
    done("recentered_mean")
    series = np.empty((crop * crop, count), np.float32)
    by_pixel(recentered.reshape(count, -1), series)
    spectrum = scipy.fft.rfft(series, axis=1, workers=cores, overwrite_x=True)
    power = spectrum.real**2 + spectrum.imag**2
    done("rechunk_fft_power")
    seconds["total"] = time.perf_counter() - begin

    if args.save:
        args.save.mkdir(parents=True, exist_ok=True)
        bins = np.arange(count)
        bins = np.minimum(bins, count - bins)
        np.save(args.save / "raw_mean_frame.npy", mean_frame)
        np.save(args.save / "power_corner.npy", power[0, bins])
        np.save(args.save / "power_center.npy", power[(crop // 2) * crop + crop // 2, bins])
    print(json.dumps({"phases": {phase: round(s, 4) for phase, s in seconds.items()}}))


if __name__ == "__main__":
    main()

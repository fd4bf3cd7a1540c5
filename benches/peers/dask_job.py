"""The job of the blog post, with a current dask.distributed.

    dask_job.py --frames T --size N --crop C --url URL --tile P --method tasks|p2p [--workers 2] [--save DIR]

Reads URL/{index:05}.png and prints one line of JSON: the seconds of each phase. A phase ends when its array is in the
memory of the workers, or its mean in this process. Saves two spectra and the mean image to DIR as .npy, for comparison.
"""

import argparse
import json
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import skimage.io
from dask.distributed import Client, LocalCluster, wait
from numba import jit


@jit(nogil=True)
def centroid(image):
    """The function of the post: plain loops, compiled by Numba."""
    height, width = image.shape
    sum_y = 0
    sum_x = 0
    total = 0
    for i in range(height):
        for j in range(width):
            value = image[i, j]
            total += value
            sum_y += i * value
            sum_x += j * value
    if total > 0:
        return sum_y / total, sum_x / total
    return 0.0, 0.0


def recenter(image, crop):
    corners = [min(max(int(c) - crop // 2, 0), n - crop) for c, n in zip(centroid(image), image.shape)]
    y, x = corners
    return image[y : y + crop, x : x + crop]


def recenter_block(block, crop):
    return np.stack([recenter(image, crop) for image in block])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("frames", "size", "crop", "tile"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--method", choices=("tasks", "p2p"), required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    size, crop = args.size, args.crop

    seconds = {}
    with (
        LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None, memory_limit="auto") as cluster,
        Client(cluster) as client,
        dask.config.set({"array.rechunk.method": args.method}),
    ):
        begin = lap = time.perf_counter()

        def done(phase, result):
            nonlocal lap
            wait(result) if dask.is_dask_collection(result) else None
            now = time.perf_counter()
            seconds[phase], lap = now - lap, now
            return result

        imread = dask.delayed(skimage.io.imread, pure=True)
        frames = [
            da.from_delayed(imread(f"{args.url}/{index:05}.png"), dtype="uint8", shape=(size, size))
            for index in range(args.frames)
        ]
        stack = da.stack(frames, axis=0).rechunk((20, size, size))
        stack = done("load", client.persist(stack))
        mean_frame = done("mean_axis0", stack.mean(axis=0).compute())
        done("mean_axes12", stack.mean(axis=[1, 2]).compute())
        recentered = stack.map_blocks(recenter_block, crop, chunks=(stack.chunks[0], (crop,), (crop,)), dtype="uint8")
        recentered = done("recenter", client.persist(recentered))
        done("recentered_mean", recentered.mean(axis=0).compute())
        del stack

        lap = time.perf_counter()
        series = recentered.rechunk((args.frames, args.tile, args.tile))
        power = abs(da.fft.fft(series, axis=0) ** 2).astype("float32")
        power = done("rechunk_fft_power", client.persist(power, optimize_graph=False))
        seconds["total"] = time.perf_counter() - begin

        if args.save:
            args.save.mkdir(parents=True, exist_ok=True)
            np.save(args.save / "raw_mean_frame.npy", mean_frame)
            np.save(args.save / "power_corner.npy", power[:, 0, 0].compute())
            np.save(args.save / "power_center.npy", power[:, crop // 2, crop // 2].compute())
    print(json.dumps({"phases": {phase: round(s, 4) for phase, s in seconds.items()}}))


if __name__ == "__main__":
    main()

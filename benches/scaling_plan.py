"""The geometry of a job by number of servers: from `arrayjob plan`, so that the model and the program divide the work alike."""

import re
import subprocess
import tempfile
import time
from pathlib import Path

from whole_job import ARRAYJOB

# Of api/src/partition.rs, for the measured jobs; tables of the plan's own numbers come from `arrayjob plan`.
BAND_BYTES, BANDS, PANEL = 16 << 20, 128, 64
TRAILER = 12  # bytes behind each row of a block, its checksum and digest: chunkserver/src/exchange/piece.rs
CONCURRENCY = 16  # fetches of a server at a time, the default of load.concurrency
MOST_IN_FLIGHT = 4  # api/src/plan/candidates.rs, BANDS_IN_FLIGHT
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
MEMORY = "64Gi"
MANIFEST = """apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata: {{name: scaling}}
spec:
  source:
    images: {{urlTemplate: "http://host/{{index:08}}.png", count: {frames}}}
    frame: {{height: {height}, width: {width}, dtype: uint8}}
  load: {{chunkFrames: {slab}}}
  recenter: {{crop: [{crop_height}, {crop_width}]}}
  fft: {{output: power}}
  keep: [power]
"""


def bands(frames, pixels):
    """Pixels of a band, and the number of bands, of one byte a pixel."""
    each = max(PANEL, min(BAND_BYTES // frames, pixels // BANDS) // PANEL * PANEL)
    return each, -(-pixels // each)


def shares(items, servers):
    return [items * (n + 1) // servers - items * n // servers for n in range(servers)]


def local_job(frames, size, crop, servers, slab=10):
    """A measured job, with one entry for each server."""
    pixels, count = bands(frames, crop * crop)
    bands_of = shares(count, servers)
    return {
        "servers": servers,
        "frames": frames,
        "pixels": size * size,
        "encoded": 0,
        "frames_of": [slab * slabs for slabs in shares(frames // slab, servers)],
        "bands_of": bands_of,
        "window": max(1, min(MOST_IN_FLIGHT, max(bands_of))),
        "row": pixels,
        "trailer": TRAILER,
        "times": 1,
        "concurrency": CONCURRENCY,
        "frames_on_disk": False,
        "stored_frame": 0,
        "stored_band": 0,
    }


def ask(shape, servers):
    """What `arrayjob plan` prints, and the seconds of the fastest of three calls."""
    with tempfile.TemporaryDirectory(prefix="scaling-plan-") as work:
        path = Path(work) / "job.yaml"
        path.write_text(MANIFEST.format(**{key: shape[key] for key in ("frames", "height", "width", "slab", "crop_height", "crop_width")}))
        command = [ARRAYJOB, "plan", path, "--servers", str(servers), "--memory", MEMORY]
        taken = []
        for _ in range(3):
            begin = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            taken.append(time.monotonic() - begin)
    return done.stdout, done.stderr.strip(), min(taken)


def planned(shape, servers):
    """The job of a plan: {..., "peak", "seconds"}, or {"refused", "seconds"}."""
    text, error, seconds = ask(shape, servers)
    if not text:
        return {"refused": error.rpartition("InsufficientMemory: ")[2].split(",")[0], "seconds": seconds}
    count, row, in_flight = map(int, re.search(r"bands +(\d+) of (\d+) pixels × \d+ frames, (\d+) in flight", text).groups())
    rows = re.findall(r"^ +\d+ +(\d+)–(\d+) +\d+ +(\d+) ", text, re.MULTILINE)
    frames_of, bands_of = [int(end) - int(begin) for begin, end, _ in rows], [int(bands) for *_, bands in rows]
    storage = re.search(r"storage +(.*)", text).group(1)
    peak, unit = re.search(r"peak +([\d.]+) (\w+)", text).groups()
    crop = shape["crop_height"] * shape["crop_width"]
    return {
        "servers": servers,
        "frames": shape["frames"],
        "pixels": shape["height"] * shape["width"],
        "encoded": shape["encoded"],
        "frames_of": frames_of,
        "bands_of": bands_of,
        "bands": count,
        "window": in_flight,
        "row": row,
        "trailer": TRAILER,
        "times": 1,
        "concurrency": CONCURRENCY,
        "storage": storage,
        "frames_on_disk": storage == "disk",
        "stored_frame": crop if storage == "disk" else 0,
        "stored_band": row * (shape["frames"] // 2 + 1) * 4 if "disk" in storage else 0,
        "peak": float(peak) * UNITS[unit],
        "loaders": sum(frames > 0 for frames in frames_of),
        "seconds": seconds,
    }


def mirrored(job):
    """The job for the model of one server: the server with the largest share, whose peers have equal shares."""
    loaders = job["loaders"]
    senders = loaders - 1 if loaders == job["servers"] else loaders
    share = job["frames"] / loaders
    most = {"frames_of": [max(job["frames_of"])], "bands_of": [max(job["bands_of"])]}
    return job | most | {"senders": senders, "block_frames": share}


def widened(job, factor):
    """A mirrored job with fewer, wider bands."""
    bands = -(-job["bands_of"][0] // factor)
    return job | {
        "row": factor * job["row"],
        "bands_of": [bands],
        "window": min(job["window"], bands),
        "stored_band": factor * job["stored_band"],
    }


def grouped(job):
    """A mirrored job whose exchange has two stages, over groups of about the square root of the number of servers: each byte moves twice."""
    peers = 2 * (round((job["senders"] + 1) ** 0.5) - 1)
    return job | {"senders": peers, "block_frames": job["frames"] / peers, "times": 2}

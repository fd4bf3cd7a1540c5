"""Speed of reading results: from the servers of a job over HTTP, compared with the same array in a local Zarr folder.

    python3 benches/readers.py [--frames 400 --size 1000 --crop 1000] [--repeat 7] [--out FOLDER] [--quick]

The benchmark runs a job once for each number of servers, with `--out` and `--serve`: the folder and the servers have the same
values in the same chunks. Then zarr-python reads all of `recentered` from the folder and over HTTP in alternation, so that a
slow minute of the machine affects both. The table states minimum and median of each, and the ratio of the medians: once with
the stores of zarr-python (fsspec over HTTP), once with the stores of obstore. TensorStore and dask read in the same
alternation, for information. All values must be equal.

Python packages and frames are cached in .cache at the root of the repository. Requires `cargo build --release`.
"""

import argparse
import contextlib
import ctypes
import importlib.metadata
import json
import os
import platform
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENV = CACHE / "venv-clients"
REQUIREMENTS = ROOT / "tests" / "clients" / "requirements.txt"
ARRAYJOB = ROOT / "target" / "release" / "arrayjob"
WANTED = 2.0  # largest allowed ratio of HTTP to folder
LIMIT = 600  # timeout until a job is served, in seconds


def log(text):
    print(text, file=sys.stderr, flush=True)


def enter_venv():
    """Continue in the virtual environment of the tests; create it as the tests do."""
    wanted, note, python = REQUIREMENTS.read_text(), VENV / "requirements.txt", VENV / "bin" / "python"
    if Path(sys.prefix).resolve() != VENV.resolve():
        if not note.exists() or note.read_text() != wanted:
            log("installing the readers' packages")
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
            note.write_text(wanted)
        os.execv(python, [python, __file__, *sys.argv[1:]])


def frames(count, size):
    """A cached folder of raw frames: incompressible noise over a moving blob."""
    folder = CACHE / f"raw-frames-{count}x{size}-1"  # increase the number when the frames change
    if not folder.exists():
        import numpy as np

        log(f"generating {count} frames of {size}x{size}")
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        try:
            y, x = np.mgrid[:size, :size].astype(np.float32)
            rng = np.random.default_rng(5)
            for t in range(count):
                center = size * (0.5 + 0.1 * np.sin(t / 17)), size * (0.5 + 0.1 * np.cos(t / 23))
                blob = 150 * np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / (0.15 * size) ** 2)
                (blob + rng.integers(0, 100, (size, size))).astype(np.uint8).tofile(making / f"{t:05}.raw")
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def served(args, folder, servers, work):
    """Run the job; yield the root of its arrays in the folder and the root of the served arrays."""
    source = {"images": {"urlTemplate": f"file://{folder}/{{index:05}}.raw", "count": args.frames}}
    source["frame"] = {"height": args.size, "width": args.size, "dtype": "uint8"}
    spec = {"source": source, "recenter": {"crop": [args.crop, args.crop]}, "keep": ["recentered"]}
    manifest, out = work / f"job-{servers}.json", work / f"out-{servers}"
    name = {"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": f"readers-{servers}"}}
    manifest.write_text(json.dumps({**name, "spec": spec}))
    command = [args.arrayjob.resolve(), "run", manifest, "--servers", str(servers), "--out", out, "--serve", "--progress", "json"]
    # A separate folder for the names of served jobs, so that other jobs are not affected.
    environment = dict(os.environ, XDG_RUNTIME_DIR=str(work))
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent, env=environment)
    try:
        lines = queue.Queue()
        # Read to the end; otherwise the job blocks on a full pipe.
        threading.Thread(target=pump, args=(job, lines), daemon=True).start()
        seen, url = [], None
        while url is None:
            line = lines.get(timeout=LIMIT)
            if line == "":
                sys.exit("the job ended:\n" + "".join(seen))
            seen.append(line)
            with contextlib.suppress(ValueError):
                url = json.loads(line).get("url")
        base, token = url.split("/?token=")
        yield str(out / "arrays.zarr"), f"{base}/t/{token}/arrays.zarr"
    finally:
        job.terminate()
        try:
            job.wait(20)
        except subprocess.TimeoutExpired:
            job.kill()
            job.wait()


def pump(job, lines):
    for line in job.stderr:
        lines.put(line)
    lines.put("")


# ---------------------------------------------------------------- readers


def with_zarr(root):
    import zarr

    return zarr.open_array(f"{root}/recentered", mode="r", zarr_format=3)[...]


def with_obstore(root):
    """zarr-python on stores whose clients are native code."""
    import obstore.store
    import zarr
    import zarr.storage

    path = f"{root}/recentered"
    store = obstore.store.HTTPStore(path, client_options={"allow_http": True}) if "://" in path else obstore.store.LocalStore(path)
    return zarr.open_array(zarr.storage.ObjectStore(store, read_only=True), mode="r", zarr_format=3)[...]


def with_dask(root):
    import dask.array as da

    return da.from_zarr(f"{root}/recentered", zarr_format=3).compute()


def with_tensorstore(root):
    import tensorstore as ts

    return ts.open({"driver": "zarr3", "kvstore": f"{root if '://' in root else 'file://' + root}/recentered/"}).result().read().result()


READERS = {"zarr-python": with_zarr, "zarr-python on obstore": with_obstore, "TensorStore": with_tensorstore, "dask": with_dask}


def timed(read, root):
    begun = time.perf_counter()
    values = read(root)
    return time.perf_counter() - begun, values


def measure(args, roots, reader):
    """Seconds from the folder and over HTTP, in alternation. The first turn warms the caches and is not counted."""
    import numpy as np

    read, seconds = READERS[reader], ([], [])
    expected = read(roots[0])
    for turn in range(args.repeat + 1):
        # The order alternates too.
        for place in (0, 1) if turn % 2 else (1, 0):
            took, values = timed(read, roots[place])
            if not np.array_equal(values, expected):
                sys.exit(f"{reader} reads other values over HTTP than from the folder")
            if turn:
                seconds[place].append(took)
            del values
    return seconds


def report(args, results, loads):
    import dask
    import zarr

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    size = args.frames * args.crop**2
    lines = [
        f"`recentered`, {args.frames} × {args.crop} × {args.crop} uint8, {size / 1e6:.0f} MB, read completely; {args.repeat} alternating reads.",
        f"{cpu}, {os.cpu_count()} cores. zarr {zarr.__version__}, obstore {importlib.metadata.version('obstore')}, tensorstore {importlib.metadata.version('tensorstore')}, dask {dask.__version__}, Python {platform.python_version()}.",
        f"Load average before {loads[0]:.1f}, after {loads[1]:.1f}.",
        "",
        "| reader | servers | folder, s (minimum, median) | HTTP, s (minimum, median) | HTTP, MB/s | HTTP / folder |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (reader, servers), (folder, http) in results.items():
        medians = [statistics.median(seconds) for seconds in (folder, http)]
        lines.append(
            f"| {reader} | {servers} | {min(folder):.3f}, {medians[0]:.3f} | {min(http):.3f}, {medians[1]:.3f} "
            f"| {size / 1e6 / medians[1]:.0f} | {medians[1] / medians[0]:.2f} |"
        )
    for name in (name for name in READERS if name.startswith("zarr-python")):
        ratios = [statistics.median(http) / statistics.median(folder) for (reader, _), (folder, http) in results.items() if reader == name]
        lines += ["", f"{name}, HTTP / folder, worst case: {max(ratios):.2f} (limit: {WANTED})."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--crop", type=int, default=1000)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--quick", action="store_true", help="smoke test: few frames, read twice")
    parser.add_argument("--arrayjob", type=Path, default=ARRAYJOB, help="path of the command (default: target/release/arrayjob)")
    parser.add_argument("--out", type=Path, help="folder for the table and the raw measurements")
    args = parser.parse_args()
    args.frames = args.frames or (20 if args.quick else 400)
    args.repeat = args.repeat or (2 if args.quick else 7)
    if not args.arrayjob.exists():
        sys.exit(f"{args.arrayjob} does not exist: run `cargo build --release` first")
    CACHE.mkdir(exist_ok=True)
    enter_venv()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = frames(args.frames, args.size)
    before, results = os.getloadavg()[0], {}
    for servers in (1, 2):
        with tempfile.TemporaryDirectory(prefix="bench-readers-") as work, served(args, folder, servers, Path(work)) as roots:
            for reader in READERS:
                log(f"{reader}, {servers} server{'s' if servers > 1 else ''}")
                results[reader, servers] = measure(args, roots, reader)
    text = report(args, results, (before, os.getloadavg()[0]))
    print(text)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "readers.md").write_text(text + "\n")
        rows = [f"{reader},{servers},{where},{second:.4f}" for (reader, servers), both in results.items() for where, seconds in zip(("folder", "http"), both) for second in seconds]
        (args.out / "readers.csv").write_text("\n".join(["reader,servers,where,seconds", *rows, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

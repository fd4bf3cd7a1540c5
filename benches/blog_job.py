"""The blog's whole job at full size: 10,000 frames of 2000x2000 pixels, recentered to 1000x1000, power of every pixel.

    python3 benches/blog_job.py [--repeat 1] [--storage Disk] [--out FOLDER] [--quick]

250 frames are made once and served by nginx 40 times over under different names. The job runs in two forms: with the power of every
pixel kept (30 GB on the scratch disk, crops included), and with crops, maps and means alone. Then the first form is served: reads of its arrays from
disk are timed, and the time from SIGINT to exit. Two spectra must agree with NumPy.

Prints a Markdown table with goal, figure, ratio and verdict of each row, and writes benches/runs/<date>-<cpu>-blog/README.md (with
--quick only if --out is given). Fails when a goal that was met is missed by more than a fifth. Packages and frames are cached in .cache
at the root of the repository. Requires `cargo build --release`, 31 GB of free disk space in the folder for temporary files.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import goals
import probes
import whole_job
from whole_job import ARRAYJOB, CACHE, log, machine

MADE = 250  # frames that exist; the others have the same pixels
READS = 5
MANIFEST = """apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata:
  name: blog
spec:
  source:
    images:
      urlTemplate: "{url}/{{index:05}}.png"
      count: {frames}
  recenter: {{crop: [{crop}, {crop}]}}
  fft: {{axis: 0, output: power}}
  servers: {{storage: {storage}}}
  {keep}
"""
FORMS = {"power": "keep: [power]", "maps": "keep: [recentered]\n  reduce: [mean]"}


@contextlib.contextmanager
def served(args):
    """All frames under their names, from nginx on loopback; yields the URL."""
    made = whole_job.frames(min(MADE, args.frames), args.size)
    with tempfile.TemporaryDirectory(prefix="blog-frames-") as folder:
        for index in range(args.frames):
            (Path(folder) / f"{index:05}.png").symlink_to(made / f"{index % MADE:05}.png")
        with whole_job.nginx(folder) as url:
            yield url


def manifest(folder, url, args, form):
    path = folder / f"{form}.yaml"
    path.write_text(MANIFEST.format(url=url, frames=args.frames, crop=args.crop, storage=args.storage, keep=FORMS[form]))
    return path


def run(form, url, args):
    """One run, and its measures."""
    with tempfile.TemporaryDirectory(prefix="blog-job-") as work:
        work = Path(work)
        command = [ARRAYJOB, "run", manifest(work, url, args, form), "--progress", "json"]
        done = whole_job.measure(command, work)
        if done["code"] != 0:
            log(done["stderr"][-4000:])
            sys.exit(f"{form}: exit code {done['code']}")
        lines = [json.loads(line) for line in done["stderr"].splitlines() if line.startswith("{")]
    done["summary"] = next(line["summary"] for line in lines if "summary" in line)
    done["storage"] = next(line["plan"]["storage"] for line in lines if "plan" in line)
    done["end"] = done["wall"] - done["summary"]["seconds"]
    log(f"{form}: {done['wall']:.1f} s, {done['cpu']:.0f} CPU s of which {done['system']:.0f} system, {done['storage']}")
    return done


# ---------------------------------------------------------------- reading, and the end of a served job


class Served:
    """A job that is complete and served."""

    LINE = "url"  # the line of the progress with the URL

    def __init__(self, path, work):
        self.lines, self.ready = [], threading.Event()
        command = [ARRAYJOB, "run", path, "--serve", "--progress", "json"]
        self.process = subprocess.Popen(
            command, cwd=work, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=self.prepare
        )
        threading.Thread(target=self.follow, daemon=True).start()
        if not self.ready.wait(whole_job.LIMIT) or self.process.poll() is not None:
            self.process.kill()
            sys.exit("the job was not served:\n" + "".join(self.lines[-20:]))
        url = next(json.loads(line)[self.LINE] for line in self.lines if f'"{self.LINE}"' in line)
        self.host, _, self.token = url.removeprefix("http://").partition("/?token=")

    def prepare(self):
        """Runs in the new process before the command."""
        whole_job.die_with_parent()

    def follow(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if f'"{self.LINE}"' in line:
                self.ready.set()
        self.ready.set()

    def get(self, path):
        """The body, and the seconds from the request to the last byte."""
        connection = http.client.HTTPConnection(self.host)
        connection.connect()
        begin = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        body = response.read()
        seconds = time.monotonic() - begin
        connection.close()
        if response.status != 200:
            sys.exit(f"{path}: HTTP {response.status}: {body[:300]!r}")
        return body, seconds

    def interrupt(self):
        """Seconds from SIGINT to exit."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        return time.monotonic() - begin


def medians_of_reads(job, args):
    """Median seconds of a series, a chunk and a frame: each read has other pixels, which no earlier read has loaded."""
    step, crop = args.crop // (2 * READS), args.crop
    places = [step * (2 * n + 1) for n in range(READS)]
    series = [job.get(f"/slice/power?sel=:,{at},{crop // 2}&format=raw")[1] for at in places]
    edge = min(10, step)
    chunks = [job.get(f"/arrays.zarr/power@-1,{edge},{edge}/c/0/{at // edge}/{at // edge}") for at in places]
    rate = statistics.median(len(body) / seconds for body, seconds in chunks)
    return statistics.median(series), rate


def served_job(url, args):
    """Figures of reads and of SIGINT, and the wrong spectra."""
    with tempfile.TemporaryDirectory(prefix="blog-job-") as work:
        job = Served(manifest(Path(work), url, args, "power"), work)
        series, rate = medians_of_reads(job, args)
        wrong = disagreements(job, args)
        seconds = job.interrupt()
    return {"blog.read.series": series, "blog.read.chunk": rate / 1e9, "blog.interrupt": seconds}, wrong


def served_crops(url, args):
    """Seconds for a frame of recentered."""
    with tempfile.TemporaryDirectory(prefix="blog-job-") as work:
        job = Served(manifest(Path(work), url, args, "maps"), work)
        places = [args.frames * (2 * n + 1) // (2 * READS) for n in range(READS)]
        seconds = statistics.median(job.get(f"/slice/recentered?sel={at}&format=raw")[1] for at in places)
        job.interrupt()
    return {"blog.read.frame": seconds}


# ---------------------------------------------------------------- agreement with NumPy


def crops(args):
    """The crops of the frames that exist, as NumPy computes them: (frames, crop, crop)."""
    import imagecodecs
    import numpy as np

    folder = whole_job.frames(min(MADE, args.frames), args.size)
    found = []
    for path in sorted(folder.glob("*.png")):
        image = imagecodecs.png_decode(path.read_bytes())
        total = image.sum(dtype=np.float64)
        centre = [(image.sum(1 - axis, dtype=np.float64) * np.arange(args.size)).sum() / total for axis in (0, 1)]
        y, x = (min(max(int(c) - args.crop // 2, 0), args.size - args.crop) for c in centre)
        found.append(image[y : y + args.crop, x : x + args.crop])
    return np.stack(found)


def disagreements(job, args):
    """Compares two spectra with NumPy's."""
    import numpy as np

    cropped, wrong = crops(args), []
    for y, x in ((0, 0), (args.crop // 2, args.crop // 2)):
        ours = np.frombuffer(job.get(f"/slice/power?sel=:,{y},{x}&format=raw")[0], "<f4")
        repeated = np.resize(cropped[:, y, x], args.frames).astype(float)
        found = whole_job.disagreement(f"power[:,{y},{x}]", ours, np.abs(np.fft.fft(repeated)) ** 2)
        wrong += [found] if found else []
    return wrong


# ---------------------------------------------------------------- the report


def system_share(done, probe):
    """System time beyond the probe's time for the first touch of the job's memory, as a part of all CPU time."""
    fresh = probe * done["peak_rss"] / probes.GIB
    return max(0.0, done["system"] - fresh) / done["cpu"]


def figures_of(form, runs, probe):
    def median(value):
        return statistics.median(value(done) for done in runs)

    return {
        f"blog.{form}": median(lambda done: done["wall"]),
        f"blog.{form}.system": median(lambda done: system_share(done, probe)),
        f"blog.{form}.end": median(lambda done: done["end"]),
    }


def details(runs):
    lines = ["| run | start to exit, s | phases, s | user, s | system, s | peak memory, GiB | storage | load before |", "| --- " * 8 + "|"]
    for form, done in runs:
        phases = ", ".join(f"{phase['name']} {phase['seconds']:.1f}" for phase in done["summary"]["phases"])
        lines.append(
            f"| {form} | {done['wall']:.1f} | {phases} | {done['cpu'] - done['system']:.1f} | {done['system']:.1f} "
            f"| {done['peak_rss'] / probes.GIB:.1f} | {done['storage']} | {done['load_average']:.1f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each form (default 1)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    parser.add_argument("--storage", default="Disk", help="servers.storage of the manifest (default Disk: crops on disk too)")
    parser.add_argument("--quick", action="store_true", help="smoke test: 500 frames of 200x200")
    args = parser.parse_args()
    args.frames, args.size, args.crop = (500, 200, 100) if args.quick else (10_000, 2000, 1000)
    if not ARRAYJOB.exists():
        sys.exit("run `cargo build --release` first")
    CACHE.mkdir(exist_ok=True)
    whole_job.enter_venv(__file__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load_before = os.getloadavg()[0]
    probe, disk = probes.fresh_memory(), probes.direct_writes()
    log(f"probes: {probe:.2f} CPU s a GiB of fresh memory, {(disk or 0) / 1e9:.2f} GB/s of direct writes")
    runs = []
    with served(args) as url:
        for _ in range(args.repeat):
            runs += [(form, run(form, url, args)) for form in FORMS]
        reads, wrong = served_job(url, args)
        reads |= served_crops(url, args)
    figures = {}
    for form in FORMS:
        figures |= figures_of(form, [done for name, done in runs if name == form], probe)
    figures |= reads
    cpu, cores, memory = machine()
    text = "\n".join(
        [
            f"# The blog's whole job: {args.frames} frames of {args.size}×{args.size}, crop {args.crop}",
            "",
            f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. Load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.",
            f"Probes: the first touch of memory takes {probe:.2f} CPU seconds a GiB; direct writes reach {(disk or 0) / 1e9:.2f} GB/s.",
            "",
            goals.table(figures),
            "",
            details(runs),
            "",
            "Two spectra agree with NumPy." if not wrong else "**Spectra differ from NumPy's:** " + "; ".join(wrong),
            "",
            f"    python3 benches/blog_job.py --repeat {args.repeat} --storage {args.storage}",
            "",
        ]
    )
    out = args.out or (None if args.quick else whole_job.folder_of_today("-blog"))
    code = goals.publish(text, {} if args.quick else figures, out)
    return 1 if wrong else code


if __name__ == "__main__":
    sys.exit(main())

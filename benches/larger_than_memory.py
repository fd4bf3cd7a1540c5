"""The blog's whole job in a tenth of the memory that its stack has: crops on disk, power of every pixel on disk.

    python3 benches/larger_than_memory.py [--out FOLDER] [--quick]

The command and its servers run in a control group whose memory is a tenth of the stack's bytes, with the default storage. Meanwhile the
status is requested ten times a second, and each answer is timed. The rate of the disk is that after Load: the crops are read and the
spectra are written, each byte once. Two spectra must agree with NumPy.

Prints a Markdown table with goal, figure, ratio and verdict of each row, and writes benches/runs/<date>-<cpu>-disk/README.md (with
--quick only if --out is given). Fails when a goal that was met is missed by more than a fifth. Requires `cargo build --release`, root,
control groups of memory (version 1 or 2), and 30 GB of free disk space in the folder for temporary files.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import blog_job
import goals
import probes
import whole_job
from whole_job import ARRAYJOB, CACHE, log, machine

TIMES = 10  # the stack's bytes, as a multiple of the memory
INTERVAL = 0.1  # seconds between two requests of the status
GROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def control_group(limit):
    """A control group of `limit` bytes of memory."""
    version1 = (GROUPS / "memory" / "memory.limit_in_bytes").exists()
    group = (GROUPS / "memory" if version1 else GROUPS) / f"arrayjob-bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if version1 else "memory.max")).write_text(str(limit))
        yield group
    finally:
        remove(group)


def remove(group, limit=30):
    """Removes a control group after the end of its last process."""
    end = time.monotonic() + limit
    while (group / "cgroup.procs").read_text().strip() and time.monotonic() < end:
        time.sleep(INTERVAL)
    group.rmdir()


class Watched(blog_job.Served):
    """A served job whose status is requested during the work."""

    LINE = "watch"

    def __init__(self, path, work, group):
        self.group, self.waits = group, []
        self.complete = threading.Event()
        super().__init__(path, work)

    def prepare(self):
        super().prepare()
        # 0 is the process that writes.
        (self.group / "cgroup.procs").write_text("0")

    def follow(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if f'"{self.LINE}"' in line:
                self.ready.set()
            if '"summary"' in line:
                self.complete.set()
        self.ready.set()
        self.complete.set()

    def watch(self):
        """Requests the status until the job is complete."""
        while not self.complete.wait(INTERVAL):
            try:
                self.waits.append(self.get("/api/v1/status")[1])
            except (OSError, http.client.HTTPException) as error:
                sys.exit(f"the status was refused: {error}")

    def summary(self):
        lines = [json.loads(line) for line in self.lines if line.startswith("{")]
        found = [line["summary"] for line in lines if "summary" in line]
        if not found:
            sys.exit("the job failed:\n" + "".join(self.lines[-20:]))
        return found[-1], next(line["plan"] for line in lines if "plan" in line)


def run(args):
    """The figures of one run, details, and the wrong spectra."""
    stack = args.frames * args.crop**2
    with contextlib.ExitStack() as contexts:
        enter = contexts.enter_context
        url = enter(blog_job.served(args))
        work = Path(enter(tempfile.TemporaryDirectory(prefix="blog-job-")))
        group = enter(control_group(max(stack // TIMES, args.least)))
        job = Watched(blog_job.manifest(work, url, args, "power"), work, group)
        contexts.callback(job.process.kill)
        job.watch()
        summary, plan = job.summary()
        wrong = blog_job.disagreements(job, args)
        job.interrupt()
    seconds = {phase["name"]: phase["seconds"] for phase in summary["phases"]}
    after_load = summary["seconds"] - seconds["Load"]
    moved = stack + args.frames // 2 * args.crop**2 * 4
    details = [
        f"Start to the last power: {summary['seconds']:.1f} s, of which Load {seconds['Load']:.1f} s. The servers together used at most "
        f"{summary['peak_rss_bytes'] / 1e6:.0f} MB; the stack has {stack / 1e6:.0f} MB. Storage: {plan['storage']}.",
        f"Answers to {len(job.waits)} requests of the status: median {statistics.median(job.waits) * 1000:.1f} ms, "
        f"longest {max(job.waits) * 1000:.1f} ms.",
        f"After Load: {moved / 1e9:.1f} GB in {after_load:.1f} s.",
    ]
    return moved / after_load, max(job.waits), details, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    parser.add_argument("--quick", action="store_true", help="smoke test: 500 frames of 200x200")
    args = parser.parse_args()
    args.frames, args.size, args.crop = (500, 200, 100) if args.quick else (10_000, 2000, 1000)
    # Two idle servers and the command need more than a tenth of a small stack.
    args.least = 256 << 20
    args.storage = "Auto"
    if not ARRAYJOB.exists():
        sys.exit("run `cargo build --release` first")
    CACHE.mkdir(exist_ok=True)
    whole_job.enter_venv(__file__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load_before = os.getloadavg()[0]
    disk = probes.direct_writes()
    rate, longest, details, wrong = run(args)
    figures = {"disk.answer": longest}
    if disk:
        figures["disk.rate"] = rate / disk
    cpu, cores, memory = machine()
    text = "\n".join(
        [
            f"# A stack ten times larger than memory: {args.frames} frames of {args.size}×{args.size}, crop {args.crop}",
            "",
            f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. Load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.",
            f"Direct writes of the disk alone: {(disk or 0) / 1e9:.2f} GB/s.",
            "",
            goals.table(figures),
            "",
            *details,
            "",
            "Two spectra agree with NumPy." if not wrong else "**Spectra differ from NumPy's:** " + "; ".join(wrong),
            "",
            "    python3 benches/larger_than_memory.py",
            "",
        ]
    )
    out = args.out or (None if args.quick else whole_job.folder_of_today("-disk"))
    code = goals.publish(text, {} if args.quick else figures, out)
    return 1 if wrong else code


if __name__ == "__main__":
    sys.exit(main())

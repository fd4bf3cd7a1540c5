"""Measures the constants of benches/scaling.py with the real program on this machine, and the runs that the model must repeat."""

import contextlib
import datetime
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import probes
import whole_job
from scaling_messages import CONTROL, Messages, isolate
from whole_job import ARRAYJOB, log, machine

SERVERS = (1, 2, 4, 8, 16)
SERVED = (4, 16, 64)  # servers of the jobs whose control messages are counted
SERVED_SECONDS = 15
SETTLE = 2  # seconds after the end of a job, whose last turns follow
# frames, edge of a frame, edge of the crop. The first job moves bytes; the second job has small blocks, so that requests dominate.
BYTES_JOB = {"frames": 1000, "size": 1000, "crop": 500}
REQUESTS_JOB = {"frames": 250, "size": 200, "crop": 200}
# Frames and edge of a frame: a series like that of the blog's job, and one band of 64 pixels, as a job of very many frames has it.
LONG = ((10**4, 100), (10**7, 8))
DEPTH = 1000  # frames of a file
MANIFEST = """apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata: {{name: scaling}}
spec:
  source:
    images: {{urlTemplate: "{url}/{{index:05}}.png", count: {frames}}}
    frame: {{height: {size}, width: {size}, dtype: uint8}}
  load: {{chunkFrames: 10}}
  recenter: {{crop: [{crop}, {crop}]}}
  {fft}
"""
LONG_MANIFEST = """apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata: {{name: long}}
spec:
  source:
    volume: {{urlTemplate: "{folder}/{{index}}.raw", count: {frames}, depth: {depth}}}
    frame: {{height: {edge}, width: {edge}, dtype: uint8}}
  load: {{chunkFrames: {depth}}}
  {fft}
"""
FORMS = {"frames": "keep: [recentered]", "power": "fft: {output: power}\n  keep: [power]"}
LONG_FORMS = {"frames": "reduce: [mean]", "power": "fft: {output: power}\n  keep: [power]"}


def busy():
    """CPU seconds of all programs of the machine, and those that its hypervisor gave to other machines."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def run(text, servers):
    """One run of a manifest: its CPU and wall seconds, and the cores that other programs used meanwhile."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as work:
        path = Path(work) / "job.yaml"
        path.write_text(text)
        before, begin = busy(), time.monotonic()
        done = whole_job.measure([ARRAYJOB, "run", path, "--servers", servers, "--progress", "json"], Path(work))
        others = (busy() - before - done["cpu"]) / (time.monotonic() - begin)
    if done["code"] != 0:
        sys.exit(done["stderr"][-4000:])
    return {"cpu": done["cpu"], "wall": done["wall"], "others": others}


def runs(job, url, servers, repeat):
    """{form: {servers: figures}}: the least CPU seconds and the shortest wall time, which other programs and slow memory disturb least."""
    found = {form: {n: [] for n in servers} for form in FORMS}
    for _ in range(repeat):
        for n in servers:
            for form, fft in FORMS.items():
                found[form][n].append(run(MANIFEST.format(url=url, fft=fft, **job), n))
    log(f"{job}: {sum(len(some) for by in found.values() for some in by.values())} runs")
    return {form: {str(n): summary(some) for n, some in by.items()} for form, by in found.items()}


def summary(some):
    least = min(some, key=lambda done: done["wall"])
    return {
        "cpu": min(done["cpu"] for done in some),
        "cpus": sorted(round(done["cpu"], 3) for done in some),
        "wall": least["wall"],
        "walls": sorted(round(done["wall"], 3) for done in some),
        "others": round(max(0.0, least["others"]), 2),
    }


def encoded_of_pixel(job):
    """Bytes of a pixel as the source sends it."""
    files = list(whole_job.frames(job["frames"], job["size"]).glob("*.png"))
    return sum(path.stat().st_size for path in files) / (len(files) * job["size"] ** 2)


def with_source_cpu(job, servers, repeat):
    """The runs of a job, and the CPU seconds of nginx a frame."""
    folder = whole_job.frames(job["frames"], job["size"])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with whole_job.nginx(folder) as url:
        found = runs(job, url, servers, repeat)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The children are the runs and nginx.
    ours = sum(sum(figures["cpus"]) for by in found.values() for figures in by.values())
    return found, max(0.0, children - ours) / (len(FORMS) * len(servers) * repeat * job["frames"])


def long_series(frames, edge):
    """CPU seconds of the transform of one byte of a long series."""
    seconds = {}
    with tempfile.TemporaryDirectory(prefix="scaling-long-") as folder:
        for first in range(0, frames, DEPTH):
            (Path(folder) / f"{first}.raw").write_bytes(os.urandom(DEPTH * edge * edge))
        for form, fft in LONG_FORMS.items():
            text = LONG_MANIFEST.format(folder=folder, fft=fft, frames=frames, edge=edge, depth=DEPTH)
            seconds[form] = min(run(text, 1)["cpu"] for _ in range(3 if frames < LONG[-1][0] else 1))
    return {"frames": frames, "edge": edge, "cpu_of_a_byte": (seconds["power"] - seconds["frames"]) / (frames * edge * edge)}


def cpu_of(process):
    """User and system seconds of one process, without its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def opened():
    """TCP connections that were opened in this network namespace."""
    names, values = (line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


@contextlib.contextmanager
def started(text, servers, work):
    """A job that is served, once it is complete; yields the process of the loop and the seconds to the address."""
    path = Path(work) / "job.yaml"
    path.write_text(text)
    command = [ARRAYJOB, "serve", path, "--servers", str(servers), "--progress", "json"]
    begin = time.monotonic()
    process = subprocess.Popen(
        command, cwd=work, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=whole_job.die_with_parent
    )
    try:
        for line in process.stderr:
            if '"url"' in line and '"paste"' in line:
                break
        yield process, time.monotonic() - begin
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def control(url):
    """Control messages of served jobs: until the job is complete, and at rest."""
    rows = []
    for servers in SERVED:
        text = MANIFEST.format(url=url, fft=FORMS["power"], **REQUESTS_JOB)
        with tempfile.TemporaryDirectory(prefix="scaling-served-") as work, Messages() as messages:
            with started(text, servers, work) as (process, seconds):
                time.sleep(SETTLE)
                job, cpu, connections, begin = dict(messages.counts), cpu_of(process.pid), opened(), time.monotonic()
                time.sleep(SERVED_SECONDS)
                rest, spent = time.monotonic() - begin, cpu_of(process.pid) - cpu
                connections = opened() - connections
                now = messages.control()
                at_rest = now - sum(job.get(kind, 0) for kind in CONTROL)
        row = {"servers": servers, "job": job, "seconds": seconds, "rest_messages": at_rest, "rest_seconds": rest, "rest_cpu": spent}
        row |= {"rest_connections": connections, "settle": SETTLE}
        row["assignment_bytes"] = max(messages.bodies, default=0)
        rows.append(row)
        log(f"{servers} servers: {row}")
    return rows


def write(out, repeat):
    """Measures everything, and writes constants.json to the folder `out`."""
    whole_job.enter_venv(sys.argv[0])
    cpu, cores, memory = machine()
    load_before = os.getloadavg()[0]
    bytes_runs, source_cpu = with_source_cpu(BYTES_JOB, SERVERS, repeat)
    request_runs, _ = with_source_cpu(REQUESTS_JOB, SERVERS, repeat)
    long, disk = [long_series(*some) for some in LONG], probes.direct_writes()
    fresh = probes.fresh_memory(size=probes.GIB, pause=0) / probes.GIB
    isolate()
    with whole_job.nginx(whole_job.frames(REQUESTS_JOB["frames"], REQUESTS_JOB["size"])) as url:
        messages = control(url)
    measured = {
        "date": str(datetime.date.today()),
        "machine": f"{cpu}, {cores} cores, {memory:.0f} GiB",
        "cores": cores,
        "load_average": [round(load_before, 2), round(os.getloadavg()[0], 2)],
        "repeat": repeat,
        "bytes_job": BYTES_JOB | {"runs": bytes_runs},
        "requests_job": REQUESTS_JOB | {"runs": request_runs},
        "encoded_of_pixel": encoded_of_pixel(BYTES_JOB),
        "source_cpu_of_a_frame": source_cpu,
        "long_series": long,
        "direct_write_rate": disk,
        "fresh_memory": fresh,
        "control": messages,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "constants.json").write_text(json.dumps(measured, indent=1) + "\n")
    log(f"written to {out}")

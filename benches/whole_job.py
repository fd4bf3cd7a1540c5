"""The whole job: ArrayJob compared with Dask and with the one-machine script of an expert, on the same frames from the same nginx.

    python3 benches/whole_job.py [--frames 1000 --size 1000 --crop 500] [--repeat 1] [--peers dask,expert,arrayjob] [--quick]

The runs are interleaved: ArrayJob five times, the expert script three times, each of the four Dask variants `--repeat` times.
The table states medians. The wall time of a run is from the start of its process to its exit; each program reports its own
phases. Every program also writes two spectra and the mean image, and the numbers must agree.

The phases of ArrayJob are compared with their kernels alone, if `make bench` has built the program for this.

Prints Markdown tables and writes benches/runs/<date>-<cpu>/{README.md,raw.csv} (with --quick only if --out is given). Fails when a
goal that was met is missed by more than a fifth.
Python packages and frames are cached in .cache at the root of the repository. Requires nginx and `cargo build --release`.
"""

import argparse
import contextlib
import csv
import ctypes
import datetime
import hashlib
import http.client
import io
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import goals
import phase_kernels

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benches" / "peers"
CACHE = ROOT / ".cache"
VENV = CACHE / "peers-venv"
ARRAYJOB = ROOT / "target" / "release" / "arrayjob"

SERVERS = 2  # processes for ArrayJob, workers for Dask
ARRAYJOB_RUNS, EXPERT_RUNS = 5, 3
LIMIT = 3600  # timeout of one run, in seconds
DASK = [("tasks", 10), ("p2p", 10), ("tasks", 50), ("p2p", 50)]
PHASES = {  # name in the reports of the programs, and name in the table
    "load": "load",
    "mean_axis0": "mean over axis 0",
    "mean_axes12": "mean over axes 1, 2",
    "recenter": "recenter",
    "recentered_mean": "mean of recentered",
    "rechunk_fft_power": "rechunk + fft + power",
    "total": "**the job**",
}
OURS = {"Load": "load", "Recenter": "recenter", "Rechunk": "rechunk_fft_power", "Fft": "rechunk_fft_power"}
SAVED = ("raw_mean_frame", "power_corner", "power_center")


def log(text):
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- setup


def enter_venv(script=__file__):
    """Continue in the virtual environment of the peers; create it on first use and after a change of requirements.txt."""
    wanted = (PEERS / "requirements.txt").read_text() + sys.version.split()[0]
    stamp, python = VENV / "requirements.installed", VENV / "bin" / "python"
    if Path(sys.prefix).resolve() != VENV.resolve():
        if not stamp.exists() or stamp.read_text() != wanted:
            log("installing the peers' packages")
            shutil.rmtree(VENV, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", PEERS / "requirements.txt"], check=True)
            stamp.write_text(wanted)
        os.execv(python, [python, script, *sys.argv[1:]])


def frames(count, size):
    """The cached folder of frames."""
    script = PEERS / "make_frames.py"
    recipe = hashlib.sha256(script.read_bytes()).hexdigest()[:8]
    folder = CACHE / f"frames-{count}x{size}-{recipe}"
    if not folder.exists():
        log(f"generating {count} frames of {size}x{size}")
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, script, "--frames", str(count), "--size", str(size), "--out", making]
        try:
            subprocess.run(command, check=True)
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def find_nginx():
    path = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None and os.geteuid() == 0 and shutil.which("apt-get"):
        log("installing nginx-light")
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "-qq", "update"], env=environment, **quiet)
        subprocess.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "nginx-light"], env=environment, **quiet)
        path = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if path is None:
        sys.exit("nginx is not installed: on Debian, `apt-get install nginx-light` as root")
    return path


NGINX_CONF = """
{user}
worker_processes 2;
daemon off;
pid {work}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    types {{ image/png png; }}
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 300;
    keepalive_requests 10000000;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root "{root}";
    }}
}}
"""


def adopt_orphans():
    """Makes this process the parent of processes whose parent ends before them: their CPU time then counts, and none stays behind."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def orphans_usage(processes):
    """Waits for those of the processes that were adopted. Their user and system seconds."""
    user = system = 0.0
    for process in processes:
        with contextlib.suppress(ChildProcessError):
            _, _, used = os.wait4(process, 0)
            user, system = user + used.ru_utime, system + used.ru_stime
    return user, system


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def nginx(root):
    """Serve `root` on loopback; yield the URL. The server stops at the end, or when this process is killed."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="whole-job-nginx-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        conf = Path(work) / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        conf.write_text(NGINX_CONF.format(user=user, work=work, port=port, root=root))
        command = [find_nginx(), "-e", "stderr", "-p", work, "-c", conf]
        server = subprocess.Popen(command, preexec_fn=die_with_parent)
        try:
            deadline = time.monotonic() + 10
            while True:
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit("nginx did not start")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def digest(url, folder, count):
    """The digest of all served frames, which must equal the files. Also loads the frames into the page cache for all programs."""
    if len(list(folder.glob("*.png"))) != count:
        sys.exit(f"{folder} does not contain {count} frames: remove the folder")
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    served = hashlib.sha256()
    for index in range(count):
        name = f"{index:05}.png"
        connection.request("GET", f"/{name}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or body != (folder / name).read_bytes():
            sys.exit(f"{url}/{name} differs from the file: HTTP {response.status}, {len(body)} bytes")
        served.update(body)
    connection.close()
    return served.hexdigest()


# ---------------------------------------------------------------- one run


def resident(session):
    """The resident bytes of each process of a session."""
    page = os.sysconf("SC_PAGE_SIZE")
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry.name}/stat", "rb") as stat:
                    fields = stat.read().rpartition(b")")[2].split()
                if int(fields[3]) == session:
                    found[int(entry.name)] = int(fields[21]) * page
    return found


def end_session(session):
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                if os.getsid(int(entry.name)) == session:
                    os.kill(int(entry.name), signal.SIGKILL)


def measure(command, work):
    """Run a command to its end; return its resource usage, exit code and outputs."""
    out, err = work / "stdout", work / "stderr"
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(CACHE / "numba"), PYTHONDONTWRITEBYTECODE="1")
    peak, over, seen = 0, threading.Event(), set()
    adopt_orphans()

    def watch(session):
        nonlocal peak
        deadline = time.monotonic() + LIMIT
        while not over.wait(0.25):
            now = resident(session)
            peak = max(peak, sum(now.values()))
            seen.update(now)
            if time.monotonic() > deadline:
                end_session(session)

    with open(out, "wb") as stdout, open(err, "wb") as stderr:
        load_average = os.getloadavg()[0]
        begin = time.monotonic()
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=work,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        watcher = threading.Thread(target=watch, args=(child.pid,), daemon=True)
        watcher.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
            wall = time.monotonic() - begin
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            over.set()
            watcher.join()
            end_session(child.pid)
    # The usage of a process contains the processes that it has waited for. Servers that free much memory end after their parent.
    user, system = orphans_usage(seen - {child.pid})
    user, system = user + used.ru_utime, system + used.ru_stime
    return {
        "wall": wall,
        "cpu": user + system,
        "system": system,
        "peak_rss": max(peak, used.ru_maxrss * 1024),
        "load_average": load_average,
        "code": child.returncode,
        "stdout": out.read_text(errors="replace"),
        "stderr": err.read_text(errors="replace"),
    }


MANIFEST = """apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata:
  name: whole-job
spec:
  source:
    images:
      urlTemplate: "{url}/{{index:05}}.png"
      count: {frames}
  load: {{chunkFrames: 20, concurrency: 16}}
  recenter: {{crop: [{crop}, {crop}]}}
  fft: {{axis: 0, output: power}}
  reduce: [mean]
  keep: [recentered, power]
"""


def command_of(peer, args, url, save):
    job = ["--frames", args.frames, "--size", args.size, "--crop", args.crop, "--url", url, "--save", save]
    if peer == "expert":
        return [sys.executable, PEERS / "expert_job.py", *job]
    if peer != "arrayjob":
        _, method, tile = peer.split()
        script = PEERS / "dask_job.py"
        return [sys.executable, script, *job, "--method", method, "--tile", tile.removeprefix("P="), "--workers", SERVERS]
    manifest = save / "job.yaml"
    manifest.write_text(MANIFEST.format(url=url, frames=args.frames, crop=args.crop))
    half = args.crop // 2
    selections = dict(zip(SAVED, ("raw_mean_frame", "power[:,0,0]", f"power[:,{half},{half}]")))
    saves = [part for name, what in selections.items() for part in ("--save", f"{what}={save / name}.npy")]
    return [ARRAYJOB, "run", manifest, "--servers", SERVERS, "--progress", "json", *saves]


def phases_of(peer, run):
    """The seconds of each phase, from the last line of JSON with them."""
    key, text = ("summary", run["stderr"]) if peer == "arrayjob" else ("phases", run["stdout"])
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError, TypeError):
            found = json.loads(line)[key]
            break
    else:
        raise ValueError(f"printed no {key}")
    if peer != "arrayjob":
        return found, None
    phases = {}
    for phase in found["phases"]:
        name = OURS.get(phase["name"], phase["name"].lower())
        phases[name] = phases.get(name, 0.0) + phase["seconds"]
    phases["total"] = found["seconds"]
    return phases, found


def run_one(peer, args, url, results):
    with tempfile.TemporaryDirectory(prefix="whole-job-") as work:
        save = Path(work) / "saved"
        save.mkdir()
        run = measure(command_of(peer, args, url, save), Path(work))
        try:
            if run["code"] != 0:
                raise ValueError(f"exit code {run['code']}")
            import numpy as np

            run["phases"], run["summary"] = phases_of(peer, run)
            run["saved"] = {name: np.load(save / f"{name}.npy") for name in SAVED}
        except (ValueError, OSError, KeyError) as error:
            log(run["stdout"][-2000:] + run["stderr"][-4000:])
            sys.exit(f"{peer}: {error}")
    results.setdefault(peer, []).append(run)
    log(f"{peer}: {run['wall']:.2f} s wall, {run['phases']['total']:.2f} s the job, {run['peak_rss'] / 2**30:.2f} GiB")


# ---------------------------------------------------------------- agreement


def disagreement(name, ours, theirs):
    """The disagreement, or None. Strong bins (above a millionth of the strongest bin except DC) must agree to 1e-4, other bins must be weak."""
    import numpy as np

    if ours.shape != theirs.shape:
        return f"{name}: shape {ours.shape}, {theirs.shape}"
    ours, theirs = ours.astype(float), theirs.astype(float)
    if name == "raw_mean_frame":
        allowed = 1e-12 * np.abs(theirs)
    else:
        line = 1e-6 * theirs[1:].max(initial=0.0)
        allowed = np.where(theirs > line, 1e-4 * theirs, line) + 1e-13 * theirs[0]
    bad = ~(np.abs(ours - theirs) <= allowed)
    if not bad.any():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(bad))
    return f"{name}: {bad.sum()} of {bad.size} differ, first at {at}: {ours[at]!s}, {theirs[at]!s}"


def check_agreement(results):
    """Compare the numbers of all programs with the first Dask run, or with the first program if Dask did not run."""
    referee = next((p for p in results if p.startswith("dask")), next(iter(results)))
    theirs = results[referee][0]["saved"]
    wrong = []
    for peer, runs in results.items():
        for number, run in enumerate(runs):
            found = (disagreement(name, run["saved"][name], theirs[name]) for name in SAVED)
            wrong += [f"{peer}, run {number + 1}, against {referee}: {text}" for text in found if text]
    return referee, wrong


# ---------------------------------------------------------------- the report


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return model, len(os.sched_getaffinity(0)), int(memory.split()[1]) / 2**20


def folder_of_today(suffix=""):
    """The folder of today's report for this CPU."""
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)|cpu|@.*", " ", machine()[0].lower())).strip("-")
    return ROOT / "benches" / "runs" / f"{datetime.date.today()}-{slug}{suffix}"


def versions(results):
    from importlib.metadata import version

    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {version(name)}" for name in ("dask", "distributed", "numpy", "numba", "scipy", "imagecodecs")]
    found.append(subprocess.run([find_nginx(), "-v"], capture_output=True, text=True).stderr.split(":")[-1].strip())
    if "arrayjob" in results:
        found.append(subprocess.run([ARRAYJOB, "--version"], capture_output=True, text=True).stdout.strip() or "arrayjob")
    return ", ".join([*found, f"Linux {platform.release().split('-')[0]}"])


def middle(runs, value, digits=2):
    values = [v for v in map(value, runs) if v is not None]
    if not values:
        return ""
    text = f"{statistics.median(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def median(results, peer, value):
    return statistics.median(value(run) for run in results[peer])


def table(results):
    peers = list(results)
    seen = {phase: None for runs in results.values() for run in runs for phase in run["phases"]}
    order = [*(p for p in PHASES if p in seen and p != "total"), *(p for p in seen if p not in PHASES), "total"]
    rows = [["seconds", *(f"{p} ×{len(results[p])}" for p in peers)], ["---"] * (len(peers) + 1)]
    for phase in order:
        rows.append([PHASES.get(phase, phase), *(middle(results[p], lambda r: r["phases"].get(phase)) for p in peers)])
    rows.append(["**start to exit**", *(middle(results[p], lambda r: r["wall"]) for p in peers)])
    rows.append(["CPU seconds", *(middle(results[p], lambda r: r["cpu"], 1) for p in peers)])
    rows.append(["peak memory, GiB", *(middle(results[p], lambda r: r["peak_rss"] / 2**30) for p in peers)])
    rows.append(["load average before", *(middle(results[p], lambda r: r["load_average"], 1) for p in peers)])
    if "arrayjob" in results:
        for label, value in (("the job", lambda r: r["phases"]["total"]), ("start to exit", lambda r: r["wall"])):
            ours = median(results, "arrayjob", value)
            rows.append([f"{label} / ArrayJob", *(f"{median(results, p, value) / ours:.1f}" for p in peers)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def ratios(results):
    """The ratios with a goal, from start to exit, and the best Dask."""
    if "arrayjob" not in results:
        return {}, None
    walls = {peer: median(results, peer, lambda run: run["wall"]) for peer in results}
    dask = {peer: wall for peer, wall in walls.items() if peer.startswith("dask")}
    figures, best = {}, min(dask, key=dask.get, default=None)
    if dask:
        figures = {"bench.dask": dask[best] / walls["arrayjob"], "bench.dask-tasks-10": dask["dask tasks P=10"] / walls["arrayjob"]}
    if "expert" in walls:
        figures["bench.expert"] = walls["expert"] / walls["arrayjob"]
    return figures, best


def goals_of(results, args, folder):
    """The figures that have a goal, and the lines about them."""
    figures, best = ratios(results)
    kernels = phase_kernels.alone(folder, args) if "arrayjob" in results else None
    lines = []
    if kernels:
        phases = phase_kernels.of_runs(results["arrayjob"])
        figures["bench.phase"] = phase_kernels.figure(phases, kernels)
        lines = [phase_kernels.table(phases, kernels), "", "The kernels alone have no network, and memory that is touched before.", ""]
    if figures:
        lines = [goals.table(figures), "", *([f"The best Dask is {best}.", ""] if best else []), *lines]
    return figures, lines


def report(results, args, frame_digest, referee, wrong, load_before, lines):
    cpu, cores, memory = machine()
    text = [
        f"# The whole job, {args.frames} frames of {args.size}×{args.size}, crop {args.crop}",
        "",
        f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. {versions(results)}.",
        f"Load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.",
        "",
        table(results),
        "",
        "Medians (minimum–maximum) of interleaved runs. *The job* is the time that each program reports, from the request of the",
        "first frame to the last power in memory; *start to exit* is the lifetime of the process. The phases of ArrayJob overlap,",
        "and include the means. Peak memory is the sum of the resident sets of all processes of a program.",
        "",
        *lines,
        f"Frames: 8-bit PNG from nginx on loopback, two workers, SHA-256 of all frames in order `{frame_digest}`.",
        f"Dask has {SERVERS} workers of one thread, ArrayJob {SERVERS} servers; the script of the expert uses every core.",
        f"Two spectra and the mean image of every run agree with those of {referee} to 1e-4 and 1e-12."
        if not wrong
        else "**The numbers do not agree:**\n\n" + "\n".join(f"- {line}" for line in wrong),
        "",
        f"    python3 benches/whole_job.py --frames {args.frames} --size {args.size} --crop {args.crop}"
        f" --repeat {args.repeat} --peers {','.join(args.peers)}",
        "",
    ]
    return "\n".join(text)


def raw_rows(results):
    yield "peer", "run", "measure", "value", "unit"
    for peer, runs in results.items():
        for number, run in enumerate(runs, 1):
            yield from ((peer, number, phase, value, "s") for phase, value in run["phases"].items())
            yield peer, number, "wall", round(run["wall"], 4), "s"
            yield peer, number, "cpu", round(run["cpu"], 3), "s"
            yield peer, number, "peak_rss", run["peak_rss"], "B"
            yield peer, number, "load_average", round(run["load_average"], 2), ""
            for phase in (run["summary"] or {}).get("phases", ()):
                yield from (
                    (peer, number, f"{phase['name']}.{key}", phase[key], unit)
                    for key, unit in (("seconds", "s"), ("bytes", "B"), ("retries", ""))
                    if key in phase
                )


def order_of_runs(args):
    """The order of the runs: interleaved, so that a slow minute of the machine affects all programs equally."""
    dask = [f"dask {method} P={tile}" for method, tile in DASK] if "dask" in args.peers else []
    runs = {peer: args.repeat for peer in dask}
    if "expert" in args.peers:
        runs["expert"] = 1 if args.quick else EXPERT_RUNS
    if "arrayjob" in args.peers:
        runs["arrayjob"] = 1 if args.quick else ARRAYJOB_RUNS
    # The runs of each peer are evenly spaced.
    slots = [((number + 0.5) / times, peer) for peer, times in runs.items() for number in range(times)]
    shift = {peer: 0.3 * place / len(runs) for place, peer in enumerate(dask)}
    slots.sort(key=lambda slot: slot[0] + (shift[slot[1]] if runs[slot[1]] == 1 and slot[1] in shift else 0.0))
    return list(runs), [peer for _, peer in slots]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--crop", type=int)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each Dask variant (default 1)")
    parser.add_argument("--peers", default="dask,expert,arrayjob", help="programs to run, separated by commas")
    parser.add_argument("--quick", action="store_true", help="smoke test: a small stack, every program once")
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    args = parser.parse_args()
    standard = (100, 200, 100) if args.quick else (1000, 1000, 500)
    args.frames, args.size, args.crop = (a or b for a, b in zip((args.frames, args.size, args.crop), standard))
    args.peers = [peer for peer in args.peers.split(",") if peer]
    if not args.peers or set(args.peers) - {"dask", "expert", "arrayjob"}:
        parser.error("--peers takes dask, expert and arrayjob")
    if "arrayjob" in args.peers and not ARRAYJOB.exists():
        sys.exit(f"{ARRAYJOB.relative_to(ROOT)} does not exist: run `cargo build --release` first, or omit ArrayJob with --peers dask,expert")

    CACHE.mkdir(exist_ok=True)
    enter_venv()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = frames(args.frames, args.size)
    columns, order = order_of_runs(args)
    load_before = os.getloadavg()[0]
    done = {}
    with nginx(folder) as url:
        frame_digest = digest(url, folder, args.frames)
        for number, peer in enumerate(order, 1):
            log(f"[{number}/{len(order)}] {peer}")
            run_one(peer, args, url, done)
    results = {peer: done[peer] for peer in columns}
    referee, wrong = check_agreement(results)
    figures, lines = goals_of(results, args, folder)
    text = report(results, args, frame_digest, referee, wrong, load_before, lines)
    out = args.out or (None if args.quick else folder_of_today())
    code = goals.publish(text, {} if args.quick else figures, out)
    if out is not None:
        rows = io.StringIO()
        csv.writer(rows, lineterminator="\n").writerows(raw_rows(results))
        (out / "raw.csv").write_text(rows.getvalue())
    return 1 if wrong else code


if __name__ == "__main__":
    sys.exit(main())

"""The exchange over limited links, with TLS: how much of what the links can carry does a job use?

    python3 benches/network.py [--rate 1000] [--lower-rate 200] [--repeat 3] [--turns 9] [--out FOLDER] [--quick]

Each chunk server is in a network namespace of its own, behind a link of `--rate` Mbit/s each way (tc tbf). nginx serves raw frames from behind
the bridge, without a limit. The job fetches the frames, exchanges the pixels and computes the power spectrum of each pixel, on servers with
mutual TLS and under the loop of the operator. Three measurements:

1. All links have one rate: `--rate`, and `--lower-rate`, at which links rather than processors are the limit.
2. One link has a tenth of `--rate`.
3. The job on loopback without limits, by turns with TLS and without.

The least time of a job is the time in which its most loaded link carries its bytes: bytes on the wire, counted by the token bucket of each
way, over the bytes a second that a plain TCP transfer moves through such a bucket. The tables also state the payload (frames and blocks), so
that the overhead of the protocols shows. Spectra must agree with NumPy.

Prints Markdown tables and writes benches/runs/<date>-<cpu>-network/README.md (with --quick only if --out is given). Fails when a goal that was
met is missed by more than a fifth. Requires Linux, root, ip and tc (iproute2), openssl, nginx, and `make bench-network`'s programs.
"""

import argparse
import contextlib
import datetime
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from operator import itemgetter
from pathlib import Path

import fleet
import goals
import links
import whole_job
from whole_job import CACHE, log, machine

PORT = 8099
SLOWER = 10  # the rate of the links over the rate of the one slow link
SHARE_OF_MEMORY = 0.8  # of the available memory, for all servers
MANIFEST = """apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata:
  name: network
spec:
  source:
    images:
      urlTemplate: "http://{hub}:{port}/{{index:05}}.raw"
      count: {frames}
    frame: {{height: {size}, width: {size}, dtype: uint16}}
  load: {{chunkFrames: 20, concurrency: 16}}
  rechunk: {{chunks: [-1, 32, 32]}}
  fft: {{axis: 0, output: power}}
  keep: [power]
"""


# ---------------------------------------------------------------- frames


def frames(args):
    """The cached folder of raw frames, uint16 with noise and a beat that depends on the pixel."""
    import numpy as np

    folder = CACHE / f"raw-frames-{args.frames}x{args.size}"
    if folder.exists():
        return folder
    log(f"generating {args.frames} raw frames of {args.size}x{args.size}")
    making = folder.with_name(f"{folder.name}.{os.getpid()}")
    making.mkdir(parents=True)
    beats = 5 + np.add.outer(np.arange(args.size), 3 * np.arange(args.size)) % 11
    try:
        for index in range(args.frames):
            noise = np.random.default_rng(index).integers(0, 500, beats.shape)
            wave = 1000 * np.sin(2 * np.pi * beats * index / args.frames)
            (making / f"{index:05}.raw").write_bytes((2000 + wave + noise).astype("<u2").tobytes())
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


@contextlib.contextmanager
def source(hub, folder):
    """nginx in the bridge's namespace; its pages are in the page cache."""
    for path in folder.iterdir():
        path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="network-nginx-") as work:
        conf = Path(work) / "nginx.conf"
        text = whole_job.NGINX_CONF.format(user="user root;", work=work, port=PORT, root=folder)
        conf.write_text(text.replace("listen 127.0.0.1:", f"listen {links.HUB}:"))
        command = fleet.within(hub, [whole_job.find_nginx(), "-e", "stderr", "-p", work, "-c", conf])
        server = subprocess.Popen(command, preexec_fn=whole_job.die_with_parent)
        try:
            yield
        finally:
            fleet.stop(server)


def disagreements(servers, folder, args):
    """Compares one spectrum of each server, and those of the first and last pixel, with NumPy's."""
    import numpy as np

    places = [(0, 0), (args.size - 1, args.size - 1)]
    places += [(args.size * (2 * part + 1) // (2 * args.servers), args.size // 3) for part in range(args.servers)]
    stack = [np.memmap(folder / f"{index:05}.raw", "<u2", "r", shape=(args.size, args.size)) for index in range(args.frames)]
    wrong = []
    for y, x in places:
        ours = np.frombuffer(servers.get(f"/slice/power?sel=:,{y},{x}&format=raw"), "<f4")
        theirs = np.abs(np.fft.fft([float(frame[y, x]) for frame in stack])) ** 2
        found = whole_job.disagreement(f"power[:,{y},{x}]", ours, theirs)
        wrong += [found] if found else []
    return wrong


# ---------------------------------------------------------------- jobs


class Bench:
    """What all jobs have in common, and where their spectra differ from NumPy's."""

    def __init__(self, args, hub, ends, folder, work):
        self.args, self.hub, self.ends, self.folder, self.work = args, hub, ends, folder, work
        self.capacities, self.exchanges, self.wrong = {}, {}, []
        self.manifest = work / "job.yaml"
        self.manifest.write_text(MANIFEST.format(hub=links.HUB, port=PORT, frames=args.frames, size=args.size))
        fleet.certificates(work)

    def capacity(self, rate):
        """Bytes a second of a link of this rate, measured once on the first link."""
        if rate not in self.capacities:
            self.ends[0].limit(rate)
            self.capacities[rate] = links.capacity(self.ends[0], self.args.plain)
            log(f"{rate} Mbit/s: plain TCP moves {in_words(self.capacities[rate])}")
        return self.capacities[rate]

    def exchange(self, rate):
        """Bytes a second of each link while plain TCP moves bytes from each end to each other end: what the machine itself can carry."""
        for link in self.ends:
            link.limit(rate)
        self.exchanges[rate] = links.exchange(self.ends, self.args.plain)

    def job(self, servers):
        """A job, and the counters of all links before and after it."""
        memory = int(available_memory() * SHARE_OF_MEMORY / self.args.servers)
        before = [link.counters() for link in self.ends]
        done = servers.job(self.manifest, self.args.threads, memory)
        done["counters"] = before, [link.counters() for link in self.ends]
        self.wrong += disagreements(servers, self.folder, self.args)
        return done

    def limited(self, name, rates):
        """The job over links of these rates."""
        capacities = [self.capacity(rate) for rate in rates]
        for link, rate in zip(self.ends, rates):
            link.limit(rate)
        places = [(link.namespace, link.address, 0) for link in self.ends]
        with fleet.secured(self.hub, places, self.work, self.args.threads) as servers:
            done = self.job(servers) | {"name": name}
        done["most"] = max(loads(done, capacities), key=lambda load: load["seconds"])
        done["least"] = done["most"]["seconds"]
        log(f"{name}: {done['seconds']:.2f} s, least time {done['least']:.2f} s, processors {done['busy']:.0%} busy")
        return done

    def on_loopback(self, tls):
        """The job without limits, all servers in one namespace."""
        places = [(self.hub, links.HUB, 1 + number) for number in range(self.args.servers)]
        threads = self.args.threads
        with fleet.secured(self.hub, places, self.work, threads) if tls else fleet.plain(self.hub, self.args.servers, threads) as servers:
            done = self.job(servers)
        log(f"TLS {'on' if tls else 'off'}: {done['seconds']:.2f} s, {done['cpu']:.1f} CPU s of the servers")
        return done


def available_memory():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])


def loads(done, capacities):
    """Of each way of each link: its bytes, and the seconds in which the link can carry them. The bucket is full at the begin of a job."""
    for number, (before, after, capacity) in enumerate(zip(*done["counters"], capacities)):
        received = done["bytes"][number]["Load"] + done["bytes"][number]["Rechunk"]
        for way, payload in (("in", received), ("out", sent(done, number))):
            wire, drops = (after[way][key] - before[way][key] for key in ("bytes", "drops"))
            seconds = max(0, wire - links.BURST) / capacity[way]["wire"]
            yield {"link": number, "way": way, "wire": wire, "payload": payload, "drops": drops, "seconds": seconds}


def sent(done, number):
    """Bytes of the blocks that a server sends: all servers own the same number of frames, so each sends to its peers what it does not keep."""
    others = [of_server["Rechunk"] for other, of_server in enumerate(done["bytes"]) if other != number]
    return sum(others) / len(others)


# ---------------------------------------------------------------- the report


def in_words(rates):
    return ", ".join(f"{way} {8e-6 * rate['wire']:.1f} Mbit/s ({8e-6 * rate['payload']:.1f} of payload)" for way, rate in rates.items())


def median(runs, value):
    return statistics.median(value(done) for done in runs)


def table_of_links(rows):
    lines = [
        "| links | time, s | least time, s | share | most loaded way | on the wire, MB | payload, MB | overhead | dropped packets | CPU of the servers, s | processors busy |",
        "| --- " * 11 + "|",
    ]
    for done in rows:
        most = done["most"]
        lines.append(
            f"| {done['name']} | {done['seconds']:.2f} | {done['least']:.2f} | {done['least'] / done['seconds']:.3f} "
            f"| link {most['link']}, {most['way']} | {most['wire'] / 1e6:.1f} | {most['payload'] / 1e6:.1f} "
            f"| {100 * (most['wire'] / most['payload'] - 1):.1f} % | {most['drops']} | {done['cpu']:.1f} | {done['busy']:.0%} |"
        )
    return "\n".join(lines)


def table_of_turns(turns):
    lines = ["| TLS | time, s | median | least | CPU of the servers, s, median | processors busy, median |", "| --- " * 6 + "|"]
    for tls, runs in turns.items():
        times = ", ".join(f"{done['seconds']:.2f}" for done in runs)
        seconds, cpu, busy = (median(runs, itemgetter(key)) for key in ("seconds", "cpu", "busy"))
        lines.append(f"| {'on' if tls else 'off'} | {times} | {seconds:.2f} | {min(map(itemgetter('seconds'), runs)):.2f} | {cpu:.2f} | {busy:.0%} |")
    return "\n".join(lines)


def report(args, bench, rows, turns, figures, load_before):
    cpu, cores, memory = machine()
    plain = [f"- through one link of {rate} Mbit/s: {in_words(found)}" for rate, found in bench.capacities.items()]
    for rate, found in bench.exchanges.items():
        plain.append(f"- from each server to each other server, links of {rate} Mbit/s: {in_words({'in': found})} a link")
    return "\n".join([
        f"# The exchange over limited links: {args.frames} raw uint16 frames of {args.size}×{args.size}, {args.servers} servers",
        "",
        f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. Load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.",
        "",
        goals.table(figures),
        "",
        table_of_links(rows),
        "",
        "The bytes on the wire are those that the token bucket of the most loaded way counts; the payload is frames and blocks. Other programs of",
        "the machine count as busy processors. Plain TCP:",
        "",
        *plain,
        "",
        table_of_turns(turns),
        "",
        "By turns, on loopback, without limits. The servers with TLS have two HTTP threads, those without TLS one.",
        "Spectra agree with NumPy." if not bench.wrong else "**Spectra differ from NumPy's:** " + "; ".join(bench.wrong),
        "",
        f"    python3 benches/network.py --rate {args.rate} --lower-rate {args.lower_rate} --repeat {args.repeat} --turns {args.turns}",
        "",
    ])


def figures_of(equal, lower, slow, turns):
    def share(runs):
        return median(runs, lambda done: done["least"] / done["seconds"])

    on, off = (median(turns[tls], itemgetter("seconds")) for tls in (True, False))
    return {
        "network.exchange": share(equal),
        "network.exchange.lower": share(lower),
        "network.slow-link": median(slow, lambda done: done["seconds"] / done["least"]),
        "network.tls": on / off,
    }


def measured(args, bench):
    """All jobs: over equal links, over links of the lower rate, with one slow link, and by turns with TLS and without."""
    count = args.servers
    equal = [bench.limited(f"{args.rate} Mbit/s", [args.rate] * count) for _ in range(args.repeat)]
    lower = [bench.limited(f"{args.lower_rate} Mbit/s", [args.lower_rate] * count) for _ in range(args.repeat)]
    slow_rate = args.rate // SLOWER
    slow = [bench.limited(f"{args.rate} Mbit/s, one {slow_rate}", [args.rate] * (count - 1) + [slow_rate]) for _ in range(args.repeat)]
    for rate in (args.rate, args.lower_rate):
        bench.exchange(rate)
    turns = {False: [], True: []}
    for _ in range(args.turns):
        for tls, runs in turns.items():
            runs.append(bench.on_loopback(tls))
    return equal, lower, slow, turns


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, help="rate of each link, each way, in Mbit/s (default 1000; quick 100)")
    parser.add_argument("--lower-rate", type=int, help="the rate of the second row (default: a fifth of --rate)")
    parser.add_argument("--servers", type=int, default=4, help="chunk servers (default 4)")
    parser.add_argument("--threads", type=int, help="compute threads of a server (default: processors over servers, at least 1)")
    parser.add_argument("--repeat", type=int, help="jobs of each row (default 3; quick 1)")
    parser.add_argument("--turns", type=int, help="jobs with TLS and without (default 9; quick 1)")
    parser.add_argument("--frames", type=int, help="frames (default 480; quick 80)")
    parser.add_argument("--size", type=int, help="height and width of a frame (default 800; quick 200)")
    parser.add_argument("--plain", type=float, help="seconds of a plain transfer (default 3; quick 1)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    parser.add_argument("--quick", action="store_true", help="smoke test: every row once, with a small job")
    args = parser.parse_args()
    if args.servers < 2:
        parser.error("--servers takes at least 2: one server exchanges nothing")
    quick = {"rate": 100, "repeat": 1, "turns": 1, "frames": 80, "size": 200, "plain": 1}
    full = {"rate": 1000, "repeat": 3, "turns": 9, "frames": 480, "size": 800, "plain": 3}
    for name, value in (quick if args.quick else full).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.lower_rate = args.lower_rate or args.rate // 5
    args.threads = args.threads or max(1, len(os.sched_getaffinity(0)) // args.servers)
    return args


def main():
    args = arguments()
    if os.geteuid() != 0 or not (shutil.which("tc") and shutil.which("openssl")):
        sys.exit("needs root, ip, tc and openssl: on Debian, `apt-get install iproute2 openssl` as root")
    for program in (fleet.CHUNKSERVER, fleet.LOOP):
        if not program.exists():
            sys.exit(f"{program} does not exist: build it as `make bench-network` does")
    CACHE.mkdir(exist_ok=True)
    whole_job.enter_venv(__file__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load_before, folder = os.getloadavg()[0], frames(args)
    with links.star(args.servers) as (hub, ends), source(hub, folder), tempfile.TemporaryDirectory(prefix="network-") as work:
        bench = Bench(args, hub, ends, folder, Path(work))
        equal, lower, slow, turns = measured(args, bench)
    figures = figures_of(equal, lower, slow, turns)
    text = report(args, bench, equal + lower + slow, turns, figures, load_before)
    out = args.out or (None if args.quick else whole_job.folder_of_today("-network"))
    code = goals.publish(text, {} if args.quick else figures, out)
    return 1 if bench.wrong else code


if __name__ == "__main__":
    sys.exit(main())

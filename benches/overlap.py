"""A source behind a limited link: how much longer than the transfer alone does a job take?

    python3 benches/overlap.py [--rate 100] [--out FOLDER] [--quick]

nginx serves the frames in a network namespace of its own. A token bucket (tc tbf) limits its link to `--rate` Mbit/s. First a program
fetches all frames over sixteen connections and discards them; then the job fetches, recenters, exchanges and transforms them. Both run
three times, in turn.

Prints a Markdown table with goal, figure, ratio and verdict, and writes benches/runs/<date>-<cpu>-overlap/README.md (with --quick only if --out
is given). Fails when a goal that was met is missed by more than a fifth. Requires Linux, root, ip and tc (iproute2), and
`cargo build --release`.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import http.client
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import goals
import whole_job
from whole_job import ARRAYJOB, CACHE, log, machine

CONNECTIONS = 16
NAMESPACE, OUTSIDE, INSIDE = f"arrayjob-{os.getpid()}", f"aj{os.getpid() % 10000}a", f"aj{os.getpid() % 10000}b"
HERE, THERE, PORT = "10.213.7.1", "10.213.7.2", 8099


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def limited(folder, rate):
    """nginx behind a link of `rate` Mbit/s; yields the URL."""
    ip("netns", "add", NAMESPACE)
    with contextlib.ExitStack() as stack:
        stack.callback(ip, "netns", "delete", NAMESPACE)
        ip("link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", NAMESPACE)
        ip("address", "add", f"{HERE}/30", "dev", OUTSIDE)
        ip("link", "set", OUTSIDE, "up")
        ip("-n", NAMESPACE, "address", "add", f"{THERE}/30", "dev", INSIDE)
        ip("-n", NAMESPACE, "link", "set", INSIDE, "up")
        bucket = ["tbf", "rate", f"{rate}mbit", "burst", "256kb", "latency", "50ms"]
        subprocess.run(["tc", "-n", NAMESPACE, "qdisc", "add", "dev", INSIDE, "root", *bucket], check=True)
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="overlap-nginx-"))
        conf = Path(work) / "nginx.conf"
        text = whole_job.NGINX_CONF.format(user="user root;", work=work, port=PORT, root=folder)
        conf.write_text(text.replace("listen 127.0.0.1:", f"listen {THERE}:"))
        command = ["ip", "netns", "exec", NAMESPACE, whole_job.find_nginx(), "-e", "stderr", "-p", work, "-c", conf]
        server = subprocess.Popen(command, preexec_fn=whole_job.die_with_parent)
        stack.callback(server.wait, 10)
        stack.callback(server.terminate)
        deadline = time.monotonic() + 10
        while True:
            try:
                http.client.HTTPConnection(THERE, PORT, timeout=1).connect()
                break
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("nginx did not start in its namespace")
                time.sleep(0.05)
        yield f"http://{THERE}:{PORT}"


def fetch_some(names):
    connection = http.client.HTTPConnection(THERE, PORT)
    fetched = 0
    for name in names:
        connection.request("GET", f"/{name}")
        fetched += len(connection.getresponse().read())
    connection.close()
    return fetched


def fetch(names):
    """Fetches all frames over all connections. Seconds, and bytes."""
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        fetched = sum(pool.map(fetch_some, [names[start::CONNECTIONS] for start in range(CONNECTIONS)]))
    return time.monotonic() - begin, fetched


def job(url, args):
    """Start to exit of the job, in seconds."""
    with tempfile.TemporaryDirectory(prefix="overlap-job-") as work:
        path = Path(work) / "job.yaml"
        path.write_text(whole_job.MANIFEST.format(url=url, frames=args.frames, crop=args.crop))
        done = whole_job.measure([ARRAYJOB, "run", path, "--servers", args.servers, "--progress", "json"], Path(work))
    if done["code"] != 0:
        sys.exit(done["stderr"][-4000:])
    return done["wall"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100, help="rate of the source's link in Mbit/s (default 100)")
    parser.add_argument("--servers", type=int, default=4, help="chunk servers (default 4)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    parser.add_argument("--quick", action="store_true", help="smoke test: 100 frames of 200x200")
    args = parser.parse_args()
    args.frames, args.size, args.crop = (100, 200, 100) if args.quick else (250, 2000, 1000)
    if os.geteuid() != 0 or not shutil.which("tc"):
        sys.exit("needs root, ip and tc: on Debian, `apt-get install iproute2` as root")
    if not ARRAYJOB.exists():
        sys.exit("run `cargo build --release` first")
    CACHE.mkdir(exist_ok=True)
    whole_job.enter_venv(__file__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = whole_job.frames(args.frames, args.size)
    names = sorted(path.name for path in folder.glob("*.png"))
    load_before, alone, whole = os.getloadavg()[0], [], []
    with limited(folder, args.rate) as url:
        for _ in range(3):
            seconds, fetched = fetch(names)
            alone.append(seconds)
            whole.append(job(url, args))
            log(f"{fetched / 1e6:.0f} MB alone {seconds:.2f} s ({fetched * 8e-6 / seconds:.0f} Mbit/s), the job {whole[-1]:.2f} s")
    figures = {"overlap": statistics.median(whole) / statistics.median(alone)}
    cpu, cores, memory = machine()
    text = "\n".join(
        [
            f"# A source behind {args.rate} Mbit/s: {args.frames} frames of {args.size}×{args.size}, {args.servers} servers",
            "",
            f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. Load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.",
            "",
            goals.table(figures),
            "",
            f"The transfer of {fetched / 1e6:.0f} MB alone took {', '.join(f'{seconds:.2f}' for seconds in alone)} s;",
            f"the job, start to exit, {', '.join(f'{seconds:.2f}' for seconds in whole)} s.",
            "",
            f"    python3 benches/overlap.py --rate {args.rate} --servers {args.servers}",
            "",
        ]
    )
    out = args.out or (None if args.quick else whole_job.folder_of_today("-overlap"))
    return goals.publish(text, {} if args.quick else figures, out)


if __name__ == "__main__":
    sys.exit(main())

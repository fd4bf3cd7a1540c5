"""The cost of open pages for a job: the job of whole_job.py, alternately without pages and with ten open pages.

    python3 benches/watched.py [--frames 1000 --size 1000 --crop 500] [--pages 10] [--repeat 15] [--out FOLDER]

A page of this benchmark sends the requests of the page in a browser, at the same rate: its files, events, the tasks of every
server each second, both previews and the traces every two seconds. A real browser would use CPU time of the machine of the
job; usually the browser runs on another machine. The pages run with the lowest priority (nice 19).

Prints one Markdown table and writes benches/runs/<date>-<cpu>-watched/. Requires nginx and `cargo build --release`.
"""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import multiprocessing
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import whole_job
from whole_job import ARRAYJOB, CACHE, MANIFEST, ROOT, SERVERS, die_with_parent, log

WANTED = 3.0  # largest allowed slowdown, in per cent
TASKS_EVERY, PICTURES_EVERY = 1.0, 2.0  # seconds


# ---------------------------------------------------------------- a page


def get(connection, path, headers):
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read()


def follow_events(address, headers, over, counted):
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", "/api/v1/events", headers=headers)
    response = connection.getresponse()
    while not over.is_set() and (line := response.readline()):
        counted["events"] += line.startswith(b"event:")


def watch(url, counted):
    """Send requests until the job ends; count the responses."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Authorization": f"Bearer {urllib.parse.parse_qs(parts.query)['token'][0]}"}
    over = threading.Event()
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        for path in ("/", "/app.js", "/app.css"):
            get(connection, path, headers)
        threading.Thread(target=quietly, args=(follow_events, parts.netloc, headers, over, counted), daemon=True).start()
        known, pictures = {}, 0.0
        while True:
            begun = time.monotonic()
            for server in range(SERVERS):
                query = urllib.parse.urlencode(known.get(server, {}))
                status, body = get(connection, f"/api/v1/servers/{server}/tasks?{query}", headers)
                if status == 200:
                    head = json.loads(body[: body.index(b"\n")])
                    known[server] = {"log": head["log"], "after": head["next"]}
                    counted["tasks"] += head["finished"]
                    counted["bytes"] += len(body)
            if begun - pictures >= PICTURES_EVERY:
                pictures = begun
                for path in ("preview/raw?edge=512", "preview/recentered?edge=512", "traces"):
                    status, body = get(connection, f"/api/v1/{path}", headers)
                    counted["pictures"] += status == 200
                    counted["bytes"] += len(body)
            time.sleep(max(0.0, TASKS_EVERY - (time.monotonic() - begun)))
    finally:
        over.set()


def quietly(work, *arguments):
    """Ignore the errors of connections that end with the job."""
    try:
        work(*arguments)
    except (OSError, http.client.HTTPException):
        pass


def pages(count, urls, results):
    """The process of the pages: for each URL, `count` pages until the job at the URL ends."""
    os.nice(19)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        while (url := urls.get()) is not None:
            counted = [dict(events=0, tasks=0, pictures=0, bytes=0) for _ in range(count)]
            list(pool.map(lambda own: quietly(watch, url, own), counted))
            results.put({key: sum(page[key] for page in counted) for key in counted[0]})


# ---------------------------------------------------------------- a run


def run(args, url, urls):
    """Run the job once. With `urls`, put the URL of its page there."""
    with tempfile.TemporaryDirectory(prefix="watched-") as work:
        manifest = Path(work) / "job.yaml"
        manifest.write_text(MANIFEST.format(url=url, frames=args.frames, crop=args.crop))
        command = [ARRAYJOB, "run", manifest, "--servers", str(SERVERS), "--progress", "json"]
        begun = time.monotonic()
        job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        summary = None
        for line in job.stderr:
            event = json.loads(line) if line.startswith("{") else {}
            if "watch" in event and urls is not None:
                urls.put(event["watch"])
            summary = event.get("summary", summary)
        _, status, used = os.wait4(job.pid, 0)
        job.returncode = os.waitstatus_to_exitcode(status)
        if job.returncode != 0 or summary is None:
            sys.exit(f"the job failed with {job.returncode}")
        return {"wall": time.monotonic() - begun, "job": summary["seconds"], "cpu": used.ru_utime + used.ru_stime}


def more(watched, alone, of):
    """The slowdown of the median of the watched runs, in per cent."""
    one, other = (statistics.median(run[of] for run in runs) for runs in (watched, alone))
    return 100 * (one / other - 1)


def report(args, alone, watched, seen, load_before):
    cpu, cores, memory = whole_job.machine()
    rows = ["| seconds | without pages | with pages | slowdown, % |", "| --- | --- | --- | --- |"]
    for name, of in (("the job", "job"), ("start to exit", "wall"), ("CPU of its processes", "cpu")):
        texts = (whole_job.middle(runs, lambda run: run[of], 3) for runs in (alone, watched))
        rows.append(f"| {name} | {' | '.join(texts)} | {more(watched, alone, of):+.1f} |")
    return "\n".join([
        f"# A job with {args.pages} pages open, {args.frames} frames of {args.size}×{args.size}, crop {args.crop}",
        "",
        f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. Load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.",
        "",
        *rows,
        "",
        f"Medians (minimum–maximum) of {args.repeat} alternating runs each. Limit: {WANTED:.0f} % slowdown. The pages received",
        f"{seen['events']} events, {seen['tasks']} tasks and {seen['pictures']} pictures and traces, {seen['bytes'] / 1e6:.0f} MB in all.",
        "",
        f"    python3 benches/watched.py --frames {args.frames} --size {args.size} --crop {args.crop} --pages {args.pages} --repeat {args.repeat}",
        "",
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--crop", type=int, default=500)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=15, help="runs of each kind (default 15)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    args = parser.parse_args()
    if not ARRAYJOB.exists():
        sys.exit(f"{ARRAYJOB.relative_to(ROOT)} does not exist: run `cargo build --release` first")
    CACHE.mkdir(exist_ok=True)
    whole_job.enter_venv(__file__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = whole_job.frames(args.frames, args.size)
    load_before = os.getloadavg()[0]
    context = multiprocessing.get_context("spawn")
    urls, results = context.Queue(), context.Queue()
    watchers = context.Process(target=pages, args=(args.pages, urls, results), daemon=True)
    watchers.start()
    alone, watched, seen = [], [], {}
    with whole_job.nginx(folder) as url:
        whole_job.digest(url, folder, args.frames)
        run(args, url, None)  # loads the program into the page cache
        for turn in range(args.repeat):
            # The order alternates.
            for kind in (alone, watched) if turn % 2 else (watched, alone):
                kind.append(run(args, url, urls if kind is watched else None))
                if kind is watched:
                    try:
                        counts = results.get(timeout=60)
                    except queue.Empty:
                        sys.exit("the pages did not detect the end of the job")
                    seen = {key: seen.get(key, 0) + count for key, count in counts.items()}
            log(f"turn {turn + 1}: alone {alone[-1]['job']:.3f} s, watched {watched[-1]['job']:.3f} s")
    urls.put(None)
    watchers.join(10)
    if not (seen["events"] and seen["tasks"] and seen["pictures"]):
        sys.exit(f"the pages received no responses: {seen}")
    text = report(args, alone, watched, seen, load_before)
    out = args.out or whole_job.folder_of_today("-watched")
    out.mkdir(parents=True, exist_ok=True)
    (out / "README.md").write_text(text)
    rows = [f"{kind},{number},{of},{run[of]:.4f}" for kind, runs in (("alone", alone), ("watched", watched)) for number, run in enumerate(runs, 1) for of in run]
    (out / "raw.csv").write_text("\n".join(["kind,run,measure,seconds", *rows, ""]))
    print(text)


if __name__ == "__main__":
    main()

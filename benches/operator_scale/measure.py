"""What is measured: the operator's metrics, its process, and the API server's audit log."""

import json
import os
import re
import threading
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from api import get_text
from cluster import LOOPBACK, OPERATOR

TICKS, MIB = os.sysconf("SC_CLK_TCK"), 1 << 20


# ---------------------------------------------------------------- the operator's metrics


def metrics():
    """All samples of the operator's metrics: {name with labels: value}."""
    lines = get_text(f"http://{LOOPBACK}:{OPERATOR}/metrics").splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def histogram(before, after, name):
    """Upper bounds and cumulative counts of what a histogram counted between two readings."""
    found = {}
    for sample, value in after.items():
        bound = re.fullmatch(re.escape(f"arrayjob_operator_{name}_bucket") + r'\{le="(.+)"\}', sample)
        if bound:
            found[float(bound[1].replace("+Inf", "inf"))] = value - before.get(sample, 0)
    return sorted(found.items())


def quantile(buckets, q):
    """The quantile of a histogram, by linear interpolation within a bucket, as Prometheus' histogram_quantile. The lower bound of the last
    bucket if the quantile is beyond it; NaN without samples."""
    rank, low, below = q * buckets[-1][1], 0.0, 0.0
    if not buckets[-1][1]:
        return float("nan")
    for bound, count in buckets:
        if count >= rank:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low


def mean(before, after, name):
    total = {kind: after[f"arrayjob_operator_{name}_{kind}"] - before.get(f"arrayjob_operator_{name}_{kind}", 0) for kind in ("sum", "count")}
    return total["sum"] / total["count"] if total["count"] else float("nan")


# ---------------------------------------------------------------- processes


def cpu_seconds(process):
    """User and system seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(process, field):
    """A size in /proc/PID/status, in bytes: VmRSS, or VmHWM for its peak."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) << 10


class Samples:
    """Load averages of the machine, once a second, until the context ends."""

    def __enter__(self):
        self.loads, self.ended = [], threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()
        return self

    def sample(self):
        while not self.ended.wait(1):
            self.loads.append(os.getloadavg()[0])

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


# ---------------------------------------------------------------- the audit log


def audited(path):
    """Successful writes of the operator: (seconds of Unix time, verb, resource, name, seconds until the response)."""
    found = []
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["responseStatus"].get("code", 500) < 300:
            what = event["objectRef"]
            resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
            at, end = (datetime.fromisoformat(event[f"{name}Timestamp"]).timestamp() for name in ("requestReceived", "stage"))
            found.append((at, event["verb"], resource, what.get("name", ""), end - at))
    return sorted(found)


def status_writes(events):
    """Number of status writes, and the shortest time between two writes for one job."""
    times = defaultdict(list)
    for at, _, resource, name, _ in events:
        if resource == "arrayjobs/status":
            times[name].append(at)
    gaps = [later - at for each in times.values() for at, later in zip(each, each[1:])]
    return sum(map(len, times.values())), min(gaps, default=float("inf"))

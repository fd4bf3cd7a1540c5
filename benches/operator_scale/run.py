"""The operator with many jobs: 200 jobs of 25 servers, on a real API server with fake nodes and fake chunk servers.

    python3 benches/operator_scale/run.py [--jobs 200] [--pods 25] [--out FOLDER] [--quick]

etcd, kube-apiserver and kube-scheduler run as processes; kwok makes nodes and pods ready; one process answers for all chunk servers, over
mutual TLS, at the address of each pod. All jobs are created at once. When every server has its assignment, the servers work for a minute
and report progress; meanwhile pods are deleted, one at a time. Complete jobs are served for a while.

Prints a Markdown table with goal, figure, ratio and verdict, and writes benches/runs/<date>-<cpu>-operator/README.md (with --quick only if
--out is given). Fails when a goal that was met is missed by more than a fifth. Requires Linux, root or user namespaces, Go, openssl, and
`cargo build --release -p operator`. Kubernetes and kwok are built once, from Go modules, into the cache of the tests.
"""

import argparse
import datetime
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cluster  # noqa: E402
import goals  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
from api import get_json, wait_for  # noqa: E402
from cluster import CONTROL, JOBS, LOOPBACK, ROOT  # noqa: E402

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release"
CONTROLS = f"http://{LOOPBACK}:{CONTROL}"
JOB_PATH = f"/apis/arrayjob.dev/v1alpha1/namespaces/{JOBS}/arrayjobs"
POD_PATH = f"/api/v1/namespaces/{JOBS}/pods"
FRAMES, SIZE, CROP = 1000, 1000, 500
START_LIMIT, WORK_LIMIT, REPLACE_LIMIT = 900, 600, 60  # seconds


def log(text):
    print(text, file=sys.stderr, flush=True)


def job(name, pods):
    """A manifest that states the shape of a frame: no server is asked for it."""
    size = {"cpu": "100m", "memory": "512Mi"}
    return {
        "apiVersion": "arrayjob.dev/v1alpha1",
        "kind": "ArrayJob",
        "metadata": {"name": name},
        "spec": {
            "source": {
                "images": {"urlTemplate": "http://frames.example/{index}.png", "count": FRAMES},
                "frame": {"height": SIZE, "width": SIZE, "dtype": "uint8"},
            },
            "recenter": {"crop": [CROP, CROP]},
            "fft": {"output": "power"},
            "reduce": ["mean"],
            "servers": {"replicas": pods, "resources": {"requests": size, "limits": {"memory": size["memory"]}}},
        },
    }


class Bench:
    def __init__(self, args, running):
        self.args, self.cluster = args, running
        self.servers = args.jobs * args.pods
        self.stages = []

    def mark(self):
        """The state of the operator now, for differences."""
        cpu = {name: measure.cpu_seconds(process.pid) for name, process in self.cluster.processes.items()}
        now = {"at": time.monotonic(), "cpu": cpu, "metrics": measure.metrics()}
        return now | {"rss": measure.memory(self.operator, "VmRSS"), "counts": get_json(f"{CONTROLS}/counts")}

    def stage(self, name, action):
        before = self.mark()
        result = action()
        self.stages.append((name, before, self.mark()))
        log(f"{name}: {self.stages[-1][2]['at'] - before['at']:.1f} s, load average {os.getloadavg()[0]:.1f}")
        return result

    def phases(self):
        """Number of jobs by phase, as the operator counts them."""
        prefix = 'arrayjob_operator_jobs{phase="'
        return {name[len(prefix) : -2]: int(value) for name, value in measure.metrics().items() if name.startswith(prefix)}

    def assigned(self):
        self.cluster.check()
        return get_json(f"{CONTROLS}/counts")["assigned"] >= self.servers

    def all_ready(self):
        """Whether the status of every job states that every server responds."""
        self.cluster.check()
        items = self.cluster.api.get(f"{JOB_PATH}?resourceVersion=0")["items"]
        return all(item.get("status", {}).get("servers", {}).get("ready") == self.args.pods for item in items)

    def all_complete(self):
        self.cluster.check()
        return self.phases().get("Complete") == self.args.jobs

    def create_jobs(self):
        for number in range(self.args.jobs):
            self.cluster.api.create(JOB_PATH, job(f"job-{number}", self.args.pods))
        wait_for("every server has an assignment", self.assigned, START_LIMIT, pause=0.5)
        wait_for("every job is ready", self.all_ready, START_LIMIT, pause=2)

    def lose(self, name):
        """Deletes a pod. Unix times of the deletion, and of its replacement's states."""
        before = get_json(f"{CONTROLS}/pods/{name}")["uid"]
        at = time.time()
        self.cluster.api.delete(f"{POD_PATH}/{name}")

        def replaced():
            found = get_json(f"{CONTROLS}/pods/{name}")
            return found["uid"] != before and found["assigned"] and found

        found = wait_for(f"the replacement of {name}", replaced, REPLACE_LIMIT, pause=0.02)
        return {"name": name, "deleted": at, "running": found["running"] - at, "assigned": found["assigned"] - at}

    def work(self):
        """Servers work; pods of different jobs are lost during the first half of the time, one after another."""
        begin, args = time.monotonic(), self.args
        urllib.request.urlopen(f"{CONTROLS}/start?seconds={args.seconds}", data=b"").close()
        losses = []
        for number in range(args.losses):
            due = begin + args.seconds / 2 * (number + 1) / (args.losses + 1)
            time.sleep(max(0, due - time.monotonic()))
            losses.append(self.lose(f"job-{number * args.jobs // args.losses}-{number % args.pods}"))
        wait_for("every job is complete", self.all_complete, WORK_LIMIT, pause=1)
        return losses

    def run(self):
        running, args = self.cluster, self.args
        running.start_control_plane()
        running.create_objects((ROOT / "crds" / "arrayjobs.yaml").read_text(), self.servers)
        running.start_nodes()
        self.operator = running.start_operator(args.operator)
        wait_for("the operator leads", lambda: measure.metrics().get("arrayjob_operator_leads") == 1, 30)
        self.idle = measure.memory(self.operator, "VmRSS")
        self.stage("start", self.create_jobs)
        self.losses = self.stage("work", self.work)
        self.stage("serve", lambda: time.sleep(args.serve))
        self.peak = measure.memory(self.operator, "VmHWM")
        # The log is written in batches: the last pod and the last status are of interest no more.
        self.events = measure.audited(running.audit)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="ArrayJobs (default 200)")
    parser.add_argument("--pods", type=int, default=25, help="servers of each job (default 25)")
    parser.add_argument("--seconds", type=float, default=60, help="time of a server's work (default 60)")
    parser.add_argument("--losses", type=int, default=20, help="pods that are deleted (default 20)")
    parser.add_argument("--serve", type=float, default=20, help="seconds for which complete jobs are served (default 20)")
    parser.add_argument("--operator", type=Path, default=TARGET / "arrayjob-operator", help="program (default: of target/release)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: benches/runs/…)")
    parser.add_argument("--quick", action="store_true", help="smoke test: 5 jobs of 3 servers")
    args = parser.parse_args()
    if max(args.jobs, args.pods) > 256:
        parser.error("the address of a pod has one byte for its job and one for its server: at most 256 of each")
    if args.quick:
        args.jobs, args.pods, args.seconds, args.losses, args.serve = 5, 3, 10, 2, 3
    return args


def main():
    args = arguments()
    if not args.operator.exists():
        sys.exit("run `cargo build --release -p operator` first")
    if not os.environ.get(cluster.ISOLATED):
        cluster.prepare()  # before the network is gone
    cluster.isolate()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load_before = os.getloadavg()[0]
    with measure.Samples() as samples, cluster.running() as running:
        bench = Bench(args, running)
        try:
            bench.run()
        except KeyboardInterrupt:
            return 130
        except (TimeoutError, RuntimeError, OSError) as error:
            logs = "\n".join(f"--- {name}\n{running.log(name, 1500)}" for name in running.processes)
            sys.exit(f"{logs}\n{error}")
    figures = report.figures(bench)
    text = report.text(bench, figures, load_before, samples.loads)
    out = args.out or (None if args.quick else report.folder())
    return goals.publish(text, {} if args.quick else figures, out)


if __name__ == "__main__":
    sys.exit(main())

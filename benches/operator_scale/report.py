"""The figures of a run, and its report."""

import datetime
import os
import statistics

import goals
import measure
import whole_job
from measure import MIB

WORK, ALL = "reconcile_work_seconds", "reconcile_seconds"


def folder():
    return whole_job.folder_of_today("-operator")


def figures(bench):
    """The figures of the goals. Reconciliations count from the moment when all pods exist."""
    _, first, _ = bench.stages[1]
    _, _, last = bench.stages[-1]
    _, gap = measure.status_writes(bench.events)
    return {
        "operator.reconcile": measure.quantile(measure.histogram(first["metrics"], last["metrics"], WORK), 0.99),
        "operator.memory": bench.peak / MIB,
        "operator.status": 1 / gap,
        "operator.replace": max(loss["assigned"] for loss in bench.losses),
    }


def stages(bench):
    lines = [
        "| stage | time, s | reconciliations a second | mean without waits, ms | p99 without waits, s | mean with waits, s | status writes a second "
        "| operator's memory at the end, MiB | requests to servers a second | TLS handshakes a second |",
        "| --- " * 10 + "|",
    ]
    for name, before, after in bench.stages:
        seconds = after["at"] - before["at"]
        rate = lambda key: (after["counts"][key] - before["counts"][key]) / seconds  # noqa: E731
        samples = before["metrics"], after["metrics"]
        buckets = measure.histogram(*samples, WORK)
        writes = "arrayjob_operator_status_writes_total"
        lines.append(
            f"| {name} | {seconds:.1f} | {buckets[-1][1] / seconds:.0f} | {measure.mean(*samples, WORK) * 1000:.0f} "
            f"| {measure.quantile(buckets, 0.99):.2f} | {measure.mean(*samples, ALL):.2f} "
            f"| {(samples[1][writes] - samples[0].get(writes, 0)) / seconds:.0f} "
            f"| {after['rss'] / MIB:.0f} | {rate('requests'):.0f} | {rate('handshakes'):.0f} |"
        )
    return "\n".join(lines)


def processor_time(bench):
    """The processors that each process used, by stage."""
    names = list(bench.cluster.processes)
    lines = ["| cores used | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for stage, before, after in bench.stages:
        seconds = after["at"] - before["at"]
        used = [(after["cpu"][name] - before["cpu"][name]) / seconds for name in names]
        lines.append(f"| {stage} | " + " | ".join(f"{cores:.2f}" for cores in used) + " |")
    return "\n".join(lines)


def api_times(bench):
    """How long the API server takes for the operator's writes."""
    lines = ["| API server's time for | requests | median, s | 99 of 100, s |", "| --- | --- | --- | --- |"]
    for label, verb, resource in [("the creation of a pod", "create", "pods"), ("a write of a status", "patch", "arrayjobs/status")]:
        took = sorted(event[4] for event in bench.events if event[1:3] == (verb, resource))
        if took:
            lines.append(f"| {label} | {len(took)} | {statistics.median(took):.3f} | {took[len(took) * 99 // 100]:.3f} |")
    return "\n".join(lines)


def replacements(bench):
    """From the deletion of a pod to the creation of the new pod, to its state Running, and to its server's assignment."""
    created = []
    for loss in bench.losses:
        after = [at for at, verb, resource, name, _ in bench.events if (verb, resource, name) == ("create", "pods", loss["name"]) and at >= loss["deleted"]]
        created += [min(after) - loss["deleted"]] if after else []
    rows = {
        "the operator creates the new pod": created,
        "the new pod is Running": [loss["running"] for loss in bench.losses],
        "the new server has its assignment": [loss["assigned"] for loss in bench.losses],
    }
    lines = ["| after a deletion, until | median, s | maximum, s | pods |", "| --- | --- | --- | --- |"]
    for name, seconds in rows.items():
        if seconds:
            lines.append(f"| {name} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {len(seconds)} |")
    return "\n".join(lines)


def text(bench, found, load_before, loads):
    args = bench.args
    cpu, cores, memory = whole_job.machine()
    writes, gap = measure.status_writes(bench.events)
    errors = bench.stages[-1][2]["metrics"]["arrayjob_operator_reconcile_errors_total"]
    return "\n".join(
        [
            f"# The operator with {args.jobs} jobs and {bench.servers:,} pods",
            "",
            f"{datetime.date.today()}, {cpu}, {cores} cores, {memory:.0f} GiB. Load average before {load_before:.1f}, "
            f"mean {statistics.mean(loads):.1f}, after {os.getloadavg()[0]:.1f}.",
            "API server, etcd, scheduler, kwok and the fake servers run on the same cores as the operator, and so do other programs of the machine.",
            "",
            goals.table(found),
            "",
            stages(bench),
            "",
            "start: all jobs are created, until every server has its assignment and every status states so. work: the servers report progress, "
            "and pods are deleted. serve: all jobs are complete.",
            "",
            processor_time(bench),
            "",
            api_times(bench),
            "",
            replacements(bench),
            "",
            f"The operator needs {bench.idle / MIB:.0f} MiB without jobs. It wrote {writes} statuses; the shortest time between two writes of one "
            f"job was {gap:.3f} s. {errors:.0f} reconciliations ended in an error and were retried.",
            "",
            f"    python3 benches/operator_scale/run.py --jobs {args.jobs} --pods {args.pods} --seconds {args.seconds:g} --losses {args.losses}",
            "",
        ]
    )

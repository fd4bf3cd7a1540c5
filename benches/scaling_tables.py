"""The tables of benches/scaling.py."""

import os
import re
import time

import scaling_costs
import scaling_model
import scaling_plan
import whole_job

SERVERS = (1, 10, 30, 100, 300, 1000)
MOST = 1000
BLOG = {"frames": 10_000, "height": 2000, "width": 2000, "crop_height": 1000, "crop_width": 1000, "slab": 20}
LARGE = {"frames": 10**7, "height": 3125, "width": 3200, "crop_height": 1562, "crop_width": 1600, "slab": 20}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def seconds(value):
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s" if value < 7200 else f"{value / 3600:.1f} h"


def size(value):
    for unit, limit in (("B", 1e3), ("kB", 1e6), ("MB", 1e9), ("GB", 1e12)):
        if value < limit:
            return f"{value / limit * 1e3:.3g} {unit}"
    return f"{value / 1e12:.3g} TB"


def code(path, pattern):
    """A number of the source, so that a table does not state an old one."""
    found = re.search(pattern, (whole_job.ROOT / path).read_text())
    return int(found.group(1))


# ---------------------------------------------------------------- constants and validation


def constants(measured, cost):
    big, small = measured["bytes_job"], measured["requests_job"]
    largest = max(map(int, small["runs"]["power"]))
    jobs = f"{big['frames']} frames of {big['size']}×{big['size']}"
    little = f"{small['frames']} frames of {small['size']}×{small['size']}"
    rows = [
        ("start of a server and its sums, CPU", f"{cost['start'] * 1e3:.1f} ms", f"{jobs}, no exchange: {largest} servers less 1 server"),
        ("load of a pixel, CPU", f"{cost['load_pixel'] * 1e9:.2f} ns", f"{jobs}, no exchange, 1 server, less the start"),
        ("source's work on a pixel, CPU", f"{cost['source_pixel'] * 1e9:.2f} ns", f"CPU time of nginx, {jobs}"),
        ("bytes of a pixel from the source", f"{measured['encoded_of_pixel']:.3f}", f"PNG files, {jobs}"),
        *transforms(cost),
        ("request for a block, CPU of both ends", f"{cost['request'] * 1e6:.0f} µs", f"{little}: {largest} servers less 1 server"),
        ("byte of a block, CPU of both ends", f"{cost['byte'] * 1e9:.2f} ns", f"{jobs}: 2 to {largest // 2} servers less 1 server, requests, memory"),
        ("block whose bytes cost as much as its request", size(cost["request"] / cost["byte"]), "the two lines above"),
        ("first touch of memory, CPU", f"{cost['fresh'] * 2**30:.2f} s/GiB", "benches/probes.py, without its pause"),
        ("direct writes to disk", f"{measured['direct_write_rate'] / 1e9:.2f} GB/s", "benches/probes.py"),
        ("link of a server, each direction", f"{scaling_costs.LINK * 8e-9:.0f} Gbit/s", "**assumed**"),
        ("source, all servers together", f"{scaling_costs.SOURCE * 8e-9:.0f} Gbit/s", "**assumed**"),
        ("delay between two servers, there and back", f"{scaling_costs.DELAY * 1e3:.1f} ms", "**assumed**"),
    ]
    return table(("constant", "value", "source"), rows)


def transforms(cost):
    source = "power less frames alone, 1 server"
    return [(f"transform of a byte, {frames} frames, CPU", f"{each * 1e9:.2f} ns", source) for frames, each in cost["fft"]]


def error(model, found):
    return f"{100 * (model / found - 1):+.0f} %"


def validation(measured, cost):
    runs, rows = measured["bytes_job"]["runs"]["power"], []
    for servers, found in runs.items():
        model = scaling_costs.on_this_machine(cost, measured, int(servers))
        cpu = model["cpu"] - source_cpu(measured)
        rows.append(
            (servers, f"{found['cpu']:.2f}", f"{cpu:.2f}", error(cpu, found["cpu"]))
            + (f"{found['wall']:.2f}–{max(found['walls']):.2f}", f"{model['total']:.2f}", error(model["total"], found["wall"]))
            + (f"{scaling_costs.others(measured, int(servers)):.2f}",)
        )
    head = ("servers", "CPU s, runs", "CPU s, model", "error", "start to exit, s, runs", "model", "error of the shortest", "cores of other programs")
    return table(head, rows)


def source_cpu(measured):
    return measured["source_cpu_of_a_frame"] * measured["bytes_job"]["frames"]


def one_server_for_all(measured, cost, shape):
    rows = []
    for servers in (10, 30):
        job = scaling_plan.planned(shape, servers)
        every = scaling_costs.on_cluster(cost, measured, with_peers(job), mirror=False)
        one = scaling_costs.on_cluster(cost, measured, scaling_plan.mirrored(job))
        rows.append((servers, *(f"{found[phase]:.2f}" for phase in ("load", "exchange") for found in (every, one))))
        rows[-1] += (error(one["load"] + one["exchange"], every["load"] + every["exchange"]),)
    return table(("servers", "load, s, all servers", "one server", "exchange, s, all servers", "one server", "difference"), rows)


def with_peers(job):
    return job | {"senders": job["servers"] - 1}


# ---------------------------------------------------------------- jobs by number of servers


def scaled(measured, cost, shape, servers):
    """[(servers, job, result)]; the result is `None` if the plan is refused."""
    found = []
    for n in servers:
        job = scaling_plan.planned(shape, n)
        found.append((n, job, None if "refused" in job else scaling_costs.on_cluster(cost, measured, scaling_plan.mirrored(job))))
    return found


def geometry(found):
    rows = []
    for n, job, result in found:
        plan = f"{job['seconds'] * 1e3:.0f} ms"
        if result is None:
            rows.append((n, plan, job["refused"], *[""] * 7))
            continue
        mirror = scaling_plan.mirrored(job)
        requests = mirror["senders"] * max(job["bands_of"])
        rows.append(
            (n, plan, f"{size(job['peak'])}, {job['storage']}", max(job["frames_of"]), max(job["bands_of"]))
            + (n - job["loaders"], sum(bands == 0 for bands in job["bands_of"]), size(mirror["block_frames"] * job["row"]) if n > 1 else "")
            + (requests, mirror["senders"] * job["window"])
        )
    head = ("servers", "plan", "peak of a server", "most frames", "most bands", "servers without frames", "servers without bands", "block")
    return table((*head, "most requests of a server", "connections of a port"), rows)


def times(found):
    first = next((n, result["total"]) for n, _, result in found if result)
    rows = []
    for n, _, result in found:
        if result is None:
            continue
        efficiency = first[0] * first[1] / (n * result["total"])
        limits = [f"{result[phase + ' limit']} ({100 * result[phase + ' use']:.0f} %)" for phase in ("load", "exchange")]
        times = [seconds(result[phase]) for phase in ("load", "exchange", "total")]
        rows.append((n, *times, f"{first[1] / result['total']:.1f}", f"{100 * efficiency:.0f} %", *limits))
    head = ("servers", "load", "exchange and transform", "together", f"speed, {first[0]} = 1", "efficiency", "busiest in load", "in exchange")
    return table(head, rows)


def changes(measured, cost, shape, servers):
    """The same job at the most servers, with one thing changed at a time."""

    def row(name, job, used=cost, **site):
        result = scaling_costs.on_cluster(used, measured, job, **site)
        return (name, *(seconds(result[phase]) for phase in ("load", "exchange", "total")), result["exchange limit"])

    plan = scaling_plan.planned(shape, servers)
    job = scaling_plan.mirrored(plan)
    slab = max(1, min(shape["slab"], shape["frames"] // servers))
    rows = [
        row("as planned", job),
        row("source ten times as fast", job, source=10 * scaling_costs.SOURCE),
        row("link ten times as fast", job, link=10 * scaling_costs.LINK),
        row("half the CPU time of a request", job, cost | {"request": cost["request"] / 2}),
        row("exchange in two stages over groups of servers", scaling_plan.grouped(job)),
        row("bands twice as wide", scaling_plan.widened(job, 2)),
        row("bands 16 times as wide", scaling_plan.widened(job, 16)),
        row("no CPU time for requests, link 1,000 times as fast", job, cost | {"request": 0.0}, link=1000 * scaling_costs.LINK),
    ]
    if slab < shape["slab"]:
        rows.append(row(f"chunkFrames {slab}", scaling_plan.mirrored(scaling_plan.planned(shape | {"slab": slab}, servers))))
    return table(("change", "load", "exchange and transform", "together", "busiest in exchange"), rows)


def repeats(found):
    """A block whose next piece is not loaded within the silence of the client is requested again, from its beginning."""
    silence = code("chunkserver/transport/src/client.rs", r"SILENCE: Duration = Duration::from_secs\((\d+)\)")
    piece = code("chunkserver/src/exchange/piece.rs", r"PIECE_BYTES: usize = (\d+) << 20") << 20
    rows = []
    for n, job, result in found:
        if result is None or n == 1:
            continue
        mirror = scaling_plan.mirrored(job)
        pieces = max(1, round(mirror["block_frames"] * job["row"] / piece))
        wait = result["load"] / pieces
        in_flight = mirror["senders"] * job["window"]
        again = int(result["load"] / silence) * in_flight if wait > silence else 0
        rows.append((n, seconds(result["load"]), seconds(wait), in_flight, mirror["senders"] * max(job["bands_of"]), again))
    head = ("servers", "load", "between two pieces of a block", "requests in flight", "requests needed", f"requests repeated after {silence} s")
    return table(head, rows)


# ---------------------------------------------------------------- control messages


def control(measured):
    rows = []
    for row in measured["control"]:
        n, job = row["servers"], row["job"]
        rest = row["rest_messages"] / row["rest_seconds"] / n
        messages = sum(job.get(kind, 0) for kind in ("wait", "progress", "digests", "assignment")) / n - rest * row["settle"]
        rows.append(
            (n, f"{messages:.1f}", f"{job['assignment'] / n:.2f}", size(row["assignment_bytes"]), f"{rest:.2f}")
            + (f"{row['rest_connections'] / row['rest_seconds'] / n:.2f}", f"{100 * row['rest_cpu'] / row['rest_seconds']:.1f} %")
        )
    head = ("servers", "control messages of a server, whole job", "of these assignments", "bytes of an assignment")
    return table((*head, "at rest: messages of a server a second", "new connections of a server a second", "CPU of the loop"), rows)


def control_at(measured, servers):
    """What the measured messages mean for many servers."""
    few, many = measured["control"][0], measured["control"][-1]
    each = (many["assignment_bytes"] - few["assignment_bytes"]) / (many["servers"] - few["servers"])
    body = few["assignment_bytes"] + each * (servers - few["servers"])
    rest = many["rest_messages"] / many["rest_seconds"] / many["servers"]
    cpu = many["rest_cpu"] / many["rest_messages"]
    limit = code("chunkserver/transport/src/listen.rs", r"LIMITS: Limits = Limits \{ total: (\d+)")
    in_flight = code("api/src/plan/candidates.rs", r"BANDS_IN_FLIGHT: usize = (\d+)")
    rows = [
        ("messages of all servers a second, at rest", f"{rest * servers:.0f}", "rate of a server × servers"),
        ("CPU of the loop, at rest", f"{100 * cpu * rest * servers:.0f} % of a core", f"{cpu * 1e6:.0f} µs a message, without TLS"),
        ("shortest turn", f"{2 * servers * cpu:.2f} s", "two messages a server, when milestones follow each other"),
        ("bytes of one assignment", size(body), f"{each:.0f} bytes a server"),
        ("bytes of a round of assignments", size(body * servers), "one to each server, after each change of the peers"),
        ("servers at which an assignment exceeds 16 MiB", f"{(16 << 20) / each:.0f}", "the limit of its body"),
        ("servers at which a port has all its connections", f"{limit // in_flight + 1}", f"{limit} connections, {in_flight} bands in flight"),
    ]
    return table((f"with {servers} servers", "", "from"), rows)


# ---------------------------------------------------------------- the report


def report(measured, cost, path):
    begin = time.monotonic()
    scaling_model.check()
    blog = BLOG | {"encoded": measured["encoded_of_pixel"] * BLOG["height"] * BLOG["width"]}
    # 100 TB behind the URLs: frames that are not compressed.
    large = LARGE | {"encoded": LARGE["height"] * LARGE["width"]}
    parts = {
        "Constants": constants(measured, cost),
        "Model and runs on one machine": validation(measured, cost),
        "One server in place of all": one_server_for_all(measured, cost, blog),
    }
    for name, shape in (("10,000 frames", blog), ("10,000,000 frames", large)):
        found = scaled(measured, cost, shape, SERVERS)
        parts |= {f"{name}: the plan": geometry(found), f"{name}: the time": times(found)}
        parts |= {f"{name}: changes with {n} servers": changes(measured, cost, shape, n) for n in (300, MOST)}
    parts |= {
        "10,000,000 frames: repeated requests": repeats(found),
        "Control messages of local jobs": control(measured),
        f"Control messages of {MOST} servers": control_at(measured, MOST),
    }
    head = f"# 1 to {MOST} servers in a model\n\n{measured['date']}, {measured['machine']}, load average {measured['load_average']}."
    took = f"The model took {time.monotonic() - begin:.0f} s.\n\n"
    took += f"    python3 benches/scaling.py --constants {os.path.relpath(path, whole_job.ROOT)}"
    return "\n\n".join([head, *(f"## {name}\n\n{text}" for name, text in parts.items()), took]) + "\n"

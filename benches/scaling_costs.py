"""From measurements to the costs of benches/scaling_model.py, and to runs of the model."""

import math

import scaling_plan
from scaling_model import simulate

# What no measurement on one machine gives: parameters of the cluster. Machines have the cores of the measured machine.
LINK = 10e9 / 8  # bytes a second of a server in each direction: 10 Gbit/s
SOURCE = 100e9 / 8  # bytes a second of the source in all: 100 Gbit/s
HTTP_THREADS = 2  # of a server on a cluster, chunkserver/src/standalone.rs; 1 on one machine
DELAY = 0.5e-3  # seconds between two servers of one zone, there and back


def buffers(job, servers):
    """Bytes of fresh memory for the bands in flight of all servers of a measured job."""
    planned = scaling_plan.local_job(job["frames"], job["size"], job["crop"], servers)
    return sum(planned["window"] * (job["frames"] - own) * planned["row"] for own in planned["frames_of"])


def cost_of(measured):
    """The CPU seconds of each kind of work, from the runs of the two measured jobs."""
    big, small = measured["bytes_job"], measured["requests_job"]

    def cpu(job, form, servers):
        return job["runs"][form][str(servers)]["cpu"]

    def stack(job):
        return job["frames"] * job["crop"] ** 2

    def exchange(job, servers):
        """CPU seconds that a job with several servers needs beyond one server, and beyond the start of processes."""
        return cpu(job, "power", servers) - cpu(job, "frames", servers) - (cpu(job, "power", 1) - cpu(job, "frames", 1))

    def requests(job, servers):
        return scaling_plan.bands(job["frames"], job["crop"] ** 2)[1] * (servers - 1)

    most = max(int(n) for n in small["runs"]["power"])
    start = (cpu(big, "frames", most) - cpu(big, "frames", 1)) / (most - 1)
    request = exchange(small, most) / requests(small, most)
    fresh = measured["fresh_memory"]
    # The most servers are left out, so that their run tests the model.
    fitted = [int(n) for n in big["runs"]["power"] if 1 < int(n) < most]
    rests = [exchange(big, n) - requests(big, n) * request - fresh * buffers(big, n) for n in fitted]
    moved = [stack(big) * (1 - 1 / n) for n in fitted]
    byte = sum(rest * some for rest, some in zip(rests, moved)) / sum(some * some for some in moved)
    fft = [(big["frames"], (cpu(big, "power", 1) - cpu(big, "frames", 1)) / stack(big))]
    fft += [(some["frames"], some["cpu_of_a_byte"]) for some in measured["long_series"]]
    return {
        "start": start,
        "load_pixel": (cpu(big, "frames", 1) - start) / (big["frames"] * big["size"] ** 2),
        "source_pixel": measured["source_cpu_of_a_frame"] / big["size"] ** 2,
        "fft": fft,
        "request": request,
        "byte": max(0.0, byte),
        "fresh": fresh,
    }


def fft_of_byte(cost, frames):
    """CPU seconds of the transform of a byte. Between two measured lengths it changes with the logarithm of the number of frames."""
    lengths = cost["fft"]
    for (short, least), (long, most) in zip(lengths, lengths[1:]):
        if frames <= long:
            part = (math.log(frames) - math.log(short)) / (math.log(long) - math.log(short))
            return least + max(0.0, part) * (most - least)
    return lengths[-1][1]


def costs(cost, job, source_cpu):
    return {
        "start": cost["start"],
        "load": cost["load_pixel"] * job["pixels"],
        "source": cost["source_pixel"] * job["pixels"] if source_cpu else 0.0,
        "fft": fft_of_byte(cost, job["frames"]),
        "request": cost["request"],
        "byte": cost["byte"],
        "fresh": cost["fresh"],
    }


def others(measured, servers):
    """Cores that other programs used during the shortest run. The source is part of the model."""
    found = measured["bytes_job"]["runs"]["power"][str(servers)]
    return max(0.0, found["others"] - measured["source_cpu_of_a_frame"] * measured["bytes_job"]["frames"] / found["wall"])


def on_this_machine(cost, measured, servers):
    """The measured job with `servers` servers that share the cores that other programs left."""
    size = measured["bytes_job"]
    job = scaling_plan.local_job(size["frames"], size["size"], size["crop"], servers)
    cores = max(0.1, measured["cores"] - others(measured, servers))
    site = {"cores": cores, "threads": measured["cores"], "http": 1, "link": None, "source": None, "disk": None, "delay": 0.0}
    return simulate(job, costs(cost, job, True), site, mirror=False, shared_machine=True)


def on_cluster(cost, measured, job, mirror=True, link=LINK, source=SOURCE):
    """A job with one server on each machine. The start of pods is not modelled."""
    disk = measured["direct_write_rate"] if job["stored_band"] else None
    machine = {"cores": measured["cores"], "threads": measured["cores"], "http": HTTP_THREADS, "disk": disk}
    site = machine | {"link": link, "source": min(link, source / job["loaders"]), "delay": DELAY}
    return simulate(job, costs(cost, job, False) | {"start": 0.0}, site, mirror)

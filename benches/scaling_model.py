"""A discrete-event model of Load, exchange and transform, for benches/scaling.py.

Each server has compute threads, one thread for HTTP, one link in each direction, and a disk. A band is pulled as the program pulls it: one
request to each other server at once, a few bands in flight, and the transform on one compute thread when all blocks are there.

`Cluster(mirror=False)` models all servers. `Cluster(mirror=True)` models one server. All servers do the same work at the same time, so that
a request that this server sends equals one that it receives: its own resources do the work of its peers. The work of a server is then
exact; servers that wait for a slower server are neglected.
"""

import collections
import heapq
import itertools

GROUP = 8  # frames that a compute thread takes at once: api/src/job/source.rs, GROUP
PAGE = 4096  # bytes that the disk reads at least
LOAD_SAMPLE = 8000  # frames of a server that are modelled; a longer Load continues at the same rate


class Events:
    def __init__(self):
        self.now, self.heap, self.order = 0.0, [], itertools.count()

    def at(self, time, call):
        heapq.heappush(self.heap, (time, next(self.order), call))

    def after(self, seconds, call):
        self.at(self.now + seconds, call)

    def run(self):
        while self.heap:
            self.now, _, call = heapq.heappop(self.heap)
            call()
        return self.now


class Shared:
    """Work that shares a rate equally, at most `most` for each piece: bytes of flows on a link, or seconds of threads on cores. Virtual time
    is the work that each piece has received."""

    def __init__(self, events, rate, most=float("inf")):
        self.events, self.rate, self.most, self.pieces = events, rate, most, []
        self.virtual, self.since, self.version, self.order, self.busy = 0.0, 0.0, 0, itertools.count(), 0.0

    def submit(self, size, done):
        if self.rate is None:
            return done()
        self.advance()
        self.busy += size / self.rate
        heapq.heappush(self.pieces, (self.virtual + size, next(self.order), done))
        self.plan()

    def each(self):
        return min(self.rate / len(self.pieces), self.most)

    def advance(self):
        if self.pieces:
            self.virtual += (self.events.now - self.since) * self.each()
        self.since = self.events.now

    def plan(self):
        self.version += 1
        if self.pieces:
            left = max(0.0, self.pieces[0][0] - self.virtual)
            self.events.after(left / self.each(), lambda version=self.version: self.end(version))

    def end(self, version):
        if version != self.version:
            return  # another piece began or ended since
        self.advance()
        self.virtual = max(self.virtual, self.pieces[0][0])
        ended = heapq.heappop(self.pieces)[2]
        self.plan()
        ended()


def both(one, other, size, done):
    """A flow over two links at once. It ends when both have carried it."""
    ended = []

    def end():
        ended.append(size)
        if len(ended) == 2:
            done()

    one.submit(size, end)
    other.submit(size, end)


class Threads:
    """Threads that take tasks in order, and share cores with others."""

    def __init__(self, cores, threads):
        self.cores, self.free, self.waiting, self.busy = cores, threads, collections.deque(), 0.0

    def submit(self, seconds, done):
        self.waiting.append((seconds, done))
        self.start()

    def start(self):
        while self.free and self.waiting:
            self.free -= 1
            seconds, done = self.waiting.popleft()
            self.busy += seconds
            self.cores.submit(seconds, lambda done=done: self.end(done))

    def end(self, done):
        self.free += 1
        self.start()
        done()


class Server:
    def __init__(self, events, site, cores=None):
        self.site, self.buffers = site, 0  # buffers of bands that are in memory
        # Servers of one machine share its cores.
        self.cores = cores or Shared(events, site["cores"], 1)
        self.compute = Threads(self.cores, site["threads"])
        self.http = Threads(self.cores, site["http"])
        self.into, self.out = Shared(events, site["link"]), Shared(events, site["link"])
        self.source = Shared(events, site["source"])
        self.disk = Shared(events, site["disk"])

    def used(self):
        """Seconds of work of each resource."""
        return {
            "compute threads": self.cores.busy,
            "HTTP threads": self.http.busy / self.site["http"],
            "link": max(self.into.busy, self.out.busy),
            "source": self.source.busy,
            "disk": self.disk.busy,
        }


class Cluster:
    """One run. `job` has the geometry, `cost` the CPU seconds, `site` the machines; see benches/scaling.py."""

    def __init__(self, job, cost, site, mirror, shared_machine=False):
        self.job, self.cost, self.site, self.mirror = job, cost, site, mirror
        self.events = Events()
        shared = Shared(self.events, site["cores"], 1) if shared_machine else None
        self.servers = [Server(self.events, site, shared) for _ in range(1 if mirror else job["servers"])]

    def start(self):
        """Seconds until the processes run."""
        for server in self.servers:
            server.cores.submit(self.cost["start"], lambda: None)
        return self.events.run()

    def load(self):
        """Seconds in which each server loads its frames."""
        begin, scale = self.events.now, 1.0
        for index, server in enumerate(self.servers):
            frames = self.job["frames_of"][index]
            scale = max(scale, frames / LOAD_SAMPLE)
            Loading(self, server, min(frames, LOAD_SAMPLE))
        seconds = (self.events.run() - begin) * scale
        for server in self.servers:
            for resource in (server.cores, server.http, server.source, server.disk):
                resource.busy *= scale
        return seconds

    def exchange(self):
        """Seconds in which each server pulls and transforms its bands."""
        begin = self.events.now
        for index, server in enumerate(self.servers):
            peers = self.peers(index)
            for _ in range(min(self.job["window"], self.job["bands_of"][index])):
                Bands.next(self, index, server, peers)
        return self.events.run() - begin

    def peers(self, index):
        """The other servers that have frames, and their frames."""
        if self.mirror:
            return [(self.servers[0], self.job["block_frames"])] * self.job["senders"]
        return [(self.servers[n], frames) for n, frames in enumerate(self.job["frames_of"]) if n != index and frames]


class Loading:
    """A few groups of frames in flight: fetch, then compute."""

    def __init__(self, cluster, server, frames):
        self.cluster, self.server, self.left = cluster, server, frames
        for _ in range(-(-cluster.job["concurrency"] // GROUP) + cluster.site["threads"]):
            self.next()

    def next(self):
        frames = min(GROUP, self.left)
        self.left -= frames
        if not frames:
            return
        cost, size = self.cluster.cost, self.cluster.job["encoded"] * frames
        compute = lambda: self.server.compute.submit(cost["load"] * frames, lambda: self.store(frames))
        serve = lambda: self.server.cores.submit(cost["source"] * frames, lambda: self.server.source.submit(size, compute))
        self.cluster.events.after(self.cluster.site["delay"], serve)

    def store(self, frames):
        size = self.cluster.job["stored_frame"] * frames
        self.server.disk.submit(size, self.next) if size else self.next()


class Bands:
    """The pull and the transform of one band."""

    @classmethod
    def next(cls, cluster, index, server, peers):
        if cluster.job["bands_of"][index] > 0:
            cluster.job["bands_of"][index] -= 1
            cls(cluster, index, server, peers)

    def __init__(self, cluster, index, server, peers):
        self.cluster, self.index, self.server, self.peers, self.missing = cluster, index, server, peers, len(peers)
        for peer, frames in peers:
            self.request(peer, frames)
        if not peers:
            self.transform()

    def request(self, peer, frames):
        """Half of the CPU time of a request and of its bytes belongs to each end."""
        cluster, server = self.cluster, self.server
        cost, job, site = cluster.cost, cluster.job, cluster.site
        row = job["row"]
        size, half = frames * (row + job["trailer"]) * job["times"], cost["byte"] * frames * row * job["times"] / 2
        receive = lambda: server.http.submit(half, self.arrived)
        travel = lambda: both(peer.out, server.into, size, receive)
        cut = lambda: peer.cores.submit(half, travel)
        read = lambda: peer.disk.submit(frames * max(row, PAGE), cut) if job["frames_on_disk"] else cut()
        serve = lambda: peer.http.submit(cost["request"] / 2, read)
        server.http.submit(cost["request"] / 2, lambda: cluster.events.after(site["delay"], serve))

    def arrived(self):
        self.missing -= 1
        if self.missing == 0:
            self.transform()

    def transform(self):
        """The first bands also pay for the fresh memory of their buffers, which later bands use again."""
        job, cost = self.cluster.job, self.cluster.cost
        size = job["frames"] * job["row"]
        fresh = 0
        if self.peers and self.server.buffers < job["window"]:
            self.server.buffers += 1
            fresh = cost["fresh"] * (size - self.cluster.job["frames_of"][self.index] * job["row"])
        self.server.compute.submit(cost["fft"] * size + fresh, self.store)

    def store(self):
        size = self.cluster.job["stored_band"]
        self.server.disk.submit(size, self.end) if size else self.end()

    def end(self):
        Bands.next(self.cluster, self.index, self.server, self.peers)


def simulate(job, cost, site, mirror, shared_machine=False):
    """Seconds of each phase, and the resource that works longest in each of them."""
    job = dict(job, bands_of=list(job["bands_of"]))
    cluster = Cluster(job, cost, site, mirror, shared_machine)
    found = {"start": cluster.start()}
    for phase in ("load", "exchange"):
        before = [server.used() for server in cluster.servers]
        found[phase] = getattr(cluster, phase)()
        used = [{name: now[name] - then[name] for name in now} for now, then in zip((s.used() for s in cluster.servers), before)]
        longest = max(used, key=lambda resources: max(resources.values()))
        name = max(longest, key=longest.get)
        found[f"{phase} limit"], found[f"{phase} use"] = name, longest[name] / found[phase] if found[phase] else 0.0
    found["total"] = found["start"] + found["load"] + found["exchange"]
    found["cpu"] = sum({id(server.cores): server.cores.busy for server in cluster.servers}.values()) * site["cores"]
    return found


def check():
    """Two servers with one limit each, whose times follow from a division: a link, and compute threads."""
    shape = {"servers": 2, "frames": 1000, "frames_of": [500, 500], "bands_of": [8, 8], "window": 4, "row": 1000, "trailer": 0, "times": 1}
    job = shape | {"concurrency": 1, "encoded": 0, "frames_on_disk": False, "stored_frame": 0, "stored_band": 0}
    free = dict.fromkeys(("start", "load", "source", "fft", "request", "byte", "fresh"), 0.0)
    site = {"cores": 2, "threads": 2, "http": 1, "link": None, "source": None, "disk": None, "delay": 0.0}
    limits = [
        (simulate(job, free, site | {"link": 1e6}, mirror=False), 8 * 500 * 1000 / 1e6),
        (simulate(job, free | {"fft": 1e-6}, site, mirror=False), 8 * 1000 * 1000 * 1e-6 / 2),
        (simulate(job, free | {"request": 1e-3}, site, mirror=False), 8 * 1e-3),
    ]
    for found, expected in limits:
        if abs(found["exchange"] / expected - 1) > 0.01:
            raise AssertionError(f"the model takes {found['exchange']} s in place of {expected} s")

"""Limited links between network namespaces: a bridge in a namespace of its own, and a namespace for each end around it.

Each link is a pair of virtual Ethernet devices (veth). A token bucket (tc tbf) at both ends limits each way by itself. Nothing is connected to
the machine's own network; the end of the namespaces removes devices, buckets and addresses. Requires Linux, root, ip and tc (iproute2).
"""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import threading
import time

PREFIX = "10.213.8"  # of the addresses; only the namespaces see them
HUB = f"{PREFIX}.1"
CHUNK = 1 << 20
CONNECTIONS = 4  # of a plain transfer, for each pair of ends
RAMP = 0.5  # seconds until TCP uses the whole link
BURST = 256 << 10  # bytes that a bucket holds: more than a segment of segmentation offload
QUEUE = "50ms"  # a packet that would wait longer is dropped


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


def inside(namespace, work, *arguments):
    """Calls `work` in a new thread in the namespace. Returns a future."""
    libc, future = ctypes.CDLL(None, use_errno=True), concurrent.futures.Future()

    def enter():
        try:
            with open(f"/run/netns/{namespace}") as file:
                if libc.setns(file.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=enter, daemon=True).start()
    return future


class Link:
    """The link of one end. `address` is the address of the end."""

    def __init__(self, hub, number, names):
        self.hub, self.number, self.names = hub, number, names
        self.namespace, self.port = f"{hub}-{number}", f"port{number}"
        self.address = f"{PREFIX}.{10 + number}"
        self.rate = None

    def create(self):
        run("ip", "netns", "add", self.namespace)
        self.names.callback(run, "ip", "netns", "delete", self.namespace)
        run("ip", "-n", self.hub, "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", self.hub, "link", "set", self.port, "master", "bridge", "up")
        run("ip", "-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", self.namespace, "link", "set", device, "up")

    def ways(self):
        """Namespace and device of the bucket of each way."""
        return {"in": (self.hub, self.port), "out": (self.namespace, "eth0")}

    def limit(self, rate):
        """Limits each way to `rate` Mbit/s."""
        self.rate = rate
        for namespace, device in self.ways().values():
            bucket = ["tbf", "rate", f"{rate}mbit", "burst", BURST, "latency", QUEUE]
            run("tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", *bucket)

    def counters(self):
        """Bytes on the wire and dropped packets of each way. The buckets count them: unlike the devices, they count the headers of every
        packet of a segment that the devices pass on as a whole."""
        found = {}
        for way, (namespace, device) in self.ways().items():
            shown = subprocess.run(["tc", "-n", namespace, "-s", "-j", "qdisc", "show", "dev", device], check=True, capture_output=True)
            bucket = next(entry for entry in json.loads(shown.stdout) if entry.get("root"))
            found[way] = {"bytes": bucket["bytes"], "drops": bucket["drops"]}
        return found


def capacity(link, seconds):
    """Bytes per second that plain TCP moves through a link: on the wire, and payload. Each way by itself."""
    down, up = (link.hub, link.namespace, link.address), (link.namespace, link.hub, HUB)
    return {way: transfer([pair], [link], way, seconds) for way, pair in (("in", down), ("out", up))}


def exchange(all_links, seconds):
    """The same for plain TCP from each end to each other end at once: bytes per second into the ends, the mean of all links."""
    pairs = [(one.namespace, other.namespace, other.address) for one in all_links for other in all_links if one is not other]
    return transfer(pairs, all_links, "in", seconds)


def transfer(pairs, counted, way, seconds):
    """Sends from each sender to each receiver (namespace, namespace, address of the receiver) for some seconds. The mean of `counted`."""
    over, received, working = threading.Event(), [0] * (len(pairs) * CONNECTIONS), []
    with contextlib.ExitStack() as stack:
        for number, (sender, receiver, address) in enumerate(pairs):
            listener = stack.enter_context(inside(receiver, socket.create_server, (address, 0)).result())
            for place in range(number * CONNECTIONS, (number + 1) * CONNECTIONS):
                working.append(inside(receiver, receive, listener, received, place))
                working.append(inside(sender, send, listener.getsockname(), over))
        time.sleep(RAMP)
        before, payload, begin = on_wire(counted, way), sum(received), time.monotonic()
        time.sleep(seconds)
        payload, elapsed = sum(received) - payload, time.monotonic() - begin
        after = on_wire(counted, way)
        over.set()
        for work in working:
            work.result(60)
    rates = [(last - first) / (end - start) for (first, start), (last, end) in zip(before, after)]
    return {"wire": sum(rates) / len(counted), "payload": payload / elapsed / len(counted)}


def on_wire(counted, way):
    """Bytes on the wire of each link so far, each with its time: on a busy machine, counters of several links take a while to read."""
    return [(link.counters()[way]["bytes"], time.monotonic()) for link in counted]


def receive(listener, received, number):
    connection, _ = listener.accept()
    buffer = bytearray(CHUNK)
    with connection:
        while count := connection.recv_into(buffer):
            received[number] += count


def send(address, over):
    buffer = bytes(CHUNK)
    with socket.create_connection(address) as connection:
        while not over.is_set():
            connection.sendall(buffer)


@contextlib.contextmanager
def star(ends):
    """A bridge and `ends` links, without limits. Yields the bridge's namespace and the links."""
    hub = f"arrayjob-{os.getpid()}"
    with contextlib.ExitStack() as names:
        run("ip", "netns", "add", hub)
        names.callback(run, "ip", "netns", "delete", hub)
        run("ip", "-n", hub, "link", "set", "lo", "up")
        run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", hub, "address", "add", f"{HUB}/24", "dev", "bridge")
        run("ip", "-n", hub, "link", "set", "bridge", "up")
        links = [Link(hub, number, names) for number in range(ends)]
        for link in links:
            link.create()
        yield hub, links

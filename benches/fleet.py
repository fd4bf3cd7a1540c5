"""Chunk servers in network namespaces, and the loop of the operator over them.

Servers with TLS are servers of a cluster: mutual TLS between servers and with the loop, settings in the environment. Servers without TLS are
those of `arrayjob run`: keys of the run on standard input, loopback only. Both are the program `chunkserver`, and both work for the same loop
(benches/fixed_servers.rs), which plans the job as on a cluster. Requires openssl for the certificates.
"""

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import links
import whole_job

BUILT = whole_job.ARRAYJOB.parent
CHUNKSERVER, LOOP = BUILT / "chunkserver", BUILT / "examples" / "fixed_servers"
PEERS, READERS, METRICS = 7443, 8080, 9090  # the default ports
START = 20  # seconds that a server may need until it listens
TICKS = os.sysconf("SC_CLK_TCK")
# The DNS name that transport/src/tls.rs demands. One certificate serves all servers, and the loop as a client.
CERTIFICATES = """
[req]
distinguished_name = name
prompt = no
[name]
CN = benches
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[member]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:server.arrayjob.internal
"""


def certificates(folder):
    """Writes an authority, a certificate with its key, and the token of readers. Returns the token."""
    config = folder / "openssl.cnf"
    config.write_text(CERTIFICATES)

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    new = ["-newkey", "ed25519", "-nodes", "-config", config]
    openssl("req", "-x509", *new, "-extensions", "authority", "-days", 1, "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    openssl("req", *new, "-keyout", folder / "tls.key", "-out", folder / "tls.csr")
    signed = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-set_serial", 2, "-days", 1]
    openssl("x509", "-req", "-in", folder / "tls.csr", *signed, "-extfile", config, "-extensions", "member", "-out", folder / "tls.crt")
    token = secrets.token_hex(16)
    (folder / "token").write_text(token)
    return token


class Fleet:
    """Servers that have no job yet. `proof` is what the loop presents to them, `readers` are their addresses for readers."""

    def __init__(self, hub, processes, peers, readers, proof, token):
        self.hub, self.processes, self.peers, self.readers, self.proof, self.token = hub, processes, peers, readers, proof, token

    def cpu(self):
        """CPU seconds of all servers so far."""
        return sum(cpu_of(process.pid) for process in self.processes)

    def job(self, manifest, threads, memory):
        """Runs a job. The report of the loop, with CPU seconds of the servers and the busy part of the machine's processors."""
        command = [LOOP, manifest, threads, memory, self.proof, *self.peers]
        begin, used = processor_times(), self.cpu()
        done = subprocess.run(within(self.hub, command), capture_output=True, text=True, preexec_fn=whole_job.die_with_parent)
        end = processor_times()
        if done.returncode != 0:
            sys.exit(f"the job failed: {done.stderr[-4000:]}")
        idle, total = (after - before for before, after in zip(begin, end))
        return json.loads(done.stdout) | {"cpu": self.cpu() - used, "busy": 1 - idle / total}

    def get(self, path):
        """The body of a route for readers, from the first server."""
        return links.inside(self.hub, get, self.readers[0], path, self.token).result()


def get(address, path, token):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != 200:
        raise OSError(f"{path}: HTTP {response.status}: {body[:300]!r}")
    return body


def within(namespace, command):
    return ["ip", "netns", "exec", namespace, *map(str, command)]


def cpu_of(process):
    """User and system seconds of a process: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def processor_times():
    """Idle time and all time of all processors, in ticks: https://man7.org/linux/man-pages/man5/proc_stat.5.html."""
    times = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return times[3] + times[4], sum(times)


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until_ready(namespace, address, process):
    deadline = time.monotonic() + START
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            links.inside(namespace, get, address, "/readyz", "").result()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit("a chunk server did not start")
        time.sleep(0.05)


@contextlib.contextmanager
def secured(hub, places, folder, threads):
    """Servers with mutual TLS: one for each (namespace, address, number added to the default ports) of `places`."""
    token = (folder / "token").read_text()
    with contextlib.ExitStack() as stack:
        processes = []
        for namespace, address, add in places:
            ports = {"ARRAYJOB_PEER_PORT": PEERS + add, "ARRAYJOB_HTTP_PORT": READERS + add, "ARRAYJOB_METRICS_PORT": METRICS + add}
            given = {"ARRAYJOB_TLS_DIR": folder, "ARRAYJOB_THREADS": threads, "ARRAYJOB_EGRESS_ALLOW": f"{links.HUB}/32", "RUST_LOG": "error"}
            environment = os.environ | {name: str(value) for name, value in (ports | given).items()}
            process = subprocess.Popen(within(namespace, [CHUNKSERVER]), env=environment, preexec_fn=whole_job.die_with_parent)
            stack.callback(stop, process)
            processes.append(process)
        for (namespace, address, add), process in zip(places, processes):
            until_ready(namespace, f"{address}:{METRICS + add}", process)
        peers, readers = ([f"{address}:{port + add}" for _, address, add in places] for port in (PEERS, READERS))
        yield Fleet(hub, processes, peers, readers, folder, token)


@contextlib.contextmanager
def plain(hub, count, threads):
    """Servers without TLS, on the loopback device of the bridge's namespace."""
    token, key = secrets.token_hex(16), secrets.token_hex(16)
    startup = {"key": token, "command_key": key, "threads": threads, "scratch": None, "after": None}
    environment = {name: value for name, value in os.environ.items() if name != "ARRAYJOB_TLS_DIR"}
    with contextlib.ExitStack() as stack:
        processes, addresses = [], []
        for _ in range(count):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process = subprocess.Popen(within(hub, [CHUNKSERVER]), env=environment, preexec_fn=whole_job.die_with_parent, **pipes)
            stack.callback(stop, process)
            process.stdin.write(json.dumps(startup) + "\n")
            process.stdin.flush()
            processes.append(process)
        for process in processes:
            addresses.append(json.loads(process.stdout.readline())["address"])
        yield Fleet(hub, processes, addresses, addresses, key, token)

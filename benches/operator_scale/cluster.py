"""A Kubernetes cluster without containers: etcd, kube-apiserver, kube-scheduler, nodes and pods by kwok, and one process that answers for
all chunk servers. All are processes of this machine, in namespaces that `isolate` makes."""

import contextlib
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from api import Api, wait_for

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("ARRAYJOB_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "arrayjob")
KWOK = "v0.8.0"
KUBE = CACHE / "kind-node" / "bin" / "hyperkube"
TOOLS = CACHE / f"operator-scale-kwok-{KWOK}"

ISOLATED = "ARRAYJOB_BENCH_ISOLATED"
LOOPBACK = "127.0.0.1"
PODS_OF_NODE = 250
# In a network namespace, all ports are free. 7443 is the port of chunk servers for peers and the operator.
API, ETCD, ETCD_PEERS, PEERS, CONTROL, OPERATOR = 6443, 2379, 2380, 7443, 7000, 8080
JOBS, OWN = "jobs", "arrayjob-system"  # namespaces of the cluster
OPERATOR_USER = f"system:serviceaccount:{OWN}:arrayjob-operator"
# Without the controller manager, no controller removes the taint of a new node.
DISABLED_ADMISSION = "TaintNodesByCondition"
AUDIT = f"""apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["{OPERATOR_USER}"]
  verbs: [create, patch, delete]
  resources:
  - {{group: arrayjob.dev, resources: [arrayjobs/status]}}
  - {{group: "", resources: [pods]}}
- level: None
"""


def isolate():
    """Continues in namespaces of this run: its ports are free, and the kernel ends every process with the first one."""
    if os.environ.get(ISOLATED):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    for program in ("unshare", "ip", "openssl"):
        if not shutil.which(program):
            sys.exit(f"needs {program}: on Debian, `apt-get install util-linux iproute2 openssl` as root")
    spaces = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    os.environ[ISOLATED] = "1"
    os.execvp("unshare", ["unshare", *user, *spaces, sys.executable, *sys.argv])


def prepare():
    """Builds what the cluster needs, and has not been built: Kubernetes, kwok, and the servers."""
    os.environ["PATH"] += ":/usr/local/go/bin"
    subprocess.run([ROOT / "tests" / "kind-node" / "build", "kubernetes"], check=True)
    if not shutil.which("go"):
        sys.exit("needs Go: https://go.dev/dl")
    environment = dict(os.environ, CGO_ENABLED="0", GOWORK="off", GOBIN=str(TOOLS))
    build = {"env": environment, "check": True}
    if not (TOOLS / "kwok").exists():
        print("building kwok", file=sys.stderr)
        subprocess.run(["go", "install", "-trimpath", "-ldflags", "-s -w", f"sigs.k8s.io/kwok/cmd/kwok@{KWOK}"], cwd="/", **build)
    subprocess.run(["go", "build", "-trimpath", "-o", TOOLS / "servers", "."], cwd=HERE / "servers", **build)


class Cluster:
    """The processes of the cluster, and an administrator's client."""

    def __init__(self, stack):
        self.work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="operator-scale-")))
        # etcd waits for the disk at each write; the disk is no part of the measurement.
        subprocess.run(["mount", "-t", "tmpfs", "none", self.work], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", self.work], check=False)
        self.processes = {}
        stack.callback(self.stop)
        self.tokens = {name: secrets.token_hex(16) for name in ("admin", "scheduler", "kwok", "operator")}
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def start(self, name, command, **variables):
        log = open(self.work / f"{name}.log", "wb")
        environment = dict(os.environ, **variables)
        self.processes[name] = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def stop(self):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()

    def check(self):
        """Fails if a process has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)}")

    def log(self, name, size=4000):
        return (self.work / f"{name}.log").read_bytes()[-size:].decode(errors="replace")

    @property
    def authority(self):
        return self.work / "certificates" / "apiserver.crt"

    @property
    def audit(self):
        return self.work / "audit.log"

    def kube(self, name, *flags):
        self.start(name, [KUBE, name, *flags])

    def start_control_plane(self):
        files = {
            "audit.yaml": AUDIT,
            "tokens.csv": "".join(self.token_lines()),
        }
        for name, text in files.items():
            (self.work / name).write_text(text)
        key = self.work / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, stderr=subprocess.DEVNULL)
        etcd = f"http://{LOOPBACK}:{ETCD}"
        peers = f"http://{LOOPBACK}:{ETCD_PEERS}"
        self.kube(
            "etcd", "--data-dir", self.work / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}",
            "--unsafe-no-fsync", "--quota-backend-bytes", str(4 << 30),
        )  # fmt: skip
        self.kube(
            "kube-apiserver", "--etcd-servers", etcd, "--bind-address", LOOPBACK, "--advertise-address", LOOPBACK, "--secure-port", str(API),
            "--cert-dir", self.work / "certificates", "--token-auth-file", self.work / "tokens.csv",
            "--service-account-key-file", key, "--service-account-signing-key-file", key, "--service-account-issuer", "https://bench",
            "--service-cluster-ip-range", "10.96.0.0/16", "--endpoint-reconciler-type", "none", "--authorization-mode", "AlwaysAllow",
            "--disable-admission-plugins", DISABLED_ADMISSION, "--audit-policy-file", self.work / "audit.yaml",
            "--audit-log-path", self.audit, "--audit-log-mode", "batch",
        )  # fmt: skip
        self.api = wait_for("the API server", self.connect, 120)

    def token_lines(self):
        yield f'{self.tokens["admin"]},admin,1,"system:masters"\n'
        yield f'{self.tokens["scheduler"]},system:kube-scheduler,2,""\n'
        yield f'{self.tokens["kwok"]},system:kwok,3,"system:nodes"\n'
        # As the operator's service account, for the API server's priorities.
        yield f'{self.tokens["operator"]},{OPERATOR_USER},4,"system:serviceaccounts,system:serviceaccounts:{OWN}"\n'

    def connect(self):
        self.check()
        api = Api(LOOPBACK, API, self.authority, self.tokens["admin"])
        return api.get("/readyz") == b"ok" and api

    def kubeconfig(self, name):
        path = self.work / f"{name}.kubeconfig"
        cluster = {"server": f"https://{LOOPBACK}:{API}", "certificate-authority": str(self.authority)}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": self.tokens[name]}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": name}}],
        }  # fmt: skip
        path.write_text(json.dumps(config))
        return path

    def create_objects(self, definition, pods):
        """The definition of ArrayJob, namespaces, and as many nodes as the pods need."""
        self.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        for name in (JOBS, OWN):
            self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
            self.api.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        for number in range(-(-pods // PODS_OF_NODE) + 1):  # one more, for replacements
            self.api.create("/api/v1/nodes", node(f"node-{number}"))
        path = f"/apis/arrayjob.dev/v1alpha1/namespaces/{JOBS}/arrayjobs"
        wait_for("the definition of ArrayJob", lambda: self.api.get(path), 30)

    def start_nodes(self):
        """The scheduler, the fake nodes and the fake servers."""
        rates = ["--kube-api-qps", "1000", "--kube-api-burst", "1000"]  # by default the scheduler binds 50 pods a second
        self.kube("kube-scheduler", "--kubeconfig", self.kubeconfig("scheduler"), "--leader-elect=false", *rates)
        kwok = [TOOLS / "kwok", "--config", HERE / "stages.yaml", "--kubeconfig", self.kubeconfig("kwok"), "--manage-all-nodes=true"]
        self.start("kwok", kwok)
        self.start(
            "servers",
            [TOOLS / "servers", f"-api=https://{LOOPBACK}:{API}", f"-authority={self.authority}", f"-namespace={JOBS}",
             f"-listen=0.0.0.0:{PEERS}", f"-control={LOOPBACK}:{CONTROL}"],
            TOKEN=self.tokens["admin"],
        )  # fmt: skip
        wait_for("the nodes", self.nodes_are_ready, 60)

    def nodes_are_ready(self):
        self.check()
        return all(is_ready(each) for each in self.api.get("/api/v1/nodes")["items"])

    def start_operator(self, program):
        """The operator with the flags of the chart; returns its process id."""
        flags = [f"--listen={LOOPBACK}:{OPERATOR}", "--server-image=bench", f"--namespace={OWN}"]
        self.start("operator", [program, *flags], KUBECONFIG=str(self.kubeconfig("operator")), RUST_LOG="warn")
        return self.processes["operator"].pid


def node(name):
    """A node without limits other than its number of pods."""
    room = {"cpu": "1k", "memory": "10Ti", "ephemeral-storage": "100Ti", "pods": str(PODS_OF_NODE)}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {"capacity": room, "allocatable": room},
    }


def is_ready(node):
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@contextlib.contextmanager
def running():
    """A cluster without nodes; all its processes end with the context."""
    with contextlib.ExitStack() as stack:
        yield Cluster(stack)

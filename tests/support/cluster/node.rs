//! Nodes that are containers of the local Docker engine, as in kind.

use super::tools::{kubectl, tool};
use crate::place::CommandOutput;

/// Whether `node` is a container of the local Docker engine.
pub fn is_local(node: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("docker").is_file()))
        && tool("docker", ["inspect", "--type=container", "--format={{.Name}}", node], "").code == Some(0)
}

/// Writes that a test was skipped, without libtest's capture. `tests/cluster/run` counts these lines.
pub fn skip(test: &str, reason: &str) {
    use std::io::Write as _;
    // A new line first, because libtest has already written the name of the test. A closed standard error is ignored.
    let _ = writeln!(std::io::stderr(), "\nskipped: {test}: {reason}");
}

/// Kills the process of a container in its node with SIGKILL, unless the process has ended.
pub(super) fn kill_container(node: &str, container: &str) {
    let kill = ["exec", node, "ctr", "--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL", container];
    let ended = tool("docker", kill, "");
    assert!(ended.code == Some(0) || ended.stderr.contains("not found"), "{}", ended.stderr);
}

/// Runs a script in a node.
pub(super) fn shell(node: &str, script: &str) -> CommandOutput {
    tool("docker", ["exec", node, "sh", "-c", script], "")
}

/// The node of the API server; `None` if the node is not a container of the local engine.
pub(super) fn of_api_server() -> Option<String> {
    let node = kubectl(["get", "nodes", "-l", "node-role.kubernetes.io/control-plane", "-o", "jsonpath={.items[0].metadata.name}"]);
    is_local(&node).then_some(node)
}

/// Sets the memory limit of a container to its current use and 1 MiB, so that the kernel kills the container when its memory grows.
pub(super) fn limit_memory(node: &str, container: &str) {
    // In control groups of version 1 and of version 2.
    let script = format!(
        "for limit in $(find /sys/fs/cgroup -path '*{container}*/memory.limit_in_bytes' -o -path '*{container}*/memory.max'); do \
           cd ${{limit%/*}} && echo $(($(cat memory.usage_in_bytes memory.current 2>/dev/null) + 1048576)) >$limit && exit; \
         done; echo no control group has a memory limit >&2; exit 1"
    );
    shell(node, &script).must_succeed();
}

/// A node that does not respond. Dropping the value resumes the node.
#[derive(Debug)]
pub struct Paused {
    node: String,
}

impl Paused {
    /// Pauses all processes of a node.
    pub fn new(node: &str) -> Self {
        tool("docker", ["pause", node], "").must_succeed();
        Self { node: node.to_owned() }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = tool("docker", ["unpause", &self.node], "");
    }
}

/// A node whose pods are evicted, and that takes no pods. Dropping the value permits pods again.
#[derive(Debug)]
pub struct Drained {
    node: String,
}

impl Drained {
    /// Evicts all pods of a node, except those of daemon sets.
    pub fn new(node: &str) -> Self {
        let drained = Self { node: node.to_owned() };
        kubectl(["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s"]);
        drained
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let _ = tool("kubectl", ["uncordon", &self.node], "");
    }
}

/// An API server whose process is stopped. Dropping the value continues the process.
#[derive(Debug)]
pub struct StoppedApiServer {
    node: String,
}

impl StoppedApiServer {
    /// Stops the API server; `None` if its node is not a container of the local engine.
    pub fn new() -> Option<Self> {
        let stopped = Self { node: of_api_server()? };
        shell(&stopped.node, "pkill -STOP -x kube-apiserver").must_succeed();
        Some(stopped)
    }
}

impl Drop for StoppedApiServer {
    fn drop(&mut self) {
        let _ = shell(&self.node, "pkill -CONT -x kube-apiserver");
    }
}

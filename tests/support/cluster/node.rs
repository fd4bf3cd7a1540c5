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
        let node = kubectl(["get", "nodes", "-l", "node-role.kubernetes.io/control-plane", "-o", "jsonpath={.items[0].metadata.name}"]);
        if !is_local(&node) {
            return None;
        }
        let stopped = Self { node };
        stopped.signal("STOP").must_succeed();
        Some(stopped)
    }

    fn signal(&self, signal: &str) -> CommandOutput {
        // The node may have no pkill.
        let script = format!(
            "found=1; for process in /proc/[0-9]*; do case $(tr '\\0' ' ' <$process/cmdline 2>/dev/null) in \
             kube-apiserver*|*/kube-apiserver*) kill -{signal} ${{process#/proc/}} && found=0;; esac; done; exit $found"
        );
        tool("docker", ["exec", &self.node, "sh", "-c", &script], "")
    }
}

impl Drop for StoppedApiServer {
    fn drop(&mut self) {
        let _ = self.signal("CONT");
    }
}

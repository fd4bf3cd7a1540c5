//! Nodes that are containers of this machine's Docker engine, as kind makes them.

use super::tools::tool;

/// Whether `node` is a container here.
pub fn is_here(node: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("docker").is_file()))
        && tool("docker", ["inspect", "--type=container", "--format={{.Name}}", node], "").code == Some(0)
}

/// Says, past libtest's capture, that a test could not be tried; `tests/cluster/run` counts these lines.
pub fn skip(test: &str, why: &str) {
    use std::io::Write as _;
    // On a line of its own: libtest has begun one with the test's name. Nothing is to be done where nobody reads.
    let _ = writeln!(std::io::stderr(), "\nskipped: {test}: {why}");
}

/// `kill -9` of a container's process in its node, unless it has ended already.
pub(super) fn kill_container(node: &str, container: &str) {
    let kill = ["exec", node, "ctr", "--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL", container];
    let ended = tool("docker", kill, "");
    assert!(ended.code == Some(0) || ended.stderr.contains("not found"), "{}", ended.stderr);
}

/// A node that answers nobody. It comes back when dropped.
#[derive(Debug)]
pub struct Paused {
    node: String,
}

impl Paused {
    /// Stops everything on a node, in the middle of whatever it does.
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

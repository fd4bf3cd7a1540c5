//! `kubectl arrayjob`: the built command under the name that kubectl looks for.

use super::forward::Forward;
use crate::place::{self, Ended};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A folder where kubectl finds the plugin, and which it writes its files to.
#[derive(Debug)]
pub struct Plugin {
    folder: TempDir,
    namespace: String,
}

impl Plugin {
    /// For jobs of that namespace.
    pub fn of(namespace: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("arrayjob-test-").tempdir().unwrap();
        std::os::unix::fs::symlink(place::command(), folder.path().join("kubectl-arrayjob")).unwrap();
        Self { folder, namespace: namespace.to_owned() }
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.path().to_owned()).chain(std::env::split_paths(&path));
        let mut command = Command::new("kubectl");
        command.args(["arrayjob", verb, "-n", &self.namespace]).args(arguments).current_dir(self.folder.path());
        command.env("PATH", std::env::join_paths(folders).unwrap()).env_remove("RUST_LOG");
        command
    }

    /// Runs a verb to its end.
    pub fn call(&self, verb: &str, arguments: &[&str]) -> Ended {
        let output = self.command(verb, arguments).output().unwrap();
        Ended { code: output.status.code(), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// `open`, which holds a job open.
    pub fn open(&self, job: &str) -> Forward {
        Forward::start(self.command("open", &[job]))
    }

    /// A file that it wrote.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bytes of a file that it wrote.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }
}

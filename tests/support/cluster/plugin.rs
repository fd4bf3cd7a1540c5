//! `kubectl arrayjob`: the built command as a plugin of kubectl.

use super::forward::Forward;
use crate::place::{self, CommandOutput};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A folder with the plugin, for its output files.
#[derive(Debug)]
pub struct Plugin {
    folder: TempDir,
    namespace: String,
}

impl Plugin {
    /// The plugin for jobs of this namespace.
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
    pub fn call(&self, verb: &str, arguments: &[&str]) -> CommandOutput {
        let output = self.command(verb, arguments).output().unwrap();
        CommandOutput { code: output.status.code(), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// Starts `kubectl arrayjob open` of a job.
    pub fn open(&self, job: &str) -> Forward {
        Forward::start(self.command("open", &[job]))
    }

    /// The path of an output file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads an output file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }
}

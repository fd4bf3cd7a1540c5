//! Processes, read from /proc.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

/// A process id and the start time: together unique, because the kernel reuses ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    started: u64,
    id: u32,
}

/// State, parent and start time from /proc/ID/stat.
fn stat(id: u32) -> Option<(char, u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may contain spaces and parentheses. The other fields follow the last parenthesis.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields[0].chars().next()?, fields[1].parse().ok()?, fields[19].parse().ok()?))
}

fn all() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

impl Process {
    fn of(id: u32) -> Option<Self> {
        stat(id).filter(|(state, ..)| *state != 'Z').map(|(_, _, started)| Self { started, id })
    }

    /// The children of a process, in order of their start.
    pub fn children_of(parent: u32) -> Vec<Self> {
        let mut children: Vec<Self> = all().filter(|&id| stat(id).is_some_and(|(_, of, _)| of == parent)).filter_map(Self::of).collect();
        children.sort();
        children
    }

    /// Every process with `NAME=value` in its environment: the processes of a test and their descendants.
    pub fn marked(mark: &str) -> Vec<Self> {
        let carries = |id: &u32| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        all().filter(carries).filter_map(Self::of).collect()
    }

    /// The process id.
    pub const fn id(self) -> u32 {
        self.id
    }

    /// Whether the process has not ended.
    pub fn is_alive(self) -> bool {
        Self::of(self.id) == Some(self)
    }

    /// `kill -9`.
    pub fn kill(self) {
        if self.is_alive() {
            // The process may have ended since the check.
            let _ = kill(Pid::from_raw(self.id as i32), Signal::SIGKILL);
        }
    }

    /// Stops the process without ending it, so that it no longer responds.
    pub fn stop(self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Sends a signal to the process.
    pub fn signal(self, signal: Signal) {
        // The process may have ended.
        let _ = kill(Pid::from_raw(self.id as i32), signal);
    }

    /// How much sooner than others the kernel kills the process for lack of memory.
    pub fn oom_score_adjustment(self) -> i64 {
        std::fs::read_to_string(format!("/proc/{}/oom_score_adj", self.id)).unwrap().trim().parse().unwrap()
    }

    /// Peak resident memory, in bytes.
    pub fn peak_rss_bytes(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

/// Whether all processes end within two seconds.
pub fn end_in_time(processes: &[Process]) -> bool {
    crate::within(Duration::from_secs(2), || processes.iter().all(|process| !process.is_alive()))
}

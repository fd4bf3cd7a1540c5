//! How a process ended, in words for messages.

use super::Options;
use api::geometry::human_bytes;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::PoisonError;

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The end, in words.
    pub(super) text: String,
    /// Whether the kernel killed the process for lack of memory.
    pub(super) out_of_memory: bool,
}

/// Describes the ends of the processes of one fleet.
#[derive(Debug)]
pub(super) struct Ends {
    scratch: Option<PathBuf>,
    planned_bytes: u64,
    oom_kills: fn() -> Option<u64>,
    /// Kills for lack of memory in the control group that are attributed to a process, or occurred before the fleet; `None` if the
    /// system does not count them.
    attributed: Mutex<Option<u64>>,
}

impl Ends {
    /// For the processes with these options.
    pub(super) fn new(options: &Options) -> Self {
        let Options { scratch, planned_bytes, oom_kills, .. } = options;
        let attributed = Mutex::new(oom_kills());
        Self { scratch: scratch.clone(), planned_bytes: *planned_bytes, oom_kills: *oom_kills, attributed }
    }

    /// The end of a process with this status.
    pub(super) fn describe(&self, status: std::io::Result<ExitStatus>) -> End {
        let end = |text: String| End { text, out_of_memory: false };
        let status = match status {
            Ok(status) => status,
            Err(error) => return end(error.to_string()),
        };
        let Some(number) = status.signal() else {
            return end(status.code().map_or_else(|| "ended".into(), |code| format!("exit code {code}")));
        };
        match (Signal::try_from(number), &self.scratch) {
            (Ok(Signal::SIGKILL), _) if self.is_oom_kill((self.oom_kills)()) => End {
                text: format!(
                    "killed by the kernel, because the control group has too little memory; the plan needs {} for a server",
                    human_bytes(self.planned_bytes)
                ),
                out_of_memory: true,
            },
            (Ok(Signal::SIGKILL), _) => end("killed by signal 9, perhaps for lack of memory".into()),
            (Ok(Signal::SIGBUS), Some(folder)) => end(format!(
                "killed by signal {number} (SIGBUS): the scratch disk of {} failed to read or write a page; check that the disk works and has \
                 free space",
                folder.display()
            )),
            (Ok(signal), _) => end(format!("killed by signal {number} ({signal})")),
            (Err(_), _) => end(format!("killed by signal {number}")),
        }
    }

    /// Whether the control group counts a kill that no process explains yet.
    fn is_oom_kill(&self, count: Option<u64>) -> bool {
        let mut attributed = self.attributed.lock().unwrap_or_else(PoisonError::into_inner);
        match (attributed.as_mut(), count) {
            (Some(attributed), Some(count)) if count > *attributed => {
                *attributed += 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(scratch: Option<&str>) -> Ends {
        Ends { scratch: scratch.map(PathBuf::from), planned_bytes: 3 << 20, oom_kills: || None, attributed: Mutex::new(Some(4)) }
    }

    #[test]
    fn a_signal_has_its_name_and_its_likely_cause() {
        let text = |number, scratch| ends(scratch).describe(Ok(ExitStatus::from_raw(number))).text;
        assert_eq!(text(Signal::SIGKILL as i32, None), "killed by signal 9, perhaps for lack of memory");
        assert_eq!(text(Signal::SIGABRT as i32, None), "killed by signal 6 (SIGABRT)");
        let on_disk = text(Signal::SIGBUS as i32, Some("/scratch/a"));
        assert!(on_disk.contains("the scratch disk of /scratch/a"), "{on_disk}");
        assert!(!text(Signal::SIGBUS as i32, None).contains("scratch"));
        assert_eq!(text(3 << 8, None), "exit code 3");
    }

    #[test]
    fn each_counted_kill_for_lack_of_memory_explains_one_process() {
        let ends = ends(None);
        assert!(!ends.is_oom_kill(Some(4)), "the kill occurred before the fleet");
        assert!(ends.is_oom_kill(Some(6)) && ends.is_oom_kill(Some(6)));
        assert!(!ends.is_oom_kill(Some(6)), "both kills are attributed");
        assert!(!ends.is_oom_kill(None));
    }
}

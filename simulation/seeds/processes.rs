//! Runs each seed in a process of its own: a panic, a hang or a changed global of one seed does not concern another.

use crate::entropy;
use crate::scenario::{self, Summary};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, Pid, alarm, fork};
use std::collections::HashMap;
use std::io::{PipeReader, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest time of a seed, in seconds. A seed takes less than a second.
const TIMEOUT: u32 = 120;

/// Whether a task has panicked. Tasks of the runtime keep their panics for themselves.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Runs a seed in this process.
pub(crate) fn run_here(seed: u64, print: bool) -> Result<Summary, String> {
    entropy::follow(seed);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Ordering::Relaxed);
        hook(panic);
    }));
    let ran = catch_unwind(AssertUnwindSafe(|| scenario::run(seed, print))).unwrap_or_else(|_| Err("a panic".into()));
    if PANICKED.load(Ordering::Relaxed) { Err("a task panicked".into()) } else { ran }
}

/// Runs all seeds, several at a time. `None` is a failed seed, whose error is printed.
pub(crate) fn run_all(mut seeds: impl Iterator<Item = u64>) -> Vec<(u64, Option<Summary>)> {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running: HashMap<Pid, (u64, PipeReader)> = HashMap::new();
    let mut results = Vec::new();
    loop {
        while running.len() < at_once
            && let Some(seed) = seeds.next()
        {
            let (pid, summary) = start(seed);
            running.insert(pid, (seed, summary));
        }
        if running.is_empty() {
            results.sort_by_key(|(seed, _)| *seed);
            return results;
        }
        let status = wait().expect("a process to wait for");
        let Some((seed, mut pipe)) = status.pid().and_then(|pid| running.remove(&pid)) else { continue };
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("the summary of a seed");
        let summary = matches!(status, WaitStatus::Exited(_, 0)).then(|| summary(&bytes)).flatten();
        if summary.is_none() {
            println!("seed {seed}: {status:?}");
        }
        results.push((seed, summary));
    }
}

/// Starts a process that runs a seed, and then writes its summary into the pipe.
fn start(seed: u64) -> (Pid, PipeReader) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    // SAFETY: this process has one thread.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Parent { child } => (child, reader),
        ForkResult::Child => {
            alarm::set(TIMEOUT);
            let ran = run_here(seed, false);
            let code = match ran {
                Ok(summary) => i32::from(writer.write_all(&bytes(&summary)).is_err()),
                Err(error) => {
                    println!("seed {seed}: {error}");
                    1
                }
            };
            drop(writer);
            std::process::exit(code)
        }
    }
}

fn bytes(summary: &Summary) -> Vec<u8> {
    let Summary { digest, millis, failed, reads, faults } = summary;
    [digest, millis, failed, reads].into_iter().chain(faults).flat_map(|number| number.to_le_bytes()).collect()
}

fn summary(bytes: &[u8]) -> Option<Summary> {
    let numbers: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let (&[digest, millis, failed, reads], faults) = numbers.split_first_chunk::<4>()?;
    Some(Summary { digest, millis, failed, reads, faults: faults.try_into().ok()? })
}

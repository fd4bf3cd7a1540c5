//! Faults at random moments of a job: real processes are killed, ended, stopped and starved, with the same checks after each fault.
//!
//! Variables: `FAULTS` is the number of trials, `SEED` repeats the choices of a run, and `TRIAL` runs one trial of that run. With
//! `ARRAYJOB_FAULT_TABLE`, the path of a document, the table of a run of several trials is written into this document.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed trial is a panic")]
#![expect(clippy::print_stdout, reason = "the program of a test target reports on standard output")]

mod fault;
mod limits;
mod link;
mod oracle;
mod random;
mod readers;
mod runs;
mod scene;
mod servers;
mod sources;
mod table;
mod timeline;
mod trial;

use crate::oracle::Outcome;
use crate::scene::{FRAMES, MOVIE, Reference, SERVERS, Scene};
use crate::table::Outcomes;
use crate::trial::Trial;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tests::fault_rows::{self, ROWS};
use tests::source::FrameServer;

/// Trials of a sample: each fault once, except for the fault that takes a minute.
const SAMPLE: usize = 23;

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn main() -> ExitCode {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 % 1_000_000;
    let seed = variable("SEED").unwrap_or_else(now);
    let numbers: Vec<usize> = match variable("TRIAL") {
        Some(trial) => vec![trial],
        None => (0..variable("FAULTS").unwrap_or(SAMPLE)).collect(),
    };
    println!("seed {seed}, {} trials; SEED={seed} TRIAL=n make faults repeats trial n", numbers.len());
    let since = Instant::now();
    let reference = Scene::undisturbed(FrameServer::png(MOVIE));
    let (outcomes, failures) = run(seed, &numbers, &reference);
    let table = table::local(&outcomes);
    println!("\n{table}");
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    if let (Some(path), [_, _, ..]) = (std::env::var_os("ARRAYJOB_FAULT_TABLE"), &numbers[..]) {
        let about = format!("{}\n\n{table}", about(seed, numbers.len(), failures.len(), since));
        let document = table::replace(&std::fs::read_to_string(&path).unwrap(), "faults on one machine", &about);
        let rows = std::env::var_os(ROWS).and_then(|rows| std::fs::read_to_string(rows).ok()).unwrap_or_default();
        let document = match fault_rows::parse(&rows)[..] {
            [] => document,
            ref rows => table::replace(&document, "faults on a cluster", &table::cluster(rows)),
        };
        std::fs::write(&path, document).unwrap();
    }
    println!("faults: {} passed, {} failed", numbers.len() - failures.len(), failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the trials.
fn run(seed: u64, numbers: &[usize], reference: &Reference) -> (Outcomes, Vec<String>) {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Outcomes::new(), Vec::new()));
    let worker = || {
        while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let trial = Trial::new(seed, number);
            let since = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| trial.run(reference)));
            let (mut results, seconds) = (results.lock().unwrap(), since.elapsed().as_secs_f64());
            match result {
                Ok(outcome) => {
                    println!("{trial}: {} ({seconds:.1} s)", shown(&outcome));
                    results.1.extend(outcome.late.iter().map(|late| format!("{trial}: {late}")));
                    results.0.entry(trial.fault).or_default().push(outcome);
                }
                Err(panic) => {
                    let message = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                    let failure = format!("{trial}: {}", message.unwrap_or_default());
                    println!("FAILED: {failure} ({seconds:.1} s)");
                    results.1.push(failure);
                }
            }
        }
    };
    std::thread::scope(|scope| (0..at_once()).for_each(|_| drop(scope.spawn(worker))));
    results.into_inner().unwrap()
}

fn shown(outcome: &Outcome) -> String {
    let Outcome { phase, what, noticed, replaced, recovered, late } = outcome;
    let times = [("noticed", *noticed), ("replaced", *replaced), ("recovered", *recovered)];
    let times: String = times.into_iter().filter_map(|(name, seconds)| Some(format!(", {name} after {:.2} s", seconds?))).collect();
    let late = late.as_ref().map_or_else(String::new, |late| format!("; LATE: {late}"));
    format!("in {phase}: {what}{times}{late}")
}

/// Trials at once. Trials measure times, so that more trials than processors would measure each other.
fn at_once() -> usize {
    variable("AT_ONCE").unwrap_or_else(|| cores().min(2))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The conditions of a run.
fn about(seed: u64, trials: usize, failures: usize, since: Instant) -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown");
    format!(
        "{trials} trials with seed {seed}, of which {failures} failed: {FRAMES} frames of {} × {} pixels, {SERVERS} servers, {} trials \
         at once, {} cores with a mean load of {load}, {:.0} minutes.",
        MOVIE.frame.height,
        MOVIE.frame.width,
        at_once(),
        cores(),
        since.elapsed().as_secs_f64() / 60.0
    )
}

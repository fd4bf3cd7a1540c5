//! A simulation of the loop and the servers over a network and a clock in memory. Each seed is a job, a network and some faults; the same
//! seed gives the same events again.
//!
//! `SEEDS=20000` runs other than 1,000 seeds, `FIRST=5000` starts at another seed, and `SEED=17` runs one seed and prints its events.

#![expect(clippy::expect_used, clippy::exit, clippy::panic, clippy::print_stdout, reason = "a failed check fails the test")]

mod dice;
mod entropy;
mod faults;
mod fleet;
mod jobs;
mod network;
mod oracles;
mod outputs;
mod processes;
mod readers;
mod reference;
mod run;
mod scenario;
mod server;
mod source;
mod trace;

use std::process::ExitCode;
use std::time::Instant;

/// Seeds of a run.
const SEEDS: u64 = 1000;
/// Every seed with this distance runs twice, to compare the events.
const REPEATED: u64 = 20;

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    transport::crypto::install_crypto();
    if let Some(seed) = number("SEED") {
        let ran = processes::run_here(seed, true);
        println!("seed {seed}: {ran:?}");
        return if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (first, count) = (number("FIRST").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS));
    let began = Instant::now();
    let seeds = (first..first + count).chain((first..first + count).step_by(REPEATED as usize));
    let results = processes::run_all(seeds);
    report(&results, count, began.elapsed().as_secs())
}

/// Prints the results, and a line that scripts count.
fn report(results: &[(u64, Option<scenario::Summary>)], count: u64, seconds: u64) -> ExitCode {
    let failed: Vec<u64> = results.iter().filter(|(_, summary)| summary.is_none()).map(|(seed, _)| *seed).collect();
    let passed: Vec<(u64, scenario::Summary)> =
        results.iter().filter_map(|(seed, summary)| summary.map(|summary| (*seed, summary))).collect();
    let total = |of: fn(&scenario::Summary) -> u64| passed.iter().map(|(_, summary)| of(summary)).sum::<u64>();
    let faults = faults::KINDS.iter().enumerate();
    let faults: Vec<String> =
        faults.map(|(kind, name)| format!("{} {name}", passed.iter().map(|(_, summary)| summary.faults[kind]).sum::<u64>())).collect();
    println!("\nsimulation: {count} seeds in {seconds} s, {} hours of simulated time", total(|summary| summary.millis) / 3_600_000);
    println!("injected: {}", faults.join(", "));
    println!(
        "{} jobs failed with a stated reason; {} complete reads meanwhile",
        total(|summary| summary.failed),
        total(|summary| summary.reads)
    );
    // The results are in the order of the seeds.
    let twice: Vec<_> = passed.array_windows().filter(|[one, other]| one.0 == other.0).collect();
    let same = twice.iter().filter(|[one, other]| one == other).count();
    println!("{} seeds ran twice, {same} with the same events", twice.len());
    for seed in &failed {
        println!("seed {seed} failed; replay it with: make simulate SEED={seed}");
    }
    let (word, one) = if failed.is_empty() { ("ok", "1 passed; 0 failed") } else { ("FAILED", "0 passed; 1 failed") };
    println!("test result: {word}. {one}; {} of {} seeds failed", failed.len(), count);
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

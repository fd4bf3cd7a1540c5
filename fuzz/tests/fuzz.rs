//! Runs each target over its corpus, then over random changes of the corpus for `FUZZ_SECONDS` in total. A failed input is written to
//! `fuzz/failed/`; `FUZZ_INPUT=FILE` runs one file. The seed of the changes is `FUZZ_SEED`, or the same in each run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]
#![expect(clippy::print_stdout, reason = "the counts of runs")]

use fuzz::mutate::mutate;
use fuzz::{TARGETS, Target, corpus};
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tests::random::SplitMix64;

/// Longest input of a run, in bytes.
const LONGEST: usize = 1 << 14;
/// Seconds of random changes of all targets, without `FUZZ_SECONDS`.
const SECONDS: f64 = 4.5;

/// Targets count the memory of the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not usable: {value}")))
}

fn inputs(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Runs one input. A failed input is kept.
fn run(target: &Target, input: &[u8], name: &str) {
    if catch_unwind(|| (target.run)(input)).is_err() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("failed");
        let path = folder.join(format!("{}-{name}", target.name));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, input).unwrap();
        panic!("{} fails for {}; FUZZ_INPUT={} repeats the run", target.name, path.display(), path.display());
    }
}

fn check(name: &str) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    if let Some(path) = setting::<PathBuf>("FUZZ_INPUT") {
        return (target.run)(&fs::read(path).unwrap());
    }
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    for (path, input) in &inputs {
        run(target, input, &path.file_name().unwrap().to_string_lossy());
    }
    let mut random = SplitMix64::new(setting("FUZZ_SEED").unwrap_or(1));
    let time = Duration::from_secs_f64(setting("FUZZ_SECONDS").unwrap_or(SECONDS) / TARGETS.len() as f64);
    let (started, mut runs) = (Instant::now(), 0_u64);
    while started.elapsed() < time {
        let mut input = inputs[random.below(inputs.len())].1.clone();
        mutate(&mut input, &inputs[random.below(inputs.len())].1, &mut random, target.is_text);
        input.truncate(LONGEST);
        run(target, &input, "random");
        runs += 1;
    }
    println!("{name}: {} inputs of the corpus, {runs} changed inputs", inputs.len());
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_test() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

tests! { manifest selection template egress image zarr_array wire requests output_grid }

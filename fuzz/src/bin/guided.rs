//! libFuzzer over the target in `FUZZ_TARGET`.
#![no_main]
#![expect(clippy::panic, reason = "the name is checked before the first run")]

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET is '{name}', not one of {}", TARGETS.map(|target| target.name).join(", ")))
}

fuzz_target!(|input: &[u8]| (TARGET.get_or_init(target).run)(input));

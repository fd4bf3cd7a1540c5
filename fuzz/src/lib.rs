//! Fuzz targets: functions from bytes that come from outside to the rules that hold for all bytes. A target panics when a rule is broken.
//!
//! `tests/fuzz.rs` runs each target over its corpus and over random changes of the corpus. `src/bin/guided.rs` runs one target under
//! libFuzzer, which looks for inputs that reach new branches: <https://llvm.org/docs/LibFuzzer.html>.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a target reports a broken rule by a panic")]

pub mod allocation;
pub mod mutate;
mod targets;

pub use targets::TARGETS;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and the name of the folder of its corpus.
    pub name: &'static str,
    /// Checks the rules for one input.
    pub run: fn(&[u8]),
    /// Whether an input is text, and changes of the input are changes of words.
    pub is_text: bool,
}

/// The folder of a target's corpus.
pub fn corpus(target: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

//! Rows for the table of faults in docs/operations.md, from tests that inject faults outside of `tests/faults`.

use std::io::Write as _;
use std::time::Duration;

/// Names the file that collects rows. `make faults` sets the variable.
pub const ROWS: &str = "ARRAYJOB_FAULT_ROWS";

/// A fault that a test injected.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The fault.
    pub fault: String,
    /// How the test injected the fault.
    pub injected: String,
    /// What happened.
    pub outcome: String,
    /// Seconds from the fault to the recovery.
    pub seconds: f64,
}

/// Adds a row to the file of [`ROWS`]; has no effect without the variable.
///
/// # Panics
/// When the file is not writable.
pub fn record(fault: &str, injected: &str, outcome: &str, recovery: Duration) {
    let Some(path) = std::env::var_os(ROWS) else { return };
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    let fields = [fault, injected, outcome].map(|field| field.replace(['\t', '\n'], " "));
    // One write, because tests of several processes add rows at the same time.
    file.write_all(format!("{}\t{:.2}\n", fields.join("\t"), recovery.as_secs_f64()).as_bytes()).unwrap();
}

/// The rows in the text of such a file.
///
/// # Panics
/// When a line has other fields than [`record`] writes.
pub fn parse(text: &str) -> Vec<Row> {
    let row = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
        [fault, injected, outcome, seconds] => {
            let [fault, injected, outcome] = [fault, injected, outcome].map(str::to_owned);
            Row { fault, injected, outcome, seconds: seconds.parse().unwrap() }
        }
        _ => panic!("'{line}' is not a row of a fault"),
    };
    text.lines().map(row).collect()
}

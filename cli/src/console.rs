//! Text for the terminal: data goes to standard output, messages go to standard error.

use crate::error::Error;
use std::io::Write as _;

/// Writes data to standard output.
///
/// # Errors
/// Standard output is closed or full.
pub fn print(bytes: &[u8]) -> Result<(), Error> {
    std::io::stdout().write_all(bytes).map_err(|source| Error::Write { path: "standard output".into(), source })
}

/// Writes one line to standard error. A closed standard error is ignored: the work goes on without a reader.
pub fn message(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

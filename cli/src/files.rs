//! Files that appear whole or not at all.

use crate::error::Error;
use std::path::Path;

/// Writes a file under a temporary name in the same folder, then renames the file.
///
/// # Errors
/// The folder or the file is not writable.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    chunkserver::worker::write_whole(path, &std::process::id().to_string(), bytes)
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

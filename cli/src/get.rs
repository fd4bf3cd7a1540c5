//! `arrayjob get`: a slice of a job that is served here or in a cluster, to a file or to standard output.

use crate::args::Get;
use crate::cluster::door;
use crate::error::Error;
use api::selection::Selection;
use formats::encode::Format;
use std::io::Write as _;
use std::path::Path;

/// Gets it.
///
/// # Errors
/// When the job cannot be found or reached, or refuses, or the file cannot be written.
pub async fn get(ask: Get) -> Result<(), Error> {
    let selection = Selection::parse(&ask.selection).map_err(|error| Error::Refused(error.to_string()))?;
    let items = ask.selection.trim().strip_prefix(&selection.array).unwrap_or_default().trim();
    let items = items.strip_prefix('[').and_then(|items| items.strip_suffix(']')).unwrap_or_default();
    let format = match &ask.output {
        Some(path) => Format::from_path(path).map_err(|error| Error::Refused(error.to_string()))?,
        None => Format::Json,
    };
    let door = door::find(&ask.job, &ask.place).await?;
    let bytes = door.reader()?.slice(&selection.array, items, format.name()).await?;
    match &ask.output {
        Some(path) => write(path, &bytes),
        None => std::io::stdout().write_all(&bytes).map_err(|source| Error::Write { path: "standard output".into(), source }),
    }
}

/// Writes a file whole: under another name beside it, then renamed.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    chunkserver::worker::write_whole(path, &std::process::id().to_string(), bytes)
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

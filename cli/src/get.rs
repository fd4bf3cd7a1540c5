//! `arrayjob get`: a slice of a served job, to a file or to standard output.

use crate::args::Get;
use crate::cluster;
use crate::console::print;
use crate::error::Error;
use crate::files::write;
use api::selection::Selection;
use formats::encode::Format;

/// Reads a slice and writes it.
///
/// # Errors
/// The selection is invalid, the job is missing or refuses the request, or the file is not writable.
pub async fn get(args: Get) -> Result<(), Error> {
    let selection = Selection::parse(&args.selection).map_err(|error| Error::Refused(error.to_string()))?;
    // The server parses the items again, against the shape of the array.
    let items = args.selection.trim().strip_prefix(&selection.array).unwrap_or_default().trim();
    let items = items.strip_prefix('[').and_then(|items| items.strip_suffix(']')).unwrap_or_default();
    let format = match &args.output {
        Some(path) => Format::from_path(path).map_err(|error| Error::Refused(error.to_string()))?,
        None => Format::Json,
    };
    let connection = cluster::find(&args.job, &args.cluster).await?;
    let bytes = connection.reader()?.slice(&selection.array, items, format.name()).await?;
    match &args.output {
        Some(path) => write(path, &bytes),
        None => print(&bytes),
    }
}

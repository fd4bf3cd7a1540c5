//! Reads files of `file://` URLs.

use super::BodyRange;
use super::error::{Failure, Reason};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use url::Url;

pub(super) async fn read(url: &Url, range: Option<BodyRange>, max_bytes: u64, into: &mut Vec<u8>) -> Result<(), Failure> {
    let Ok(path) = url.to_file_path() else {
        return Err(Reason::File { message: "a file URL has three slashes, for example file:///data/0.png" }.into());
    };
    // The blocking thread takes the buffer and returns it: one copy, no allocation.
    let mut buffer = std::mem::take(into);
    let task = tokio::task::spawn_blocking(move || {
        let result = read_now(&path, range, max_bytes, &mut buffer);
        (buffer, result)
    });
    let (buffer, result) = task.await.map_err(|e| Failure::with_source(Reason::File { message: "the reading thread was stopped" }, e))?;
    *into = buffer;
    result
}

fn read_now(path: &Path, range: Option<BodyRange>, max_bytes: u64, into: &mut Vec<u8>) -> Result<(), Failure> {
    // Checked before opening: opening a pipe would wait for its other end.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Reason::File { message: "the path is a directory or a device" }.into());
    }
    let (start, length) = match range {
        None => (0, metadata.len()),
        Some(BodyRange::From(start, wanted)) => (start, metadata.len().saturating_sub(start).min(wanted.unwrap_or(u64::MAX))),
        Some(BodyRange::Last(wanted)) => (metadata.len().saturating_sub(wanted), wanted.min(metadata.len())),
    };
    if length > max_bytes {
        return Err(Reason::TooLarge { limit: max_bytes }.into());
    }
    into.reserve_exact(length as usize);
    let mut file = File::open(path).map_err(failed)?;
    // The file may grow while it is read.
    let limit = if range.is_some() { length } else { max_bytes.saturating_add(1) };
    if start > 0 {
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
    }
    let read = file.take(limit).read_to_end(into).map_err(failed)?;
    if read as u64 > max_bytes {
        return Err(Reason::TooLarge { limit: max_bytes }.into());
    }
    Ok(())
}

fn failed(error: io::Error) -> Failure {
    let message = match error.kind() {
        // A path below a file does not exist either.
        ErrorKind::NotFound | ErrorKind::NotADirectory => return Failure::with_source(Reason::NoFile, error),
        ErrorKind::PermissionDenied => "permission denied",
        _ => "reading failed",
    };
    Failure::with_source(Reason::File { message }, error)
}

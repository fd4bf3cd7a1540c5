//! A `file://` URL comes in, the file's bytes go out.

use super::error::{Failure, Reason};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use url::Url;

pub(super) async fn read(url: &Url, max_bytes: u64, into: &mut Vec<u8>) -> Result<(), Failure> {
    let Ok(path) = url.to_file_path() else {
        return Err(Reason::File { what: "a file URL has three slashes, as in file:///data/0.png" }.into());
    };
    // The buffer goes to the blocking thread and back: one copy, no allocation.
    let mut buffer = std::mem::take(into);
    let task = tokio::task::spawn_blocking(move || {
        let result = read_now(&path, max_bytes, &mut buffer);
        (buffer, result)
    });
    let (buffer, result) = task.await.map_err(|e| Failure::caused(Reason::File { what: "the reader was stopped" }, e))?;
    *into = buffer;
    result
}

fn read_now(path: &Path, max_bytes: u64, into: &mut Vec<u8>) -> Result<(), Failure> {
    // Asked before opening, which would wait for the other end of a pipe.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Reason::File { what: "it is a directory or a device" }.into());
    }
    if metadata.len() > max_bytes {
        return Err(Reason::TooLarge { limit: max_bytes }.into());
    }
    into.reserve_exact(metadata.len() as usize);
    let file = File::open(path).map_err(failed)?;
    // A file may grow while it is read.
    let read = file.take(max_bytes.saturating_add(1)).read_to_end(into).map_err(failed)?;
    if read as u64 > max_bytes {
        return Err(Reason::TooLarge { limit: max_bytes }.into());
    }
    Ok(())
}

fn failed(error: io::Error) -> Failure {
    let what = match error.kind() {
        ErrorKind::NotFound => "there is none of this name",
        ErrorKind::PermissionDenied => "permission denied",
        _ => "reading failed",
    };
    Failure::caused(Reason::File { what }, error)
}

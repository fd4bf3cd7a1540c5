//! Reads files of `file://` URLs.

use super::error::{Failure, Reason};
use super::{BodyRange, Got};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use url::Url;

/// Reads the file of `url`, which is parsed from `given`.
pub(super) async fn read(url: &Url, given: &str, range: Option<BodyRange>, max_bytes: u64, into: &mut Vec<u8>) -> Result<Got, Failure> {
    let Ok(parsed) = url.to_file_path() else {
        return Err(Reason::File { message: "a file URL has three slashes, for example file:///data/0.png" }.into());
    };
    let given = given.strip_prefix("file://").filter(|path| path.starts_with('/')).map(str::to_owned);
    // The blocking thread takes the buffer and returns it: one copy, no allocation.
    let mut buffer = std::mem::take(into);
    let task = tokio::task::spawn_blocking(move || {
        let path = given.map_or(parsed, |given| resolve(&given));
        let result = read_now(&path, range, max_bytes, &mut buffer);
        (buffer, result)
    });
    let (buffer, result) = task.await.map_err(|e| Failure::with_source(Reason::File { message: "the reading thread was stopped" }, e))?;
    *into = buffer;
    result
}

/// The path in a file URL. A parser of URLs replaces backslashes and removes tabs, which are valid in names, so the path is read as given.
/// Of a name with escapes, the decoded form comes first; a folder may also really be named `50%20power`.
fn resolve(given: &str) -> PathBuf {
    let given = given.split(['?', '#']).next().unwrap_or_default();
    let mut path = PathBuf::from("/");
    for name in given.split('/').filter(|name| !name.is_empty()) {
        let decoded = decoded(name.as_bytes());
        let first = path.join(OsStr::from_bytes(&decoded));
        path = if decoded != name.as_bytes() && !first.exists() && path.join(name).exists() { path.join(name) } else { first };
    }
    path
}

/// Decodes escapes such as `%20`; an escape of a slash stays, as it is no part of a name.
fn decoded(name: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16)).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(name.len());
    let mut at = 0;
    while at < name.len() {
        let escape = digit(name.get(at + 1)).zip(digit(name.get(at + 2))).map(|(high, low)| high << 4 | low);
        match escape.filter(|byte| name[at] == b'%' && !b"/\0".contains(byte)) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(name[at]);
                at += 1;
            }
        }
    }
    out
}

fn read_now(path: &Path, range: Option<BodyRange>, max_bytes: u64, into: &mut Vec<u8>) -> Result<Got, Failure> {
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
    Ok(Got { exact: true, total: Some(metadata.len()), html: false })
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

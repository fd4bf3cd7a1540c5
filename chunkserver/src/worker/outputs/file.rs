//! An output that is one file or one object: encoded in memory, then written as a whole.

use super::{Error, blocking, sink};
use crate::objects::{Access, Error as OpenError};
use crate::results::{Deadline, Gathered, read};
use crate::share::Share;
use api::job::Output;
use api::selection::Selection;
use formats::encode::{self, ArrayRef, Format};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use transport::client::Client;
use url::Url;

/// Gathers, encodes and writes the output. Returns the written bytes.
pub(super) async fn write(client: &Client, share: &Arc<Share>, access: &Access, output: &Output, format: Format) -> Result<u64, Error> {
    // Opened before the read, so that a wrong URL is reported first.
    let location = access.open(&output.url)?;
    let selection = Selection::parse(&output.select)?;
    let Gathered { element, shape, data, .. } = read(client, share, &selection.array, &selection.items, Deadline::NEVER).await?;
    let bytes = blocking(move || Ok(encode::encode(&ArrayRef { element, shape: &shape, data: &data }, format)?)).await?;
    let length = bytes.len() as u64;
    match local_path(&output.url) {
        Some(path) => {
            let uid = share.job.uid.clone();
            blocking(move || write_whole(&path, &uid, &bytes).map_err(|source| Error::Io { path, source })).await?;
        }
        None => sink::put(location.store.as_ref(), &location.path, bytes.into()).await?,
    }
    if let Some(counter) = &share.counters.write {
        counter.done(1, length);
    }
    Ok(length)
}

/// Removes an incomplete file.
pub(super) fn discard(output: &Output, uid: &str) -> Result<(), Error> {
    let Some(path) = local_path(&output.url).map(|path| partial_path(&path, uid)).filter(|path| path.exists()) else { return Ok(()) };
    std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })
}

/// The path of a `file://` URL; `None` for other URLs.
pub(super) fn local_path(url: &str) -> Option<PathBuf> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "file")?;
    url.to_file_path().ok()
}

/// The folder of a `file://` URL, if local files are permitted; `None` for other URLs.
pub(super) fn local_folder(access: &Access, url: &str) -> Result<Option<PathBuf>, OpenError> {
    access.open(url).map(|_| local_path(url))
}

/// The path of an incomplete output.
pub(super) fn partial_path(path: &Path, uid: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial-{uid}"))
}

/// Writes a file under a temporary name, which contains `uid`, in the same folder, then renames the file.
///
/// # Errors
/// When the file cannot be written. The temporary file is then removed.
pub fn write_whole(path: &Path, uid: &str, bytes: &[u8]) -> std::io::Result<()> {
    let partial = partial_path(path, uid);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // The first error is returned, not an error of the removal.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_completely_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_whole(&path, "u", b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(write_whole(&folder.path().join("no/where.npy"), "u", b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

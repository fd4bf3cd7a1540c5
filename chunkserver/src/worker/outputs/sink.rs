//! The target of the objects of a Zarr array: a local folder, or a location in an object store.

use super::{Error, blocking};
use crate::objects::{self, Location, StoreErrorKind};
use api::words::chain;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Part size of a multipart upload, in bytes. Smaller objects are written in one request.
const PART_BYTES: usize = 16 << 20;
/// Concurrent parts of a multipart upload.
const CONCURRENT_PARTS: usize = 4;

/// The target of objects.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    /// Files below a folder.
    Folder(PathBuf),
    /// Objects below a location in a store.
    Store(Location),
}

impl Sink {
    /// Writes an object atomically.
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(key);
                blocking(move || put_file(&path, &bytes)).await
            }
            Self::Store(location) => put(location.store.as_ref(), &location.below(key), bytes.into()).await,
        }
    }

    /// The content of an object; `None` if the object does not exist.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Folder(folder) => match std::fs::read(folder.join(key)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if is_missing(&error) => Ok(None),
                Err(source) => Err(Error::Io { path: folder.join(key), source }),
            },
            Self::Store(location) => {
                let path = location.below(key);
                let got = async { location.store.get(&path).await?.bytes().await };
                match got.await {
                    Ok(bytes) => Ok(Some(bytes.to_vec())),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(source) => Err(failed(&path, &source)),
                }
            }
        }
    }

    /// All keys with the sizes of their objects in bytes. Empty for a store that does not support listing, for example a plain HTTP server.
    pub(super) async fn list(&self) -> Result<HashMap<String, u64>, Error> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || {
                    let mut found = HashMap::new();
                    list_folder(&folder, "", &mut found).map_err(|source| Error::Io { path: folder.clone(), source })?;
                    Ok(found)
                })
                .await
            }
            Self::Store(location) => {
                let listed: Result<Vec<_>, _> = location.store.list(Some(&location.path)).try_collect().await;
                let below = |key: &Key| -> Option<String> {
                    let parts: Vec<String> = key.prefix_match(&location.path)?.map(|part| part.as_ref().to_owned()).collect();
                    Some(parts.join("/"))
                };
                match listed {
                    Ok(objects) => Ok(objects.iter().filter_map(|object| Some((below(&object.location)?, object.size))).collect()),
                    Err(error) if self.may_not_list() => {
                        tracing::debug!(%error, "the store does not support listing");
                        Ok(HashMap::new())
                    }
                    Err(source) => Err(failed(&location.path, &source)),
                }
            }
        }
    }

    /// Whether the store possibly does not support listing.
    pub(super) fn may_not_list(&self) -> bool {
        matches!(self, Self::Store(location) if location.shown.starts_with("http"))
    }

    /// Removes an object, if it exists.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => match std::fs::remove_file(folder.join(key)) {
                Err(source) if !is_missing(&source) => Err(Error::Io { path: folder.join(key), source }),
                _ => Ok(()),
            },
            Self::Store(location) => match location.store.delete(&location.below(key)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(failed(&location.below(key), &source)),
            },
        }
    }
}

/// Writes an object in one request, or in a multipart upload, which is atomic too.
pub(super) async fn put(store: &dyn ObjectStore, path: &Key, bytes: Bytes) -> Result<(), Error> {
    let failed = |source| failed(path, &source);
    if bytes.len() <= PART_BYTES {
        return put_whole(store, path, bytes).await.map_err(failed);
    }
    let upload = match store.put_multipart(path).await {
        Ok(upload) => upload,
        // Plain HTTP does not support multipart uploads.
        Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
            return put_whole(store, path, bytes).await.map_err(failed);
        }
        Err(source) => return Err(failed(source)),
    };
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    for start in (0..bytes.len()).step_by(PART_BYTES) {
        upload.wait_for_capacity(CONCURRENT_PARTS).await.map_err(failed)?;
        upload.put(bytes.slice(start..bytes.len().min(start + PART_BYTES)));
    }
    // `finish` also aborts a failed upload.
    upload.finish().await.map(drop).map_err(failed)
}

/// Writes an object in one request, after requests that create the folders on WebDAV servers.
async fn put_whole(store: &dyn ObjectStore, path: &Key, bytes: Bytes) -> Result<(), object_store::Error> {
    // For each folder, the request may fail once because another writer has created the folder at the same time.
    for _ in path.parts() {
        match store.put(path, bytes.clone().into()).await {
            Err(error) if folder_exists(&error) => {}
            other => return other.map(drop),
        }
    }
    store.put(path, bytes.into()).await.map(drop)
}

/// Whether a folder already exists: of two writers that create one folder, the client library returns this error to one writer.
fn folder_exists(error: &object_store::Error) -> bool {
    let message = chain(error);
    message.contains("MKCOL") && message.contains("405")
}

fn failed(path: &Key, source: &object_store::Error) -> Error {
    let (key, message) = (path.to_string(), objects::store_message(source));
    match objects::store_error_kind(source) {
        StoreErrorKind::MissingKeys => Error::MissingKeys { key, message },
        StoreErrorKind::Refused => Error::Refused { key, message },
        StoreErrorKind::Other => Error::Store { key, message },
    }
}

/// Whether the file does not exist, or its path is below a file.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Whether a key is the temporary name of a file that a lost server did not complete.
pub(super) fn is_partial(key: &str) -> bool {
    key.rsplit('/').next().is_some_and(|name| name.starts_with('.') && name.contains(".partial-"))
}

/// Writes a file under a temporary name, which no other writer uses, and renames it: an existing file is complete.
fn put_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let name = format!("{}-{}", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(failed)?;
    super::write_whole(path, &name, bytes).map_err(failed)
}

fn list_folder(folder: &Path, prefix: &str, found: &mut HashMap<String, u64>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if is_missing(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list_folder(&entry.path(), &format!("{key}/"), found)?;
            continue;
        }
        match entry.metadata() {
            Ok(metadata) => drop(found.insert(key, metadata.len())),
            // Another server has renamed the file since the listing.
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

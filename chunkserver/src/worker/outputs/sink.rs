//! Where the objects of a Zarr array go: a folder of this machine, or a place in an object store.

use super::{Error, blocking};
use crate::objects::{self, Complaint, Location};
use api::words::chain;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Larger objects are put in parts of this size.
const PART_BYTES: usize = 16 << 20;
/// Parts of one object on their way at a time.
const PARTS_AT_ONCE: usize = 4;

/// Where objects go.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    /// Below a folder.
    Folder(PathBuf),
    /// Below a place in a store.
    Store(Location),
}

impl Sink {
    /// Puts an object in its place, whole.
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(key);
                blocking(move || put_file(&path, &bytes)).await
            }
            Self::Store(place) => put(place.store.as_ref(), &place.below(key), bytes.into()).await,
        }
    }

    /// What an object holds; none when there is no such object.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Folder(folder) => match std::fs::read(folder.join(key)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(source) => Err(Error::Io { path: folder.join(key), source }),
            },
            Self::Store(place) => {
                let path = place.below(key);
                let got = async { place.store.get(&path).await?.bytes().await };
                match got.await {
                    Ok(bytes) => Ok(Some(bytes.to_vec())),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(source) => Err(failed(&path, &source)),
                }
            }
        }
    }

    /// All objects, by key, with their sizes in bytes. A store that cannot be listed, as most that speak plain HTTP, shows none.
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
            Self::Store(place) => {
                let listed: Result<Vec<_>, _> = place.store.list(Some(&place.path)).try_collect().await;
                let below = |key: &Key| -> Option<String> {
                    let parts: Vec<String> = key.prefix_match(&place.path)?.map(|part| part.as_ref().to_owned()).collect();
                    Some(parts.join("/"))
                };
                match listed {
                    Ok(objects) => Ok(objects.iter().filter_map(|object| Some((below(&object.location)?, object.size))).collect()),
                    Err(error) if self.is_unlisted() => {
                        tracing::debug!(%error, "a store that cannot be listed");
                        Ok(HashMap::new())
                    }
                    Err(source) => Err(failed(&place.path, &source)),
                }
            }
        }
    }

    /// Whether the store may be one that cannot be listed.
    pub(super) fn is_unlisted(&self) -> bool {
        matches!(self, Self::Store(place) if place.shown.starts_with("http"))
    }

    /// Removes an object, which need not be there.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => match std::fs::remove_file(folder.join(key)) {
                Err(source) if !is_absent(&source) => Err(Error::Io { path: folder.join(key), source }),
                _ => Ok(()),
            },
            Self::Store(place) => match place.store.delete(&place.below(key)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(failed(&place.below(key), &source)),
            },
        }
    }
}

/// Puts an object in its place: in one request, or in parts that become an object all at once.
pub(super) async fn put(store: &dyn ObjectStore, path: &Key, bytes: Bytes) -> Result<(), Error> {
    let failed = |source| failed(path, &source);
    if bytes.len() <= PART_BYTES {
        return put_whole(store, path, bytes).await.map_err(failed);
    }
    let upload = match store.put_multipart(path).await {
        Ok(upload) => upload,
        // Plain HTTP has no parts.
        Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
            return put_whole(store, path, bytes).await.map_err(failed);
        }
        Err(source) => return Err(failed(source)),
    };
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    for start in (0..bytes.len()).step_by(PART_BYTES) {
        upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
        upload.put(bytes.slice(start..bytes.len().min(start + PART_BYTES)));
    }
    // A failed upload is taken back by this too.
    upload.finish().await.map(drop).map_err(failed)
}

/// In one request, and those that make the folders of WebDAV.
async fn put_whole(store: &dyn ObjectStore, path: &Key, bytes: Bytes) -> Result<(), object_store::Error> {
    // Each folder may be lost to another writer once, and is there then.
    for _ in path.parts() {
        match store.put(path, bytes.clone().into()).await {
            Err(error) if is_made_by_another(&error) => {}
            other => return other.map(drop),
        }
    }
    store.put(path, bytes.into()).await.map(drop)
}

/// Whether a folder could not be made because it is there. Of two writers who make the same one, the store's client lets one fail.
fn is_made_by_another(error: &object_store::Error) -> bool {
    let said = chain(error);
    said.contains("MKCOL") && said.contains("405")
}

fn failed(path: &Key, source: &object_store::Error) -> Error {
    let (key, said) = (path.to_string(), objects::said(source));
    match objects::complaint(source) {
        Complaint::Keyless => Error::Keyless { key, said },
        Complaint::Refused => Error::Refused { key, said },
        Complaint::Other => Error::Store { key, said },
    }
}

/// Not there, or below something that is no folder.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Whether an object is half a file, left by a server that was lost while it wrote.
pub(super) fn is_half(key: &str) -> bool {
    key.rsplit('/').next().is_some_and(|name| name.starts_with('.') && name.contains(".partial-"))
}

/// By another name first, which no other writer has: a file that is there is whole.
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
        Err(error) if is_absent(&error) => return Ok(()),
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
            // Another server has given it its name meanwhile.
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

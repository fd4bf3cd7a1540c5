//! An output that is a Zarr v3 array (<https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html>). One server opens the array, each server
//! writes the objects that it owns, and one server closes the array by writing the metadata.
//!
//! In an object store, objects are written to their final keys, beside a marker with the job's uid. While the marker exists, the array is not
//! readable and existing objects count as written: a replaced server writes only missing objects. Files are written to a folder beside the target,
//! which is then renamed to the target.

use super::file::{local_folder, partial_path};
use super::object::ObjectShape;
use super::sink::{Sink, is_partial};
use super::{Error, blocking};
use crate::objects::Access;
use crate::results::{Deadline, read};
use crate::share::Share;
use api::job::{Output, is_zarr_root};
use api::output_grid::OutputGrid;
use formats::encode::zarr;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use transport::client::Client;

/// Key of the marker: contains the uid of the job that writes the array, until the array is complete.
const MARKER: &str = ".arrayjob-partial";
const METADATA: &str = "zarr.json";
/// Metadata keys of Zarr v2.
const OLD_METADATA: [&str; 4] = [".zarray", ".zattrs", ".zgroup", ".zmetadata"];
/// Concurrent requests that remove objects.
const CONCURRENT_DELETES: usize = 16;

/// The target of an array.
#[derive(Debug)]
struct ArrayTarget {
    /// Receives the objects.
    sink: Sink,
    /// The final folder, to which the sink's folder is renamed; `None` in an object store.
    folder: Option<PathBuf>,
    /// The URL for errors, without secrets.
    shown: String,
}

impl ArrayTarget {
    fn of(access: &Access, output: &Output, uid: &str) -> Result<Self, Error> {
        let folder = local_folder(access, &output.url)?;
        let location = access.open(&output.url)?;
        let shown = location.shown.trim_end_matches('/').to_owned();
        let sink = folder.as_deref().map_or_else(|| Sink::Store(location), |folder| Sink::Folder(partial_path(folder, uid)));
        Ok(Self { sink, folder, shown })
    }

    /// The final location of the array, for reading the existing objects.
    fn published(&self) -> Sink {
        self.folder.as_ref().map_or_else(|| self.sink.clone(), |folder| Sink::Folder(folder.clone()))
    }

    /// Whether this job has opened the array and not closed it.
    async fn is_open(&self, uid: &str) -> Result<bool, Error> {
        Ok(self.sink.get(MARKER).await?.is_some_and(|marker| marker == uid.as_bytes()))
    }
}

/// Opens the array. An existing array at the target becomes unreadable and is removed; other data are never removed.
pub(super) async fn open(access: &Access, output: &Output, uid: &str) -> Result<(), Error> {
    open_target(&ArrayTarget::of(access, output, uid)?, uid).await
}

async fn open_target(target: &ArrayTarget, uid: &str) -> Result<(), Error> {
    if target.is_open(uid).await? {
        return Ok(());
    }
    let existing = replaceable(target).await?;
    if target.folder.is_none() {
        // The metadata first, so that the array is not readable while its objects are removed.
        for key in [METADATA].into_iter().chain(OLD_METADATA) {
            if existing.iter().any(|existing| existing == key) {
                target.sink.delete(key).await?;
            }
        }
    }
    target.sink.put(MARKER, uid.as_bytes().to_vec()).await?;
    if target.folder.is_none() {
        let old = existing.iter().filter(|key| *key != MARKER);
        futures_util::stream::iter(old.map(Ok)).try_for_each_concurrent(CONCURRENT_DELETES, |key| target.sink.delete(key)).await?;
    }
    Ok(())
}

/// The existing keys at the target, if they may be replaced: a complete or incomplete array, or nothing.
async fn replaceable(target: &ArrayTarget) -> Result<Vec<String>, Error> {
    let published = target.published();
    let metadata: Option<Value> = published.get(METADATA).await?.and_then(|text| serde_json::from_slice(&text).ok());
    let existing: Vec<String> = published.list().await?.into_keys().collect();
    let has = |key: &str| existing.iter().any(|existing| existing == key);
    let kind = metadata.as_ref().and_then(|metadata| metadata["node_type"].as_str());
    if kind == Some("group") || has(".zgroup") {
        return Err(Error::Group(target.shown.clone()));
    }
    let is_array = kind == Some("array") || has(".zarray") || has(MARKER) || existing.is_empty();
    let is_file = target.folder.as_deref().is_some_and(Path::is_file);
    if is_array && !is_file { Ok(existing) } else { Err(Error::Foreign(target.shown.clone())) }
}

/// Writes every missing object that this server owns. Returns the written bytes.
pub(super) async fn write_part(client: &Client, share: &Arc<Share>, access: &Access, output: &Output) -> Result<u64, Error> {
    let target = ArrayTarget::of(access, output, &share.job.uid)?;
    if !target.is_open(&share.job.uid).await? {
        // The array is closed: this server replaces a lost one, and all objects are written.
        return Ok(0);
    }
    let grid = OutputGrid::new(output, &share.arrays, &share.plan.partition)?;
    let existing = target.sink.list().await?;
    let (target, grid, existing) = (&target, &grid, &existing);
    let objects = grid.objects_of(share.id, &share.plan.partition);
    let written = objects.map(|index| async move {
        let key = zarr::chunk_key(&index);
        let (items, counts) = grid.items(&index);
        let shape = ObjectShape { chunk: &grid.chunks, shard: grid.shards.as_deref(), item: grid.array.element.size() };
        let bytes = shape.object_bytes(&counts) as u64;
        let new = existing.get(&key) != Some(&bytes);
        if new {
            let gathered = read(client, share, &grid.array.name, &items, Deadline::NEVER).await?;
            target.sink.put(&key, shape.object(gathered.data, &counts)).await?;
        }
        if let Some(counter) = &share.counters.write {
            counter.done(1, bytes);
        }
        Ok::<_, Error>(if new { bytes } else { 0 })
    });
    let written = futures_util::stream::iter(written).buffer_unordered(grid.at_once());
    written.try_fold(0, |sum, bytes| std::future::ready(Ok(sum + bytes))).await
}

/// Closes the array: writes the metadata, which make the array readable.
pub(super) async fn close(access: &Access, share: &Share, output: &Output) -> Result<(), Error> {
    let uid = &share.job.uid;
    let target = ArrayTarget::of(access, output, uid)?;
    let grid = OutputGrid::new(output, &share.arrays, &share.plan.partition)?;
    let (names, none) = (grid.names(), Map::new());
    let metadata = match &grid.shards {
        None => zarr::array_metadata(&grid.shape, &grid.chunks, grid.array.element, &names, &none, None),
        Some(shards) => zarr::sharded_metadata(&grid.shape, shards, &grid.chunks, grid.array.element, &names, &none),
    }
    .into_bytes();
    if target.is_open(uid).await? {
        check_complete(&target.sink, &grid, share, &target.shown).await?;
        target.sink.put(METADATA, metadata).await?;
        if let (Sink::Folder(partial), Some(folder)) = (&target.sink, &target.folder) {
            for key in target.sink.list().await?.keys().filter(|key| is_partial(key)) {
                target.sink.delete(key).await?;
            }
            let (partial, folder) = (partial.clone(), folder.clone());
            blocking(move || replace(&partial, &folder)).await?;
        }
    } else if target.published().get(METADATA).await?.is_none_or(|existing| existing != metadata) {
        return Err(Error::Gone { url: target.shown, key: METADATA.into() });
    } else {
        // This server replaces a server that was lost after closing the array.
        check_complete(&target.published(), &grid, share, &target.shown).await?;
    }
    // Last: if the server is lost before this, the array is still open, or complete at its final location.
    target.published().delete(MARKER).await?;
    if let Some(parent) = parent(access, output)?.filter(|_| !is_zarr_root(output.path()))
        && parent.get(METADATA).await?.is_none()
    {
        parent.put(METADATA, zarr::empty_group_metadata().into_bytes()).await?;
    }
    Ok(())
}

/// Checks that every object exists. Stores without support for listing are not checked.
async fn check_complete(sink: &Sink, grid: &OutputGrid, share: &Share, shown: &str) -> Result<(), Error> {
    let existing = sink.list().await?;
    let missing = share
        .plan
        .ids()
        .flat_map(|id| grid.objects_of(id, &share.plan.partition))
        .find(|index| !existing.contains_key(&zarr::chunk_key(index)));
    match missing {
        Some(index) if !(sink.may_not_list() && existing.is_empty()) => {
            Err(Error::Gone { url: shown.to_owned(), key: zarr::chunk_key(&index) })
        }
        _ => Ok(()),
    }
}

/// The group that contains the array.
fn parent(access: &Access, output: &Output) -> Result<Option<Sink>, Error> {
    let Some((url, _)) = output.url.trim_end_matches('/').rsplit_once('/') else { return Ok(None) };
    let folder = local_folder(access, url)?;
    Ok(Some(folder.map_or_else(|| access.open(url).map(Sink::Store), |folder| Ok(Sink::Folder(folder)))?))
}

/// Replaces the target with the folder `partial`.
fn replace(partial: &Path, target: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { path: target.to_owned(), source };
    if target.is_dir() {
        std::fs::remove_dir_all(target).map_err(failed)?;
    }
    std::fs::rename(partial, target).map_err(failed)
}

/// Removes an incomplete array of this job.
pub(super) async fn discard(access: &Access, output: &Output, uid: &str) -> Result<(), Error> {
    let target = ArrayTarget::of(access, output, uid)?;
    if let Sink::Folder(partial) = &target.sink {
        return match std::fs::remove_dir_all(partial) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path: partial.clone(), source }),
            _ => Ok(()),
        };
    }
    if !target.is_open(uid).await? {
        return Ok(());
    }
    let existing = target.sink.list().await?;
    let objects = existing.keys().filter(|key| *key != MARKER);
    futures_util::stream::iter(objects.map(Ok)).try_for_each_concurrent(CONCURRENT_DELETES, |key| target.sink.delete(key)).await?;
    target.sink.delete(MARKER).await
}

#[cfg(test)]
mod tests;

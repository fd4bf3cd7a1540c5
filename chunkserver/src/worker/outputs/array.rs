//! An output that is a Zarr v3 array. One server opens its place, each writes the objects that it owns, one closes it by writing
//! the metadata.
//!
//! In an object store objects go where they stay, beside a marker with the job's uid. While it is there nothing is readable, and
//! what there is counts as written: a server that is replaced writes only what is missing. Files go to a folder beside the target,
//! which then takes its place.

use super::file::{local_target, partial_path};
use super::fill::Shape;
use super::sink::{Sink, is_half};
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

/// Says whose objects these are, until the array is whole.
const MARKER: &str = ".arrayjob-partial";
const METADATA: &str = "zarr.json";
/// What makes an array or a group of the older format.
const OLD_METADATA: [&str; 4] = [".zarray", ".zattrs", ".zgroup", ".zmetadata"];
/// Objects removed at a time.
const AT_A_TIME: usize = 16;

/// The place of an array.
#[derive(Debug)]
struct Place {
    /// Where its objects go.
    sink: Sink,
    /// The folder that the sink's becomes, when it is a folder.
    target: Option<PathBuf>,
    /// What errors call it.
    shown: String,
}

impl Place {
    fn of(access: &Access, output: &Output, uid: &str) -> Result<Self, Error> {
        let target = local_target(access, &output.url)?;
        let place = access.open(&output.url)?;
        let shown = place.shown.trim_end_matches('/').to_owned();
        let sink = target.as_deref().map_or_else(|| Sink::Store(place), |target| Sink::Folder(partial_path(target, uid)));
        Ok(Self { sink, target, shown })
    }

    /// What is at the target now, to be read.
    fn target(&self) -> Sink {
        self.target.as_ref().map_or_else(|| self.sink.clone(), |target| Sink::Folder(target.clone()))
    }

    /// Whether this job has opened it, and has not closed it.
    async fn is_open(&self, uid: &str) -> Result<bool, Error> {
        Ok(self.sink.get(MARKER).await?.is_some_and(|marker| marker == uid.as_bytes()))
    }
}

/// Makes the place free: what was an array there can no longer be read, and nothing else is ever removed.
pub(super) async fn open(access: &Access, output: &Output, uid: &str) -> Result<(), Error> {
    open_place(&Place::of(access, output, uid)?, uid).await
}

async fn open_place(place: &Place, uid: &str) -> Result<(), Error> {
    if place.is_open(uid).await? {
        return Ok(());
    }
    let there = replaceable(place).await?;
    if place.target.is_none() {
        // First what makes it readable.
        for key in [METADATA].into_iter().chain(OLD_METADATA) {
            if there.iter().any(|there| there == key) {
                place.sink.delete(key).await?;
            }
        }
    }
    place.sink.put(MARKER, uid.as_bytes().to_vec()).await?;
    if place.target.is_none() {
        let old = there.iter().filter(|key| *key != MARKER);
        futures_util::stream::iter(old.map(Ok)).try_for_each_concurrent(AT_A_TIME, |key| place.sink.delete(key)).await?;
    }
    Ok(())
}

/// What is at the target, if it may be replaced: an array, or half of one.
async fn replaceable(place: &Place) -> Result<Vec<String>, Error> {
    let target = place.target();
    let metadata: Option<Value> = target.get(METADATA).await?.and_then(|text| serde_json::from_slice(&text).ok());
    let there: Vec<String> = target.list().await?.into_keys().collect();
    let has = |key: &str| there.iter().any(|there| there == key);
    let kind = metadata.as_ref().and_then(|metadata| metadata["node_type"].as_str());
    if kind == Some("group") || has(".zgroup") {
        return Err(Error::Group(place.shown.clone()));
    }
    let ours = kind == Some("array") || has(".zarray") || has(MARKER) || there.is_empty();
    let file = place.target.as_deref().is_some_and(Path::is_file);
    if ours && !file { Ok(there) } else { Err(Error::Foreign(place.shown.clone())) }
}

/// Writes every object that this server owns and that is not there yet; how many bytes.
pub(super) async fn write_part(client: &Client, share: &Arc<Share>, access: &Access, output: &Output) -> Result<u64, Error> {
    let place = Place::of(access, output, &share.job.uid)?;
    if !place.is_open(&share.job.uid).await? {
        // It was closed, and this server is another's replacement: all is written.
        return Ok(0);
    }
    let layout = OutputGrid::new(output, &share.arrays, &share.plan.partition)?;
    let there = place.sink.list().await?;
    let (place, layout, there) = (&place, &layout, &there);
    let objects = layout.objects_of(share.id, &share.plan.partition);
    let written = objects.map(|index| async move {
        let key = zarr::chunk_key(&index);
        let (items, counts) = layout.items(&index);
        let shape = Shape { chunk: &layout.chunks, shard: layout.shards.as_deref(), item: layout.array.element.size() };
        let bytes = shape.object_bytes(&counts) as u64;
        let new = there.get(&key) != Some(&bytes);
        if new {
            let gathered = read(client, share, &layout.array.name, &items, Deadline::NEVER).await?;
            place.sink.put(&key, shape.object(gathered.data, &counts)).await?;
        }
        if let Some(counter) = &share.counters.write {
            counter.done(1, bytes);
        }
        Ok::<_, Error>(if new { bytes } else { 0 })
    });
    let written = futures_util::stream::iter(written).buffer_unordered(layout.at_once());
    written.try_fold(0, |sum, bytes| std::future::ready(Ok(sum + bytes))).await
}

/// Writes the metadata, which makes the array readable.
pub(super) async fn close(access: &Access, share: &Share, output: &Output) -> Result<(), Error> {
    let uid = &share.job.uid;
    let place = Place::of(access, output, uid)?;
    let layout = OutputGrid::new(output, &share.arrays, &share.plan.partition)?;
    let (names, none) = (layout.names(), Map::new());
    let metadata = match &layout.shards {
        None => zarr::array_metadata(&layout.shape, &layout.chunks, layout.array.element, &names, &none, None),
        Some(shards) => zarr::sharded_metadata(&layout.shape, shards, &layout.chunks, layout.array.element, &names, &none),
    }
    .into_bytes();
    if place.is_open(uid).await? {
        whole(&place.sink, &layout, share, &place.shown).await?;
        place.sink.put(METADATA, metadata).await?;
        if let (Sink::Folder(partial), Some(target)) = (&place.sink, &place.target) {
            for half in place.sink.list().await?.keys().filter(|key| is_half(key)) {
                place.sink.delete(half).await?;
            }
            let (partial, target) = (partial.clone(), target.clone());
            blocking(move || replace(&partial, &target)).await?;
        }
    } else if place.target().get(METADATA).await?.is_none_or(|there| there != metadata) {
        return Err(Error::Gone { place: place.shown, key: METADATA.into() });
    } else {
        // The server that closed it was lost after that, and this is the one in its stead.
        whole(&place.target(), &layout, share, &place.shown).await?;
    }
    // Last: a server that is lost before this leaves an array that is open still, or in its place.
    place.target().delete(MARKER).await?;
    if let Some(parent) = parent(access, output)?.filter(|_| !is_zarr_root(output.path()))
        && parent.get(METADATA).await?.is_none()
    {
        parent.put(METADATA, zarr::empty_group_metadata().into_bytes()).await?;
    }
    Ok(())
}

/// Whether every object is there, in a store that can say so.
async fn whole(sink: &Sink, layout: &OutputGrid, share: &Share, shown: &str) -> Result<(), Error> {
    let there = sink.list().await?;
    let missing = share
        .plan
        .ids()
        .flat_map(|id| layout.objects_of(id, &share.plan.partition))
        .find(|index| !there.contains_key(&zarr::chunk_key(index)));
    match missing {
        Some(index) if !(sink.is_unlisted() && there.is_empty()) => {
            Err(Error::Gone { place: shown.to_owned(), key: zarr::chunk_key(&index) })
        }
        _ => Ok(()),
    }
}

/// The hierarchy that an array is in.
fn parent(access: &Access, output: &Output) -> Result<Option<Sink>, Error> {
    let Some((url, _)) = output.url.trim_end_matches('/').rsplit_once('/') else { return Ok(None) };
    let folder = local_target(access, url)?;
    Ok(Some(folder.map_or_else(|| access.open(url).map(Sink::Store), |folder| Ok(Sink::Folder(folder)))?))
}

/// The folder takes the place of what is there.
fn replace(partial: &Path, target: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { path: target.to_owned(), source };
    if target.is_dir() {
        std::fs::remove_dir_all(target).map_err(failed)?;
    }
    std::fs::rename(partial, target).map_err(failed)
}

/// Removes the half of an array that this job has begun.
pub(super) async fn discard(access: &Access, output: &Output, uid: &str) -> Result<(), Error> {
    let place = Place::of(access, output, uid)?;
    if let Sink::Folder(partial) = &place.sink {
        return match std::fs::remove_dir_all(partial) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path: partial.clone(), source }),
            _ => Ok(()),
        };
    }
    if !place.is_open(uid).await? {
        return Ok(());
    }
    let there = place.sink.list().await?;
    let objects = there.keys().filter(|key| *key != MARKER);
    futures_util::stream::iter(objects.map(Ok)).try_for_each_concurrent(AT_A_TIME, |key| place.sink.delete(key)).await?;
    place.sink.delete(MARKER).await
}

#[cfg(test)]
mod tests;

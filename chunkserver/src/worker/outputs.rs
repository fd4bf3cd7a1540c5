//! Outputs: a selection is gathered, encoded and written whole, by rename, so that nobody ever sees half of it.

use super::{Share, Worker, chain};
use crate::encode::zarr;
use crate::encode::{self, ArrayRef, Format};
use crate::exchange::Client;
use crate::results::{self, Gathered, read};
use api::job::Output;
use api::phase::reason;
use api::selection::{Axis, Item, Selection, resolve};
use futures_util::TryStreamExt as _;
use serde_json::Map;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Chunks of a Zarr array that are gathered at a time.
const CHUNKS_AT_A_TIME: usize = api::plan::CHUNKS_AT_A_TIME;
/// How often a selection is asked for while peers come and go.
const ATTEMPTS: u32 = 60;

#[derive(Debug, Error)]
enum Error {
    #[error("this server is one of a cluster, and a file here would be lost with it; read the array from the server instead")]
    LocalFile,
    #[error("cannot read the selection")]
    Read(#[from] results::Error),
    #[error(transparent)]
    Selection(#[from] api::selection::Error),
    #[error("it cannot be written in that format")]
    Encode(#[from] encode::Error),
    #[error("cannot write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Writes output `output`, or fails the job.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>, output: usize) {
    let Some(wanted) = share.job.outputs.get(output) else { return };
    // One after another: the plan has memory for the largest, not for all. It fails only when closed, which nobody does.
    let _turn = worker.writing.acquire().await;
    // Every output is a file so far.
    let written = if worker.surroundings.local_files { write(&worker.client, &share, wanted).await } else { Err(Error::LocalFile) };
    match written {
        Ok(()) => {
            share.counters.note_written(output);
            worker.tell();
        }
        Err(error) => worker.fail(
            &share,
            reason::OUTPUT_WRITE_FAILED,
            format!("output {} of {} failed: {}", wanted.path, wanted.select, chain(&error)),
        ),
    }
}

/// Reads, and asks again while peers are being replaced.
async fn read_patiently(client: &Client, share: &Arc<Share>, array: &str, items: &[Item]) -> Result<Gathered, results::Error> {
    let mut directions = share.directions.subscribe();
    for _ in 1..ATTEMPTS {
        match read(client, share, array, items).await {
            Err(error) if error.is_passing() => {
                // A new peer table ends the pause.
                let _ = tokio::time::timeout(Duration::from_secs(1), directions.changed()).await;
            }
            other => return other,
        }
    }
    read(client, share, array, items).await
}

async fn write(client: &Client, share: &Arc<Share>, output: &Output) -> Result<(), Error> {
    let selection = Selection::parse(&output.select)?;
    let path = Path::new(&output.path);
    if output.is_zarr() {
        return write_zarr(client, share, &selection, path).await;
    }
    let format = Format::from_path(path)?;
    let Gathered { element, shape, data } = read_patiently(client, share, &selection.array, &selection.items).await?;
    let (path, uid) = (path.to_owned(), share.job.uid.clone());
    blocking(move || {
        let bytes = encode::encode(&ArrayRef { element, shape: &shape, data: &data }, format)?;
        write_whole(&path, &uid, &bytes).map_err(|source| Error::Io { path, source })
    })
    .await
}

/// Where an output is before it is whole; who ends a job early removes these.
pub fn partial_path(path: &Path, uid: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial-{uid}"))
}

/// Runs file work apart from the threads that answer HTTP.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It ends early only when it panics or the runtime ends; either way nothing was written.
        Err(error) => Err(Error::Io { path: PathBuf::new(), source: std::io::Error::other(error) }),
    }
}

/// Writes a file under another name beside it, told apart by `uid`, then renames it.
///
/// # Errors
/// When it cannot be written; nothing is then left of it.
pub fn write_whole(path: &Path, uid: &str, bytes: &[u8]) -> std::io::Result<()> {
    let partial = partial_path(path, uid);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// Writes a Zarr v3 array, chunk by chunk, into a folder beside it, then renames that.
async fn write_zarr(client: &Client, share: &Arc<Share>, selection: &Selection, path: &Path) -> Result<(), Error> {
    let array =
        share.array(&selection.array).ok_or_else(|| results::Error::NoSuchArray { name: selection.array.clone(), known: String::new() })?;
    let axes = resolve(&selection.items, &array.shape)?;
    let shape = api::selection::shape(&axes);
    let kept: Vec<usize> = (0..axes.len()).filter(|&axis| axes[axis].kept).collect();
    let names: Vec<&str> = kept.iter().map(|&axis| array.axes[axis]).collect();
    let grid = array.chunks(&share.plan);
    let chunks: Vec<usize> = kept.iter().map(|&axis| grid[axis].min(axes[axis].count).max(1)).collect();
    let metadata = zarr::array_metadata(&shape, &chunks, array.element, &names, &Map::new(), None);
    let partial = partial_path(path, &share.job.uid);
    let leftover = partial.clone();
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    std::fs::create_dir_all(&partial).map_err(io(&partial))?;
    let written = async {
        let indices = chunk_indices(&shape, &chunks);
        futures_util::stream::iter(indices.into_iter().map(Ok))
            .try_for_each_concurrent(CHUNKS_AT_A_TIME, |index| {
                let (chunks, axes, kept, partial) = (&chunks, &axes, &kept, partial.clone());
                async move {
                    let part = chunk_axes(axes, kept, &index, chunks);
                    let items: Vec<Item> = part.iter().map(as_item).collect();
                    let gathered = read_patiently(client, share, &array.name, &items).await?;
                    let counts: Vec<usize> = kept.iter().map(|&axis| part[axis].count).collect();
                    let bytes = pad(gathered.data, array.element.size(), &counts, chunks);
                    let file = partial.join(zarr::chunk_key(&index));
                    blocking(move || {
                        let folder = file.parent().unwrap_or(&file);
                        std::fs::create_dir_all(folder).map_err(io(folder))?;
                        std::fs::write(&file, bytes).map_err(io(&file))
                    })
                    .await
                }
            })
            .await?;
        std::fs::write(partial.join("zarr.json"), metadata).map_err(io(&partial))?;
        let path = path.to_owned();
        blocking(move || {
            if path.is_dir() {
                std::fs::remove_dir_all(&path).map_err(io(&path))?;
            } else if path.exists() {
                std::fs::remove_file(&path).map_err(io(&path))?;
            }
            std::fs::rename(&partial, &path).map_err(io(&path))
        })
        .await
    }
    .await;
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_dir_all(&leftover);
    }
    written
}

/// The index of every chunk, in C order.
fn chunk_indices(shape: &[usize], chunks: &[usize]) -> Vec<Vec<usize>> {
    let mut indices = vec![Vec::new()];
    for (&size, &chunk) in shape.iter().zip(chunks) {
        indices = indices.into_iter().flat_map(|index| (0..size.div_ceil(chunk)).map(move |i| [index.as_slice(), &[i]].concat())).collect();
    }
    indices
}

/// The positions in the array that chunk `index` of the selection covers.
fn chunk_axes(axes: &[Axis], kept: &[usize], index: &[usize], chunks: &[usize]) -> Vec<Axis> {
    let mut part = axes.to_vec();
    for ((&axis, &i), &chunk) in kept.iter().zip(index).zip(chunks) {
        let first = i * chunk;
        part[axis].count = chunk.min(axes[axis].count - first);
        part[axis].start = axes[axis].at(first);
    }
    part
}

/// The slice that takes the positions of an axis.
fn as_item(axis: &Axis) -> Item {
    if !axis.kept {
        return Item::Index(axis.start as i64);
    }
    let stop = axis.start as i64 + axis.count as i64 * axis.step;
    // A stop below 0 would count from the end: "all the way down" is written as no stop.
    Item::Slice(Some(axis.start as i64), (stop >= 0).then_some(stop), Some(axis.step))
}

/// Edge chunks are full size in Zarr, padded with the fill value 0.
fn pad(data: Vec<u8>, item: usize, counts: &[usize], chunks: &[usize]) -> Vec<u8> {
    if counts == chunks {
        return data;
    }
    let mut padded = vec![0; chunks.iter().product::<usize>() * item];
    let (&last, outer) = counts.split_last().unwrap_or((&1, &[]));
    let rows = outer.iter().product::<usize>();
    for row in 0..rows {
        let (mut at, mut rest, mut scale) = (0, row, chunks.last().copied().unwrap_or(1));
        for axis in (0..outer.len()).rev() {
            at += rest % outer[axis] * scale;
            rest /= outer[axis];
            scale *= chunks[axis];
        }
        padded[at * item..][..last * item].copy_from_slice(&data[row * last * item..][..last * item]);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_chunks_are_padded() {
        assert_eq!(pad(vec![1, 2, 3, 4, 5, 6], 1, &[2, 3], &[2, 3]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(pad(vec![1, 2, 3, 4], 1, &[2, 2], &[3, 3]), [1, 2, 0, 3, 4, 0, 0, 0, 0]);
        assert_eq!(pad(vec![1, 2, 3, 4], 2, &[1, 2, 1], &[1, 2, 2]), [1, 2, 0, 0, 3, 4, 0, 0]);
        assert_eq!(pad(vec![7], 1, &[], &[]), [7]);
    }

    #[test]
    fn chunks_of_a_selection_cover_it() {
        let axes = resolve(&api::selection::parse_items("::-2,3").unwrap(), &[9, 5]).unwrap();
        let taken: Vec<usize> = chunk_indices(&[5], &[2])
            .iter()
            .flat_map(|index| {
                let part = chunk_axes(&axes, &[0], index, &[2]);
                let items: Vec<Item> = part.iter().map(as_item).collect();
                let again = resolve(&items, &[9, 5]).unwrap();
                assert_eq!(again[1].start, 3);
                (0..again[0].count).map(move |i| again[0].at(i)).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(taken, [8, 6, 4, 2, 0]);
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_whole(&path, "u", b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(write_whole(&folder.path().join("no/where.npy"), "u", b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

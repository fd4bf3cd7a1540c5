//! Frames on the scratch disk: read in parts, compared with their checksums, and copied from the same memory.

use super::content::Fragment;
use super::copy::copy_frame;
use super::on_blocking_thread;
use super::region::Region;
use super::undamaged::damaged;
use crate::share::Share;
use api::arrays::Base;
use api::geometry::cut;
use api::words::chain;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use std::ops::Range;
use std::sync::Arc;
use store::READ_BYTES;

/// Bytes of memory for a part of `times` selected times, each with `bytes` bytes, that is sent while it is read.
pub(super) fn part_bytes(times: usize, bytes: usize) -> usize {
    bytes * at_once(bytes).min(times)
}

/// Selected times that are read at a time, each with `bytes` bytes.
fn at_once(bytes: usize) -> usize {
    READ_BYTES.checked_div(bytes).unwrap_or(READ_BYTES).max(1)
}

/// The selected times `times` of this server's frames, with all rows and columns of the region: at once if they are few bytes, otherwise part by
/// part. All frames must be ready.
pub(super) async fn fragment(
    share: &Arc<Share>,
    base: Base,
    region: Region,
    times: Range<usize>,
    item: usize,
) -> Result<Fragment, super::Error> {
    let [_, rows, columns] = region.shape;
    let each = rows * columns * item;
    let part = {
        let share = Arc::clone(share);
        move |times: Range<usize>| {
            let share = Arc::clone(&share);
            on_blocking_thread(move || {
                let mut to = vec![0; times.len() * each];
                frames(&share, base, &region, times, &mut to).map_err(|damage| damaged(&share, damage))?;
                Ok(Bytes::from(to))
            })
        }
    };
    if times.len() <= at_once(each) {
        return part(times).await.map(Fragment::Ready);
    }
    let length = (times.len() * each) as u64;
    let first = times.start;
    let parts: Vec<Range<usize>> = cut(times.len(), at_once(each)).map(|part| first + part.start..first + part.end).collect();
    Ok(Fragment::Incoming { length, stream: stream::iter(parts).then(part).boxed() })
}

/// Copies the selected times `times` of this server's frames, with all rows and columns of the region.
///
/// # Errors
/// The first damage, in words.
pub(super) fn frames(share: &Share, base: Base, region: &Region, times: Range<usize>, to: &mut [u8]) -> Result<(), String> {
    let (store, spec) = share.frame_store(base);
    let Some(blocks) = store.disk() else { return Ok(()) };
    let (cube, [_, rows, columns], item) = (&region.cube, region.shape, spec.dtype.size());
    let (first_row, line) = (cube.y.at(0), spec.width * item);
    let bytes = first_row * line..(cube.y.at(cube.y.count - 1) + 1) * line;
    let checksums = share.stored_checksums.of_frames(base);
    // Consecutive frames are read together.
    let together = if cube.t.step == 1 { (READ_BYTES / bytes.len()).max(1) } else { 1 };
    let mut read = Vec::new();
    let mut to = to.chunks_exact_mut((rows * columns * item).max(1));
    for part in cut(times.len(), together) {
        let first = cube.t.at(times.start + part.start);
        let slot = first - share.frames().start;
        read.resize(part.len() * bytes.len(), 0);
        let done = blocks.read_frames(slot..slot + part.len(), &bytes, &mut read);
        done.map_err(|error| format!("frame {first} is not readable: {}", chain(&error)))?;
        for ((index, frame), to) in read.chunks_exact(bytes.len()).enumerate().zip(&mut to) {
            let is_damaged =
                |y: usize| checksums.is_some_and(|known| known.is_damaged(slot + index, y, &frame[(y - first_row) * line..][..line]));
            if (0..cube.y.count).any(|row| is_damaged(cube.y.at(row))) {
                return Err(format!("frame {} was damaged on the scratch disk of this server", first + index));
            }
            copy_frame(frame, first_row, spec, region, to);
        }
    }
    Ok(())
}

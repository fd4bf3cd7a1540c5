//! Frames on the scratch disk: read in parts, compared with their checksums, and copied from the same memory.

use super::content::Fragment;
use super::copy::copy_rows;
use super::on_blocking_thread;
use super::region::Region;
use super::undamaged::damaged;
use crate::share::Share;
use api::arrays::Base;
use api::geometry::cut;
use api::selection::Axis;
use api::words::chain;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use std::ops::Range;
use std::sync::Arc;
use store::READ_BYTES;

/// Bytes of a piece that is sent before the next one is read, unless one frame is larger.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes of memory for a part of `times` selected times, each with `bytes` bytes, that is sent while it is read.
pub(super) fn part_bytes(times: usize, bytes: usize) -> usize {
    bytes * at_once(bytes).min(times)
}

/// Selected times that are sent at a time, each with `bytes` bytes.
fn at_once(bytes: usize) -> usize {
    PIECE_BYTES.checked_div(bytes).unwrap_or(PIECE_BYTES).max(1)
}

/// The selected times `times` of this server's frames, with all rows and columns of the region: at once if they are few bytes, otherwise piece by
/// piece. All frames must be ready. A damage of the first piece is an error; a later one ends the stream.
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
    let (start, length) = (times.start, (times.len() * each) as u64);
    let mut parts = cut(times.len(), at_once(each)).map(|part| start + part.start..start + part.end).collect::<Vec<_>>().into_iter();
    let first = part(parts.next().unwrap_or(start..start)).await?;
    let stream = stream::once(std::future::ready(Ok(first))).chain(stream::iter(parts).then(part)).boxed();
    Ok(Fragment::Incoming { length, stream })
}

/// Copies the selected times `times` of this server's frames, with all rows and columns of the region.
///
/// # Errors
/// The first damage, in words.
pub(super) fn frames(share: &Share, base: Base, region: &Region, times: Range<usize>, to: &mut [u8]) -> Result<(), String> {
    let (store, spec) = share.frame_store(base);
    let Some(blocks) = store.disk() else { return Ok(()) };
    let (cube, [_, rows, columns], item) = (&region.cube, region.shape, spec.dtype.size());
    let line = spec.width * item;
    let checksums = share.stored_checksums.of_frames(base);
    let mut read = Vec::new();
    for ys in row_parts(&cube.y, line) {
        let first_row = cube.y.at(ys.start);
        let bytes = first_row * line..(cube.y.at(ys.end - 1) + 1) * line;
        // Consecutive frames are read together.
        let together = if cube.t.step == 1 { (READ_BYTES / bytes.len()).max(1) } else { 1 };
        let mut to = to.chunks_exact_mut((rows * columns * item).max(1));
        for part in cut(times.len(), together) {
            let first = cube.t.at(times.start + part.start);
            let slot = first - share.frames().start;
            read.resize(part.len() * bytes.len(), 0);
            let done = blocks.read_frames(slot..slot + part.len(), &bytes, &mut read);
            done.map_err(|error| format!("frame {first} is not readable: {}", chain(&error)))?;
            for ((index, frame), to) in read.chunks_exact(bytes.len()).enumerate().zip(&mut to) {
                let line_of = |y: usize| &frame[(y - first_row) * line..][..line];
                let is_damaged = |y: usize| checksums.is_some_and(|known| known.is_damaged(slot + index, y, line_of(y)));
                if ys.clone().any(|row| is_damaged(cube.y.at(row))) {
                    return Err(format!("frame {} was damaged on the scratch disk of this server", first + index));
                }
                copy_rows(frame, first_row, ys.clone(), spec, region, to);
            }
        }
    }
    Ok(())
}

/// The selected rows, in parts whose rows span at most one read of the disk, or one row.
fn row_parts(y: &Axis, line: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = start;
        let fits = |row: usize| (y.at(row) + 1 - y.at(first)) * line <= READ_BYTES;
        while start < y.count && (start == first || fits(start)) {
            start += 1;
        }
        (first < start).then_some(first..start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_rows_span_at_most_one_read() {
        let parts = |start, step, count, line| row_parts(&Axis { start, step, count, kept: true }, line).collect::<Vec<_>>();
        assert_eq!((parts(5, 1, 10, 100).len(), &parts(5, 1, 10, 100)[0]), (1, &(0..10)));
        assert_eq!(parts(0, 1, 5, READ_BYTES / 2), [0..2, 2..4, 4..5]);
        assert_eq!(parts(0, 3, 4, READ_BYTES / 4), [0..2, 2..4]);
        assert_eq!(parts(1, 1, 2, 2 * READ_BYTES), [0..1, 1..2]);
        assert!(parts(1, 1, 0, 9).is_empty());
    }
}

//! Compares elements on the scratch disk with their checksums shortly before a reader gets them.

use super::region::Cube;
use super::{Error, on_blocking_thread};
use crate::share::Share;
use api::arrays::{Base, Holder};
use api::geometry::intersect;
use api::phase::PhaseProgress;
use std::sync::Arc;

/// Checks this server's part of `cube`, all of whose slots are ready. While the job works, a damaged share is loaded again, which ends reads of
/// the share. After the end of the work, only the damaged elements are refused: the source may be gone, and other elements stay readable.
///
/// # Errors
/// When an element was damaged.
pub(super) async fn undamaged(share: &Arc<Share>, holder: Holder, cube: &Cube) -> Result<(), Error> {
    let stored = &share.stored_checksums;
    let is_stored = match holder {
        Holder::Frames(base) => stored.of_frames(base).is_some(),
        Holder::Tiles(base) => stored.of_tiles(base).is_some(),
        Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => false,
    };
    if !is_stored {
        return Ok(());
    }
    let (owner, cube) = (Arc::clone(share), *cube);
    match on_blocking_thread(move || damage(&owner, holder, &cube)).await {
        None => Ok(()),
        Some(damage) if share.counters.phases().iter().all(PhaseProgress::complete) || share.counters.failure().is_some() => {
            share.counters.add_checksum_mismatch();
            tracing::warn!(damage, "elements are not readable any more");
            Err(Error::Unreadable(damage))
        }
        Some(damage) => {
            share.damage.send_replace(Some(damage.clone()));
            Err(Error::Damaged(damage))
        }
    }
}

/// The first damage, in words.
fn damage(share: &Share, holder: Holder, cube: &Cube) -> Option<String> {
    match holder {
        Holder::Frames(base) => damaged_frame(share, base, cube).map(|frame| format!("frame {frame}")),
        Holder::Tiles(base) => damaged_tile(share, base, cube),
        Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => None,
    }
    .map(|what| format!("{what} was damaged on the scratch disk of this server"))
}

fn damaged_frame(share: &Share, base: Base, cube: &Cube) -> Option<usize> {
    let checksums = share.stored_checksums.of_frames(base)?;
    let ((store, spec), first) = (share.frame_store(base), share.frames().start);
    let line = spec.width * spec.dtype.size();
    let is_damaged = |&frame: &usize| {
        let slot = frame - first;
        let bytes = store.read(slot..slot + 1).unwrap_or_default();
        let mut rows = (0..cube.y.count).map(|row| cube.y.at(row));
        rows.any(|row| bytes.get(row * line..(row + 1) * line).is_some_and(|bytes| checksums.is_damaged(slot, row, bytes)))
    };
    cube.times_in(&share.frames()).map(|time| cube.t.at(time)).find(is_damaged)
}

fn damaged_tile(share: &Share, base: Base, cube: &Cube) -> Option<String> {
    let (plan, width) = (&share.plan, share.plan.partition.stack.width);
    let (checksums, store) = (share.stored_checksums.of_tiles(base)?, share.tile_store(base)?);
    let own = cube.pixels_of(plan, share.id);
    let mut q = own.start;
    while q < own.end {
        let band = cube.pixel(q, width) / plan.partition.band_pixels;
        let (pixels, slot) = (plan.band(band), band - share.bands().start);
        let tile = store.read(slot..slot + 1).unwrap_or_default();
        let in_band = intersect(&own, &cube.pixels_in(&pixels, width));
        let is_damaged = |line: usize, line_bytes: usize| {
            tile.get(line * line_bytes..(line + 1) * line_bytes).is_some_and(|bytes| checksums.is_damaged(slot, line, bytes))
        };
        let damaged = if base == Base::Spectrum {
            let mut lines = in_band.clone().map(|q| cube.pixel(q, width) - pixels.start);
            lines.any(|line| is_damaged(line, plan.spectrum_bytes()))
        } else {
            let row = pixels.len() * plan.partition.stack.dtype.size();
            (0..cube.t.count).any(|time| is_damaged(cube.t.at(time), row))
        };
        if damaged {
            return Some(format!("band {band}"));
        }
        q = in_band.end;
    }
    None
}

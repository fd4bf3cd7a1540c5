//! One server's part of a region of a three-dimensional array.

use super::content::{Content, Fragment};
use super::copy::{PixelOffsets, frames, tiles};
use super::deadline::unless_failed;
use super::frame_bytes::{frame_bytes, is_contiguous};
use super::region::{Cube, Extent, Region};
use super::undamaged::{damaged, undamaged};
use super::{Error, filled, on_blocking_thread, stored_frames};
use crate::share::Share;
use api::arrays::{Array, Holder};
use bytes::Bytes;
use std::sync::Arc;

/// This server's part of `region`; waits until the part is computed. Of frames: this server's selected times with all rows and columns of the
/// region's shape, (t, y, x). Of tiles: the whole region if this server owns all of it, otherwise this server's selected pixels, (t, pixel).
///
/// # Errors
/// When the job has failed before the part is computed, or the part was damaged on the scratch disk.
pub(super) async fn own_part(share: &Arc<Share>, array: &Array, region: &Region) -> Result<Fragment, Error> {
    let Some(extent) = region.extent(&share.plan, array.holder, share.id) else { return Ok(Fragment::Ready(Bytes::new())) };
    until_ready(share, array.holder, &region.cube).await?;
    undamaged(share, array.holder, &region.cube).await?;
    let item = region.aspect.element(array.element).size();
    let bytes = region.part_bytes(&extent, item);
    let (region, owner) = (*region, Arc::clone(share));
    match (array.holder, extent) {
        (Holder::Frames(base), Extent::Times(times)) => {
            if let Some(bytes) = frame_bytes(share, base, &region, &times) {
                return Ok(Fragment::Ready(bytes));
            }
            let (store, spec) = share.frame_store(base);
            if store.disk().is_some() && is_contiguous(spec, &region, &times) {
                return stored_frames::fragment(share, base, region, times, item).await;
            }
            if store.disk().is_some() {
                // A read waits for the disk, however few elements are selected.
                let read = on_blocking_thread(move || {
                    let mut part = vec![0; bytes];
                    stored_frames::frames(&owner, base, &region, times, &mut part).map(|()| part)
                });
                return read.await.map_err(|damage| damaged(share, damage)).map(|part| Fragment::Ready(part.into()));
            }
            Ok(Fragment::Ready(filled(bytes, move |part| frames(&owner, base, &region, times, part)).await.into()))
        }
        (Holder::Tiles(base), extent) => {
            let (offsets, own) = match extent {
                Extent::Pixels(own) => (PixelOffsets::packed(&own), own),
                _ => (PixelOffsets::within(&region), 0..region.cube.pixels()),
            };
            Ok(Fragment::Ready(filled(bytes, move |part| tiles(&owner, base, &region, own, &offsets, part)).await.into()))
        }
        _ => Ok(Fragment::Ready(Bytes::new())),
    }
}

/// This server's part of `region` for the reader of a peer. A copy of elements holds memory for parts until it is sent.
///
/// # Errors
/// As [`own_part`].
pub async fn part_for_peer(share: &Arc<Share>, array: &Array, region: &Region) -> Result<Content, Error> {
    let Some(extent) = region.extent(&share.plan, array.holder, share.id) else { return Ok(Content::from(Vec::<Fragment>::new())) };
    // Elements that are not computed yet take no memory.
    until_ready(share, array.holder, &region.cube).await?;
    if let (Holder::Frames(base), Extent::Times(times)) = (array.holder, &extent)
        && is_contiguous(share.frame_store(base).1, region, times)
    {
        // From disk, one piece is in memory at a time. A permit for the stream would last until its end, and two servers that read from each
        // other could wait for each other.
        return Ok(vec![own_part(share, array, region).await?].into());
    }
    let bytes = region.part_bytes(&extent, region.aspect.element(array.element).size());
    let permit = share.memory_budget.acquire_part(bytes as u64).await;
    Ok(Content { permit, ..vec![own_part(share, array, region).await?].into() })
}

/// Waits until this server's part of `cube` is computed.
pub(super) async fn until_ready(share: &Arc<Share>, holder: Holder, cube: &Cube) -> Result<(), Error> {
    let computed = async {
        match holder {
            Holder::Frames(base) => {
                let (store, first) = (share.frame_store(base).0, share.frames().start);
                for time in cube.times_in(&share.frames()) {
                    let slot = cube.t.at(time) - first;
                    store.until_ready(slot..slot + 1).await;
                }
            }
            Holder::Tiles(base) => {
                let Some(store) = share.tile_store(base) else { return };
                let own = cube.pixels_of(&share.plan, share.id);
                let mut q = own.start;
                while q < own.end {
                    let band = cube.pixel(q, share.plan.partition.stack.width) / share.plan.partition.band_pixels;
                    let slot = band - share.bands().start;
                    store.until_ready(slot..slot + 1).await;
                    // Continues with the next band, because a slice may have millions of pixels.
                    q = cube.pixels_in(&share.plan.band(band), share.plan.partition.stack.width).end;
                }
            }
            Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {}
        }
    };
    unless_failed(share, computed).await
}

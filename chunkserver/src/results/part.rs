//! One server's part of a window of a three-dimensional array.

use super::deadline::unless_failed;
use super::held::held;
use super::paint::{Place, frames, tiles};
use super::window::{Cube, Extent, Window};
use super::{Error, filled};
use crate::share::Share;
use api::arrays::{Array, Holder};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// What this server holds of `window`, once it is computed: for frames, its own selected times with all rows and columns of the
/// window's shape; for tiles, the whole window where this server has all of it, and otherwise its own selected pixels alone,
/// (t, pixel).
///
/// # Errors
/// When the work has failed, and this will not be computed.
pub async fn own_part(share: &Arc<Share>, array: &Array, window: &Window) -> Result<Bytes, Error> {
    let Some(extent) = window.extent(&share.plan, array.holder, share.id) else { return Ok(Bytes::new()) };
    until_ready(share, array.holder, &window.cube).await?;
    let bytes = window.part_bytes(&extent, window.aspect.element(array.element).size());
    let (window, owner) = (*window, Arc::clone(share));
    match (array.holder, extent) {
        (Holder::Frames(base), Extent::Times(times)) => {
            if let Some(held) = held(share, base, &window, &times) {
                return Ok(held);
            }
            Ok(filled(bytes, move |part| frames(&owner, base, &window, times, part)).await.into())
        }
        (Holder::Tiles(base), extent) => {
            let (place, own) = match extent {
                Extent::Pixels(own) => (Place::alone(&own), own),
                _ => (Place::within(&window), 0..window.cube.pixels()),
            };
            Ok(filled(bytes, move |part| tiles(&owner, base, &window, own, &place, part)).await.into())
        }
        _ => Ok(Bytes::new()),
    }
}

/// Waits until what this server holds of `cube` is computed.
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
                let own = own_pixels(share, cube);
                let mut q = own.start;
                while q < own.end {
                    let band = cube.pixel(q, share.plan.partition.stack.width) / share.plan.partition.band_pixels;
                    let slot = band - share.bands().start;
                    store.until_ready(slot..slot + 1).await;
                    // On to the first pixel of the next band: a slice may have millions of pixels.
                    q = cube.pixels_in(&share.plan.band(band), share.plan.partition.stack.width).end;
                }
            }
            Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {}
        }
    };
    unless_failed(share, computed).await
}

/// The selected pixels that this server's tiles hold.
pub(super) fn own_pixels(share: &Share, cube: &Cube) -> Range<usize> {
    cube.pixels_in(&share.plan.pixels_of(share.id), share.plan.partition.stack.width)
}

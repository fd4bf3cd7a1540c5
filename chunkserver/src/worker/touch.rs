//! Touches the memory of tiles while frames load. The first touch of a page costs as much as much of the work on the page, and a job whose source is
//! slow has time for it during Load.

use super::Worker;
use crate::share::Share;
use std::sync::Arc;

/// Touches the tiles of the share step by step, on the compute threads. A step takes milliseconds, so that frames wait no longer.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>) {
    for base in [api::arrays::Base::Rechunked, api::arrays::Base::Spectrum] {
        let mut at = Some(0);
        while let Some(from) = at {
            let share = Arc::clone(&share);
            let step = move || share.tile_store(base).and_then(|tiles| tiles.touch(from));
            at = worker.compute.run(step).await.flatten();
        }
    }
}

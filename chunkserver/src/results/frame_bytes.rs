//! Frames in the store as the body of a response, without a copy.

use super::region::Region;
use crate::share::Share;
use api::arrays::Base;
use api::geometry::FrameSpec;
use bytes::Bytes;
use formats::aspect::Aspect;
use std::ops::Range;
use std::sync::Arc;

/// Consecutive bytes of a share's frames. Keeps the share, and so its memory, until the bytes are sent.
struct FrameBytes {
    share: Arc<Share>,
    base: Base,
    /// Frames of the store.
    slots: Range<usize>,
    /// The bytes within those frames.
    bytes: Range<usize>,
}

impl AsRef<[u8]> for FrameBytes {
    fn as_ref(&self) -> &[u8] {
        let frames = self.share.frame_store(self.base).0.memory().and_then(|frames| frames.read(self.slots.clone()));
        frames.and_then(|frames| frames.get(self.bytes.clone())).unwrap_or_default()
    }
}

/// Whether the selected times `times` of `region` are consecutive bytes of frames: they are sent from memory without a copy, and from disk while
/// they are read.
pub(super) fn is_contiguous(spec: FrameSpec, region: &Region, times: &Range<usize>) -> bool {
    let (cube, [_, rows, columns]) = (&region.cube, region.shape);
    let one_frame = times.len() == 1;
    let all_columns = cube.x.count == spec.width || (one_frame && cube.y.count == 1);
    let all_rows = cube.y.count == spec.height || one_frame;
    let unpadded = rows == cube.y.count && columns == cube.x.count;
    // The step of a single position has no effect.
    let steps = [(&cube.t, times.len()), (&cube.y, cube.y.count), (&cube.x, cube.x.count)];
    let consecutive = steps.iter().all(|(axis, count)| axis.step == 1 || *count == 1);
    region.aspect == Aspect::Value && all_columns && all_rows && unpadded && consecutive
}

/// The selected times `times` of this server's frames, if they are consecutive bytes in memory. All frames must be ready.
pub(super) fn frame_bytes(share: &Arc<Share>, base: Base, region: &Region, times: &Range<usize>) -> Option<Bytes> {
    let (cube, (_, spec)) = (&region.cube, share.frame_store(base));
    if share.frame_store(base).0.memory().is_none() || !is_contiguous(spec, region, times) {
        return None;
    }
    let first = cube.t.at(times.start) - share.frames().start;
    let start = (cube.y.at(0) * spec.width + cube.x.at(0)) * spec.dtype.size();
    let length = times.len() * cube.pixels() * spec.dtype.size();
    let bytes = FrameBytes { share: Arc::clone(share), base, slots: first..first + times.len(), bytes: start..start + length };
    // A shorter result would be a bug of ours; the copy then reports it.
    (bytes.as_ref().len() == length).then(|| Bytes::from_owner(bytes))
}

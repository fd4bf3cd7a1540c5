//! Frames as they lie in the store, lent to a response without a copy.

use super::window::Window;
use crate::share::Share;
use api::arrays::Base;
use api::geometry::FrameSpec;
use bytes::Bytes;
use formats::aspect::Aspect;
use std::ops::Range;
use std::sync::Arc;

/// Consecutive bytes of a share's frames. It keeps the share, and with it the memory, for as long as it is being sent.
struct Held {
    share: Arc<Share>,
    base: Base,
    /// Frames of the store.
    slots: Range<usize>,
    /// Bytes of those frames.
    bytes: Range<usize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        let frames = self.share.frame_store(self.base).0.read(self.slots.clone());
        frames.and_then(|frames| frames.get(self.bytes.clone())).unwrap_or_default()
    }
}

/// Whether the selected times `times` of `window` are one run of bytes among a server's frames, and have not to be copied.
pub(super) fn is_run(spec: FrameSpec, window: &Window, times: &Range<usize>) -> bool {
    let (cube, [_, rows, columns]) = (&window.cube, window.shape);
    let one_frame = times.len() == 1;
    let all_columns = cube.x.count == spec.width || (one_frame && cube.y.count == 1);
    let all_rows = cube.y.count == spec.height || one_frame;
    let unpadded = rows == cube.y.count && columns == cube.x.count;
    // A single position has whatever step.
    let steps = [(&cube.t, times.len()), (&cube.y, cube.y.count), (&cube.x, cube.x.count)];
    let consecutive = steps.iter().all(|(axis, count)| axis.step == 1 || *count == 1);
    window.aspect == Aspect::Value && all_columns && all_rows && unpadded && consecutive
}

/// The selected times `times` of this server's frames, where they are one run of bytes in its memory. All are ready.
pub(super) fn held(share: &Arc<Share>, base: Base, window: &Window, times: &Range<usize>) -> Option<Bytes> {
    let (cube, (_, spec)) = (&window.cube, share.frame_store(base));
    if !is_run(spec, window, times) {
        return None;
    }
    let first = cube.t.at(times.start) - share.frames().start;
    let start = (cube.y.at(0) * spec.width + cube.x.at(0)) * spec.dtype.size();
    let length = times.len() * cube.pixels() * spec.dtype.size();
    let held = Held { share: Arc::clone(share), base, slots: first..first + times.len(), bytes: start..start + length };
    // One that is shorter than asked for is not lent: it would be a bug, and the copy would show it.
    (held.as_ref().len() == length).then(|| Bytes::from_owner(held))
}

//! The journal's tasks of one batch: decoding and recentering, frame by frame.

use crate::share::Share;
use journal::{Kind, Task};

/// Frames with fewer bytes are recorded once per batch: one record a frame would cost a noticeable part of the work.
const TINY: usize = 64 << 10;

/// Records the work on a batch, one frame after another.
pub(super) struct BatchTasks<'a> {
    share: &'a Share,
    /// The first frame and the number of frames, when the batch is recorded as a whole.
    batch: Option<(usize, usize)>,
    /// The running task: its kind, its record, and the bytes that it produces.
    running: Option<(Kind, Task<'a>, usize)>,
}

impl<'a> BatchTasks<'a> {
    pub(super) fn new(share: &'a Share, first: usize, count: usize) -> Self {
        Self { share, batch: (share.plan.partition.frame.bytes() < TINY).then_some((first, count)), running: None }
    }

    /// Ends the running task and begins one of `kind` for `frame`.
    pub(super) fn begin(&mut self, kind: Kind, frame: usize) {
        if self.batch.is_some() && self.running.as_ref().is_some_and(|(running, ..)| *running == kind) {
            return;
        }
        self.end();
        let (first, count) = self.batch.unwrap_or((frame, 1));
        let produced = if kind == Kind::Recenter { self.share.plan.partition.stack } else { self.share.plan.partition.frame };
        self.running = Some((kind, self.share.journal.begin(kind, first).of(count), count * produced.bytes()));
    }

    /// Ends the running task.
    pub(super) fn end(&mut self) {
        if let Some((_, task, bytes)) = self.running.take() {
            task.done(bytes as u64);
        }
    }

    /// Ends the running task as failed. A batch that is recorded as a whole does not show the failure of one frame.
    pub(super) fn fail(&mut self) {
        if self.batch.is_none()
            && let Some((_, task, _)) = self.running.take()
        {
            task.failed(0);
        }
    }
}

//! The frames of a batch come in one after another, tasks of the journal go out.

use crate::share::Share;
use journal::{Kind, Task};

/// Frames of fewer bytes are noted by the batch: to note them one by one would be a part of the work.
const TINY: usize = 64 << 10;

/// What is noted of the frames of a batch while they are worked on, one after another.
pub(super) struct Noted<'a> {
    share: &'a Share,
    /// The first of them and how many they are, when they are noted together.
    together: Option<(usize, usize)>,
    /// What goes on, and how many bytes it makes.
    task: Option<(Kind, Task<'a>, usize)>,
}

impl<'a> Noted<'a> {
    pub(super) fn new(share: &'a Share, first: usize, count: usize) -> Self {
        Self { share, together: (share.plan.frame.bytes() < TINY).then_some((first, count)), task: None }
    }

    /// Work of that kind on a frame begins, and with it ends what went on.
    pub(super) fn frame(&mut self, kind: Kind, frame: usize) {
        if self.together.is_some() && self.task.as_ref().is_some_and(|(going_on, ..)| *going_on == kind) {
            return;
        }
        self.done();
        let (first, count) = self.together.unwrap_or((frame, 1));
        let made = if kind == Kind::Recenter { self.share.plan.stack } else { self.share.plan.frame };
        self.task = Some((kind, self.share.journal.begin(kind, first).of(count), count * made.bytes()));
    }

    /// What goes on ends.
    pub(super) fn done(&mut self) {
        if let Some((_, task, bytes)) = self.task.take() {
            task.done(bytes as u64);
        }
    }

    /// What goes on has failed; of a batch, a part of it, which does not show.
    pub(super) fn failed(&mut self) {
        if self.together.is_none()
            && let Some((_, task, _)) = self.task.take()
        {
            task.failed(0);
        }
    }
}

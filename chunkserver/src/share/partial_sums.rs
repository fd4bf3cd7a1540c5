//! Sums over axis 0 while frames still come: compute threads have them, a few frames at a time; who wants to look at what there
//! is so far gets every k-th pixel of it. Nobody asks, nobody copies.

use kernels::reduce::FrameSums;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long threads in the middle of a batch are waited for; of those that take longer, what they last told is taken.
const PATIENCE: Duration = Duration::from_millis(300);
/// Bits of a question that say which pixels are wanted; the others are its number.
const STRIDE_BITS: u32 = 24;

/// Frames whose sums can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// As decoded.
    Raw,
    /// Crops.
    Recentered,
}

/// Every k-th pixel of the sums of some frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partial {
    /// How many frames.
    pub frames: u64,
    /// (row, column), in C order.
    pub sums: Vec<f64>,
}

impl Partial {
    pub(super) fn of(sums: &FrameSums, width: usize, stride: usize) -> Self {
        let mut partial = Self { frames: sums.frames(), sums: Vec::new() };
        sums.every(width, stride, &mut partial.sums);
        partial
    }

    /// Adds other frames.
    pub fn add(&mut self, other: &Self) {
        if self.sums.is_empty() {
            self.sums.clone_from(&other.sums);
        } else {
            self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
        }
        self.frames += other.frames;
    }
}

/// The sums of one thread, lent to it for a group of frames at a time.
#[derive(Debug)]
pub struct Sums {
    /// Which of all.
    number: usize,
    /// Over raw frames.
    pub raw: FrameSums,
    /// Over crops.
    pub crops: Option<FrameSums>,
    /// The questions it has answered.
    answered: [u64; 2],
}

impl Sums {
    const fn of(&self, stack: Stack) -> Option<&FrameSums> {
        match stack {
            Stack::Raw => Some(&self.raw),
            Stack::Recentered => self.crops.as_ref(),
        }
    }
}

/// What one thread's sums were when it was asked.
#[derive(Clone, Debug, Default)]
struct Copied {
    question: u64,
    partial: Partial,
}

/// The sums of all threads of a share.
#[derive(Debug)]
pub struct PartialSums {
    /// Pixels of a row, raw and cropped.
    widths: [usize; 2],
    idle: Mutex<Vec<Sums>>,
    /// The latest question about either stack; 0: none.
    questions: [AtomicU64; 2],
    /// Copies of each thread's, raw and cropped.
    copies: Mutex<Vec<[Copied; 2]>>,
    copied: Notify,
    /// One question at a time: the next one would take the place of one that is not answered yet.
    asking: tokio::sync::Mutex<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartialSums {
    /// No sums of frames whose rows, raw and cropped, have so many pixels.
    pub fn new(widths: [usize; 2]) -> Self {
        Self {
            widths,
            idle: Mutex::default(),
            questions: Default::default(),
            copies: Mutex::default(),
            copied: Notify::new(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Sums that nobody works with; new ones when there are none.
    pub fn take(&self, new: impl FnOnce() -> (FrameSums, Option<FrameSums>)) -> Sums {
        if let Some(sums) = locked(&self.idle).pop() {
            return sums;
        }
        let (raw, crops) = new();
        let mut copies = locked(&self.copies);
        copies.push(Default::default());
        Sums { number: copies.len() - 1, raw, crops, answered: [0; 2] }
    }

    /// Gives them back.
    pub fn put(&self, mut sums: Sums) {
        self.answer(&mut sums);
        locked(&self.idle).push(sums);
    }

    /// All of them, for good.
    pub fn drain(&self) -> Vec<Sums> {
        std::mem::take(&mut *locked(&self.idle))
    }

    /// What all of them sum up to is known now: copies are of no use any more.
    pub fn close(&self) {
        locked(&self.copies).iter_mut().for_each(|copies| *copies = Default::default());
        self.copied.notify_waiters();
    }

    /// Tells what they are so far, if somebody wants to know. Between frames.
    pub fn answer(&self, sums: &mut Sums) {
        for stack in [Stack::Raw, Stack::Recentered] {
            let question = self.questions[stack as usize].load(Ordering::Relaxed);
            if question != sums.answered[stack as usize] {
                sums.answered[stack as usize] = question;
                self.copy(sums, stack, question);
            }
        }
    }

    fn copy(&self, sums: &Sums, stack: Stack, question: u64) {
        let Some(of) = sums.of(stack) else { return };
        let place = |copies: &mut Vec<[Copied; 2]>| copies.get_mut(sums.number).map(|copies| std::mem::take(&mut copies[stack as usize]));
        // Its memory is used again, and nobody waits meanwhile.
        let Some(Copied { mut partial, .. }) = place(&mut locked(&self.copies)) else { return };
        partial.frames = of.frames();
        of.every(self.widths[stack as usize], stride_of(question), &mut partial.sums);
        if let Some(copies) = locked(&self.copies).get_mut(sums.number) {
            copies[stack as usize] = Copied { question, partial };
        }
        self.copied.notify_waiters();
    }

    /// Every `stride`-th pixel of what there is so far of `stack`, unless `finished` has it meanwhile. Of a thread that is too long
    /// at its frames, what it last told: a little less, and as exact.
    pub async fn so_far(&self, stack: Stack, stride: usize, finished: impl Fn() -> Option<Partial>) -> Partial {
        let _turn = self.asking.lock().await;
        let asked = &self.questions[stack as usize];
        let number = (asked.load(Ordering::Relaxed) >> STRIDE_BITS) + 1;
        let question = number << STRIDE_BITS | stride as u64 & ((1 << STRIDE_BITS) - 1);
        asked.store(question, Ordering::Relaxed);
        let end = Instant::now() + PATIENCE;
        loop {
            let copied = self.copied.notified();
            tokio::pin!(copied);
            // Registered before the look, so that what is told in between wakes us.
            copied.as_mut().enable();
            if let Some(partial) = finished() {
                return partial;
            }
            // Those at rest cannot tell it themselves.
            locked(&self.idle).iter_mut().for_each(|sums| self.answer(sums));
            let late = Instant::now() >= end;
            if let Some(partial) = self.told(stack, question, late) {
                // Copies may be gone, since all is finished.
                return finished().unwrap_or(partial);
            }
            let _ = tokio::time::timeout_at(end, copied).await;
        }
    }

    /// What has been told, if all have answered or it is late.
    fn told(&self, stack: Stack, question: u64, late: bool) -> Option<Partial> {
        let copies = locked(&self.copies);
        let of_stack = || copies.iter().map(|copies| &copies[stack as usize]);
        if !late && of_stack().any(|copied| copied.question != question) {
            return None;
        }
        let mut all = Partial::default();
        of_stack().filter(|copied| stride_of(copied.question) == stride_of(question)).for_each(|copied| all.add(&copied.partial));
        Some(all)
    }
}

const fn stride_of(question: u64) -> usize {
    (question & ((1 << STRIDE_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::geometry::Dtype;
    use api::job::Reduction;
    use kernels::reduce::Ops;
    use std::sync::Arc;

    const WIDTH: usize = 4;
    const PIXELS: usize = 12;

    fn new() -> (FrameSums, Option<FrameSums>) {
        (FrameSums::new(Dtype::Uint8, PIXELS, Ops::of(&[Reduction::Mean])), None)
    }

    /// A frame whose pixels are `base` and their own number.
    fn frame(base: u8) -> Vec<u8> {
        (0..PIXELS as u8).map(|pixel| base + pixel).collect()
    }

    /// Every second pixel of frames of these bases.
    fn expected(bases: &[u8]) -> Partial {
        let sum = |pixel: u8| bases.iter().map(|base| f64::from(base + pixel)).sum();
        Partial { frames: bases.len() as u64, sums: [0, 2, 8, 10].map(sum).to_vec() }
    }

    #[tokio::test]
    async fn idle_sums_are_read_and_busy_ones_tell_between_frames() {
        let partial_sums = Arc::new(PartialSums::new([WIDTH, 0]));
        assert_eq!(partial_sums.so_far(Stack::Raw, 2, || None).await, Partial::default());
        let mut busy = partial_sums.take(new);
        let mut idle = partial_sums.take(new);
        idle.raw.add(&[&frame(1), &frame(2)]);
        partial_sums.put(idle);
        busy.raw.add(&[&frame(3)]);
        let asking = tokio::spawn({
            let partial_sums = Arc::clone(&partial_sums);
            async move { partial_sums.so_far(Stack::Raw, 2, || None).await }
        });
        while partial_sums.questions[0].load(Ordering::Relaxed) >> STRIDE_BITS < 2 {
            tokio::task::yield_now().await;
        }
        busy.raw.add(&[&frame(4)]);
        partial_sums.answer(&mut busy);
        assert_eq!(asking.await.unwrap(), expected(&[1, 2, 3, 4]));
        // Whoever is busy for too long is taken as he was.
        busy.raw.add(&[&frame(5)]);
        let began = std::time::Instant::now();
        assert_eq!(partial_sums.so_far(Stack::Raw, 2, || None).await, expected(&[1, 2, 3, 4]));
        assert!(began.elapsed() >= PATIENCE);
        // Other pixels were never told of him.
        assert_eq!(partial_sums.so_far(Stack::Raw, 3, || None).await.frames, 2);
        partial_sums.put(busy);
        assert_eq!(partial_sums.so_far(Stack::Raw, 2, || None).await, expected(&[1, 2, 3, 4, 5]));
        assert_eq!(partial_sums.drain().len(), 2);
        assert_eq!(partial_sums.so_far(Stack::Raw, 2, || Some(expected(&[7]))).await, expected(&[7]));
    }

    #[tokio::test]
    async fn nobody_copies_when_nobody_asks() {
        let partial_sums = PartialSums::new([WIDTH, 0]);
        let mut sums = partial_sums.take(new);
        sums.raw.add(&[&frame(1)]);
        partial_sums.answer(&mut sums);
        assert_eq!(locked(&partial_sums.copies)[0][0].partial, Partial::default());
        partial_sums.put(sums);
        assert_eq!(partial_sums.so_far(Stack::Raw, 2, || None).await, expected(&[1]));
        let mut sums = partial_sums.take(new);
        sums.raw.add(&[&frame(2)]);
        // What was asked has been answered.
        partial_sums.answer(&mut sums);
        assert_eq!(locked(&partial_sums.copies)[0][0].partial, expected(&[1]));
    }
}

//! Sums over axis 0 while frames are being loaded. Each compute thread has its own sums. On request, each thread copies every k-th pixel of its
//! sums between two batches of frames; without a request, threads copy nothing.

use kernels::reduce::FrameSums;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Timeout of a thread that computes a batch. After the timeout, the thread's last snapshot is used.
const THREAD_TIMEOUT: Duration = Duration::from_millis(300);
/// Low bits of a request that contain the stride. The high bits are the number of the request.
const STRIDE_BITS: u32 = 24;

/// The frames that are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Decoded frames.
    Raw,
    /// Crops.
    Recentered,
}

/// Every k-th pixel, along both axes, of the sums of some frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartialSum {
    /// Number of frames.
    pub frames: u64,
    /// (row, column), in C order.
    pub sums: Vec<f64>,
}

impl PartialSum {
    pub(super) fn of(sums: &FrameSums, width: usize, stride: usize) -> Self {
        let mut partial = Self { frames: sums.frames(), sums: Vec::new() };
        sums.every(width, stride, &mut partial.sums);
        partial
    }

    /// Adds the sums of other frames.
    pub fn add(&mut self, other: &Self) {
        if self.sums.is_empty() {
            self.sums.clone_from(&other.sums);
        } else {
            self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
        }
        self.frames += other.frames;
    }
}

/// The sums of one compute thread. A thread takes them for one group of frames at a time.
#[derive(Debug)]
pub struct ThreadSums {
    /// Index of these sums among all.
    number: usize,
    /// Over raw frames.
    pub raw: FrameSums,
    /// Over crops.
    pub crops: Option<FrameSums>,
    /// The last request that was answered, for each [`FrameKind`].
    answered: [u64; 2],
}

impl ThreadSums {
    const fn of(&self, kind: FrameKind) -> Option<&FrameSums> {
        match kind {
            FrameKind::Raw => Some(&self.raw),
            FrameKind::Recentered => self.crops.as_ref(),
        }
    }
}

/// A thread's sums at the time of a request.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    request: u64,
    partial: PartialSum,
}

/// The sums of all compute threads of a share. Arrays of two elements are indexed by [`FrameKind`].
#[derive(Debug)]
pub struct PartialSums {
    /// Pixels of a row.
    widths: [usize; 2],
    idle: Mutex<Vec<ThreadSums>>,
    /// The latest request; 0 before the first.
    requests: [AtomicU64; 2],
    /// The last snapshots of each thread's sums.
    snapshots: Mutex<Vec<[Snapshot; 2]>>,
    published: Notify,
    /// Held during a request: a second request would overwrite a request that is not answered yet.
    collecting: tokio::sync::Mutex<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartialSums {
    /// No sums yet. `widths` are the pixels of a row of raw frames and of crops.
    pub fn new(widths: [usize; 2]) -> Self {
        Self {
            widths,
            idle: Mutex::default(),
            requests: Default::default(),
            snapshots: Mutex::default(),
            published: Notify::new(),
            collecting: tokio::sync::Mutex::default(),
        }
    }

    /// Takes idle sums, or creates new ones with `new`.
    pub fn take(&self, new: impl FnOnce() -> (FrameSums, Option<FrameSums>)) -> ThreadSums {
        if let Some(sums) = locked(&self.idle).pop() {
            return sums;
        }
        let (raw, crops) = new();
        let mut snapshots = locked(&self.snapshots);
        snapshots.push(Default::default());
        ThreadSums { number: snapshots.len() - 1, raw, crops, answered: [0; 2] }
    }

    /// Returns sums that [`Self::take`] gave.
    pub fn put(&self, mut sums: ThreadSums) {
        self.publish(&mut sums);
        locked(&self.idle).push(sums);
    }

    /// Removes all idle sums.
    pub fn drain(&self) -> Vec<ThreadSums> {
        std::mem::take(&mut *locked(&self.idle))
    }

    /// Frees the snapshots after the final sums are set.
    pub fn close(&self) {
        locked(&self.snapshots).iter_mut().for_each(|snapshots| *snapshots = Default::default());
        self.published.notify_waiters();
    }

    /// Copies the sums if a request is open. Threads call this between two batches.
    pub fn publish(&self, sums: &mut ThreadSums) {
        for kind in [FrameKind::Raw, FrameKind::Recentered] {
            let request = self.requests[kind as usize].load(Ordering::Relaxed);
            if request != sums.answered[kind as usize] {
                sums.answered[kind as usize] = request;
                self.copy(sums, kind, request);
            }
        }
    }

    fn copy(&self, sums: &ThreadSums, kind: FrameKind, request: u64) {
        let Some(of) = sums.of(kind) else { return };
        let take = |snapshots: &mut Vec<[Snapshot; 2]>| {
            snapshots.get_mut(sums.number).map(|snapshots| std::mem::take(&mut snapshots[kind as usize]))
        };
        // Reuses the memory of the last snapshot, and copies without the lock.
        let Some(Snapshot { mut partial, .. }) = take(&mut locked(&self.snapshots)) else { return };
        partial.frames = of.frames();
        of.every(self.widths[kind as usize], stride_of(request), &mut partial.sums);
        if let Some(snapshots) = locked(&self.snapshots).get_mut(sums.number) {
            snapshots[kind as usize] = Snapshot { request, partial };
        }
        self.published.notify_waiters();
    }

    /// Every `stride`-th pixel of all threads' sums so far, or the result of `finished` once the final sums are set. For a thread slower than
    /// [`THREAD_TIMEOUT`], the last snapshot is used, which contains fewer frames.
    pub async fn collect(&self, kind: FrameKind, stride: usize, finished: impl Fn() -> Option<PartialSum>) -> PartialSum {
        let _guard = self.collecting.lock().await;
        let latest = &self.requests[kind as usize];
        let number = (latest.load(Ordering::Relaxed) >> STRIDE_BITS) + 1;
        let request = number << STRIDE_BITS | stride as u64 & ((1 << STRIDE_BITS) - 1);
        latest.store(request, Ordering::Relaxed);
        let end = Instant::now() + THREAD_TIMEOUT;
        loop {
            let published = self.published.notified();
            tokio::pin!(published);
            // Registered before the check, so that a snapshot published in between wakes this task.
            published.as_mut().enable();
            if let Some(partial) = finished() {
                return partial;
            }
            // Idle sums have no thread that publishes them.
            locked(&self.idle).iter_mut().for_each(|sums| self.publish(sums));
            let late = Instant::now() >= end;
            if let Some(partial) = self.sum_of_snapshots(kind, request, late) {
                // The final sums may have been set since the first check, which frees the snapshots.
                return finished().unwrap_or(partial);
            }
            let _ = tokio::time::timeout_at(end, published).await;
        }
    }

    /// The sum of all snapshots, if all threads have answered the request or the timeout has passed.
    fn sum_of_snapshots(&self, kind: FrameKind, request: u64, late: bool) -> Option<PartialSum> {
        let snapshots = locked(&self.snapshots);
        let of_kind = || snapshots.iter().map(|snapshots| &snapshots[kind as usize]);
        if !late && of_kind().any(|snapshot| snapshot.request != request) {
            return None;
        }
        let mut all = PartialSum::default();
        of_kind().filter(|snapshot| stride_of(snapshot.request) == stride_of(request)).for_each(|snapshot| all.add(&snapshot.partial));
        Some(all)
    }
}

const fn stride_of(request: u64) -> usize {
    (request & ((1 << STRIDE_BITS) - 1)) as usize
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

    /// A frame whose pixels are `base` plus their index.
    fn frame(base: u8) -> Vec<u8> {
        (0..PIXELS as u8).map(|pixel| base + pixel).collect()
    }

    /// Every second pixel of the sum of frames with these bases.
    fn expected(bases: &[u8]) -> PartialSum {
        let sum = |pixel: u8| bases.iter().map(|base| f64::from(base + pixel)).sum();
        PartialSum { frames: bases.len() as u64, sums: [0, 2, 8, 10].map(sum).to_vec() }
    }

    #[tokio::test]
    async fn idle_sums_are_read_and_busy_threads_publish_between_batches() {
        let partial_sums = Arc::new(PartialSums::new([WIDTH, 0]));
        assert_eq!(partial_sums.collect(FrameKind::Raw, 2, || None).await, PartialSum::default());
        let mut busy = partial_sums.take(new);
        let mut idle = partial_sums.take(new);
        idle.raw.add(&[&frame(1), &frame(2)]);
        partial_sums.put(idle);
        busy.raw.add(&[&frame(3)]);
        let collecting = tokio::spawn({
            let partial_sums = Arc::clone(&partial_sums);
            async move { partial_sums.collect(FrameKind::Raw, 2, || None).await }
        });
        while partial_sums.requests[0].load(Ordering::Relaxed) >> STRIDE_BITS < 2 {
            tokio::task::yield_now().await;
        }
        busy.raw.add(&[&frame(4)]);
        partial_sums.publish(&mut busy);
        assert_eq!(collecting.await.unwrap(), expected(&[1, 2, 3, 4]));
        // After the timeout, the last snapshot of a busy thread is used.
        busy.raw.add(&[&frame(5)]);
        let began = std::time::Instant::now();
        assert_eq!(partial_sums.collect(FrameKind::Raw, 2, || None).await, expected(&[1, 2, 3, 4]));
        assert!(began.elapsed() >= THREAD_TIMEOUT);
        // The busy thread has no snapshot with this stride.
        assert_eq!(partial_sums.collect(FrameKind::Raw, 3, || None).await.frames, 2);
        partial_sums.put(busy);
        assert_eq!(partial_sums.collect(FrameKind::Raw, 2, || None).await, expected(&[1, 2, 3, 4, 5]));
        assert_eq!(partial_sums.drain().len(), 2);
        assert_eq!(partial_sums.collect(FrameKind::Raw, 2, || Some(expected(&[7]))).await, expected(&[7]));
    }

    #[tokio::test]
    async fn threads_copy_nothing_without_a_request() {
        let partial_sums = PartialSums::new([WIDTH, 0]);
        let mut sums = partial_sums.take(new);
        sums.raw.add(&[&frame(1)]);
        partial_sums.publish(&mut sums);
        assert_eq!(locked(&partial_sums.snapshots)[0][0].partial, PartialSum::default());
        partial_sums.put(sums);
        assert_eq!(partial_sums.collect(FrameKind::Raw, 2, || None).await, expected(&[1]));
        let mut sums = partial_sums.take(new);
        sums.raw.add(&[&frame(2)]);
        // The request is already answered.
        partial_sums.publish(&mut sums);
        assert_eq!(locked(&partial_sums.snapshots)[0][0].partial, expected(&[1]));
    }
}

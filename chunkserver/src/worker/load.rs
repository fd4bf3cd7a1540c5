//! Loads the share's frames. Steps: [`frame_source`] fetches a group of frames, [`batch`] decodes, recenters and sums eight of them at a time on a
//! compute thread, and the threads' sums are merged after the last group.

mod batch;
mod bodies;
mod error;
mod frame_source;
mod tasks;

use super::Worker;
use crate::compute::Pool;
use crate::share::Share;
use api::job::{GROUP, Job, Source};
use api::words::chain;
use batch::Scratch;
use error::FrameError;
use frame_source::{Delivery, Fetched, FrameSource};
use futures_util::StreamExt as _;
use kernels::reduce::FrameSums;
use std::ops::Range;
use std::sync::Arc;
use store::{Blocks, Frames};

/// Allowed overhead of a response above the decoded frames, in bytes: headers, and data that does not compress.
const ENVELOPE: u64 = 1 << 20;

/// Largest metadata of an array, in bytes.
const METADATA: u64 = 16 << 20;

/// The largest response that this job's source may send, in bytes.
pub(super) fn largest_body(job: &Job) -> u64 {
    match &job.source {
        // RGBA of 16 bits is the largest form that is converted to gray.
        Source::Images(images) => 2 * images.depth as u64 * job.frame.bytes() as u64 * 4 + ENVELOPE,
        Source::Zarr(zarr) => {
            let chunk = zarr.layout.map_or(0, |layout| layout.chunks.iter().product::<usize>() * layout.dtype.size());
            2 * chunk as u64 + METADATA
        }
    }
}

/// Loads one share.
#[derive(Debug)]
struct Loader {
    worker: Arc<Worker>,
    share: Arc<Share>,
    source: FrameSource,
    scratch: Pool<Scratch>,
}

/// Loads all frames of the share, or fails the job.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>) {
    let loaded = async {
        share.counters.load.start();
        let source = FrameSource::open(&worker, &share).await?;
        let loader = Loader { worker: Arc::clone(&worker), share: Arc::clone(&share), source, scratch: Pool::default() };
        Arc::new(loader).load().await
    };
    if let Err(error) = loaded.await {
        worker.fail(&share, error.reason(), chain(&error));
    }
}

impl Loader {
    async fn load(self: Arc<Self>) -> Result<(), FrameError> {
        let share = &self.share;
        let groups = share.plan.groups_of(&share.job, share.id);
        let work = futures_util::stream::iter(groups).map(|group| Arc::clone(&self).group(group)).buffer_unordered(share.plan.pace.groups);
        let all = async {
            let mut work = std::pin::pin!(work);
            while let Some(done) = work.next().await {
                done?;
            }
            Ok(())
        };
        futures_util::future::try_join(all, self.count_written()).await?;
        self.merge_sums();
        self.worker.notify();
        Ok(())
    }

    /// Counts frames on disk after the writes of their blocks. Waits for all writes.
    async fn count_written(&self) -> Result<(), FrameError> {
        let frames = if self.share.stack.disk().is_some() { self.share.stack.count() } else { 0 };
        let mut counted = 0;
        while counted < frames {
            let mut ready = frames;
            for blocks in self.stores_on_disk() {
                ready = ready.min(blocks.until_more(counted).await?);
            }
            self.share.counters.load.done(ready - counted, 0);
            counted = ready;
        }
        Ok(())
    }

    fn stores_on_disk(&self) -> impl Iterator<Item = &Blocks> {
        [Some(&self.share.stack), self.share.raw.as_ref()].into_iter().flatten().filter_map(Frames::disk)
    }

    /// Fetches a group of frames and computes it on the pool.
    async fn group(self: Arc<Self>, group: Range<usize>) -> Result<(), FrameError> {
        let first = self.share.frames().start;
        for blocks in self.stores_on_disk() {
            blocks.admit(group.start - first..group.end - first).await;
        }
        let mut rest = group;
        while !rest.is_empty() {
            rest = Arc::clone(&self).part(rest).await?;
        }
        Ok(())
    }

    /// Fetches and computes the first frames of a group. Returns the other frames.
    async fn part(self: Arc<Self>, group: Range<usize>) -> Result<Range<usize>, FrameError> {
        let fetched = self.source.fetch(&self.worker, &self.share, group.clone()).await?;
        let _decoder = self.source.decoder(&self.share, &fetched).await;
        let Fetched { deliveries, admitted: _admitted } = fetched;
        let end = deliveries.last().map_or(group.end, |last| last.frames.end);
        // All threads share a large group.
        let each = deliveries.len().div_ceil(self.worker.compute.threads()).next_multiple_of(GROUP);
        let mut work = Vec::new();
        let mut deliveries = deliveries.into_iter();
        loop {
            let some: Vec<Delivery> = deliveries.by_ref().take(each).collect();
            if some.is_empty() {
                break;
            }
            let this = Arc::clone(&self);
            work.push(self.worker.compute.run(move || this.compute(some)));
        }
        let done = futures_util::future::join_all(work).await;
        done.into_iter().try_for_each(|done| done.unwrap_or(Err(FrameError::Panicked { frame: group.start })))?;
        Ok(end..group.end)
    }

    /// Computes deliveries on a compute thread, in batches.
    fn compute(&self, deliveries: Vec<Delivery>) -> Result<(), FrameError> {
        let mut scratch = self.scratch.take().unwrap_or_default();
        let mut sums = self.share.partial_sums.take(|| self.new_sums());
        let mut result = Ok(());
        for some in deliveries.chunks(GROUP) {
            let frames: Vec<(usize, &Delivery)> = some.iter().flat_map(|d| d.frames.clone().map(move |frame| (frame, d))).collect();
            for eight in frames.chunks(GROUP) {
                result = result.and_then(|()| batch::compute(&self.share, &self.source, eight, &mut scratch, &mut sums));
                self.share.partial_sums.publish(&mut sums);
            }
        }
        self.source.reuse(deliveries);
        self.scratch.put(scratch);
        self.share.partial_sums.put(sums);
        result
    }

    /// Merges the sums of all threads into the share's, and frees the scratch.
    fn merge_sums(&self) {
        self.scratch.drain();
        let mut all = self.share.partial_sums.drain().into_iter().map(|sums| (sums.raw, sums.crops));
        let (mut raw, mut crops) = all.next().unwrap_or_else(|| self.new_sums());
        for (more_raw, more_crops) in all {
            raw.merge(&more_raw);
            if let (Some(crops), Some(more)) = (&mut crops, more_crops) {
                crops.merge(&more);
            }
        }
        // Set once: a share is loaded once.
        let _ = self.share.sums.set((raw, crops));
        self.share.partial_sums.close();
        self.share.summed.send_modify(|summed| summed.frames = true);
    }

    fn new_sums(&self) -> (FrameSums, Option<FrameSums>) {
        let share = &self.share;
        let sums = |spec: api::geometry::FrameSpec| FrameSums::new(spec.dtype, spec.pixels(), share.ops);
        (sums(share.plan.partition.frame), share.job.recenter.map(|_| sums(share.plan.partition.stack)))
    }
}

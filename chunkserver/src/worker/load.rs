//! URLs in, slabs out: groups of frames are fetched together, then decoded, summed and recentered in one go while they
//! are in cache. Frames of a Zarr array come decoded.

mod noted;

use super::Worker;
use crate::compute::Lent;
use crate::share::{FrameNotes, Share, Sums};
use crate::source::zarr::{Frame, Keys, Stack, Taken};
use crate::source::{self, zarr};
use api::geometry::cut;
use api::job::{GROUP, Images, Job, OnError, Source, Zarr};
use api::phase::reason;
use api::template::{Template, TemplateError};
use api::words::chain;
use formats::decode::{self, Decoder};
use futures_util::StreamExt as _;
use journal::{Event, Kind};
use kernels::recenter::{self, Total};
use kernels::reduce::{FrameStat, FrameSums};
use noted::Noted;
use std::ops::{DerefMut, Range};
use std::sync::{Arc, PoisonError};
use store::SlotWriter;
use thiserror::Error;

/// A response may be so much larger than the decoded frames: a header, and what does not compress.
const ENVELOPE: u64 = 1 << 20;

/// Metadata of an array may be so large.
const METADATA: u64 = 16 << 20;

/// The largest body that may be a response of this job's source.
pub(super) fn largest_body(job: &Job) -> u64 {
    match &job.source {
        // RGBA of 16 bits is the largest thing that may be asked to become gray.
        Source::Images(images) => 2 * images.depth as u64 * job.frame.bytes() as u64 * 4 + ENVELOPE,
        Source::Zarr(zarr) => {
            let chunk = zarr.layout.map_or(0, |layout| layout.chunks.iter().product::<usize>() * layout.dtype.size());
            2 * chunk as u64 + METADATA
        }
    }
}

/// Why a frame is not there.
#[derive(Debug, Error)]
enum FrameError {
    #[error("frame {frame} cannot be had")]
    Fetch {
        frame: usize,
        #[source]
        source: Arc<source::Error>,
    },
    #[error("frame {frame} ({url}) cannot be used")]
    Decode {
        frame: usize,
        url: String,
        #[source]
        source: decode::Error,
    },
    #[error("frame {frame} is missing in its volume response ({url}): {found} bytes where {expected} were asked for")]
    Volume { frame: usize, url: String, found: usize, expected: usize },
    #[error("the array cannot be used")]
    Open(#[from] zarr::Error),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the source's secret cannot be used")]
    Secret(#[from] source::Error),
    #[error("frame {frame} cannot be had")]
    Array {
        frame: usize,
        #[source]
        source: Arc<zarr::Error>,
    },
    /// A panic, which is printed where it happens.
    #[error("frame {frame} or one of its neighbours could not be computed: a bug of ours, the server's log has it")]
    Lost { frame: usize },
}

impl FrameError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Open(source) => source.reason(),
            Self::Array { source, .. } => source.reason(),
            Self::Template(_) => reason::INVALID_SPEC,
            Self::Fetch { .. } | Self::Secret(_) => reason::SOURCE_UNAVAILABLE,
            Self::Decode { .. } | Self::Volume { .. } | Self::Lost { .. } => reason::CHUNK_DECODE_FAILED,
        }
    }
}

/// Frames that came together.
struct Delivery {
    frames: Range<usize>,
    content: Content,
}

enum Content {
    /// One response of the source: its body, or why there is none.
    Response { url: String, body: Result<Vec<u8>, Arc<source::Error>> },
    /// One frame's pixels.
    Pixels(Frame),
}

/// Scratch of one compute thread, lent to one group at a time.
#[derive(Debug, Default)]
struct Scratch {
    decoder: Decoder,
    centroid: recenter::Scratch,
    frames: Vec<u8>,
}

/// What frames are made of.
#[derive(Debug)]
enum Feed {
    Images(Images, Template),
    Array(Zarr, Arc<Stack>),
}

/// Loads one share.
#[derive(Debug)]
pub(super) struct Loader {
    worker: Arc<Worker>,
    share: Arc<Share>,
    feed: Feed,
    /// What fetches, and notes it.
    source: source::Source,
    scratch: Lent<Scratch>,
    bodies: Lent<Vec<u8>>,
}

/// Loads all frames of the share, or fails the job.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>) {
    let loaded = async {
        share.counters.load.start();
        let source = share.source.noting(&share.journal);
        let feed = Feed::open(&worker, &share, &source).await?;
        let (scratch, bodies) = (Lent::default(), Lent::default());
        let loader = Loader { worker: Arc::clone(&worker), share: Arc::clone(&share), feed, source, scratch, bodies };
        Arc::new(loader).load().await
    };
    if let Err(error) = loaded.await {
        worker.fail(&share, error.reason(), chain(&error));
    }
}

impl Feed {
    async fn open(worker: &Worker, share: &Share, source: &source::Source) -> Result<Self, FrameError> {
        match &share.job.source {
            Source::Images(images) => Ok(Self::Images(images.clone(), Template::parse(&images.url_template)?)),
            Source::Zarr(zarr) => {
                let access = worker.surroundings.access()?;
                let keys = Keys::new(source.clone(), &access, &zarr.url, &zarr.array).map_err(zarr::Error::Store)?;
                let stack = Stack::open_known(keys, zarr, share.plan.pace.requests).await?;
                Ok(Self::Array(zarr.clone(), Arc::new(stack)))
            }
        }
    }
}

impl Loader {
    async fn load(self: Arc<Self>) -> Result<(), FrameError> {
        let share = &self.share;
        let runs = share.plan.groups_of(&share.job, share.id);
        let work = futures_util::stream::iter(runs).map(|run| Arc::clone(&self).group(run)).buffer_unordered(share.plan.pace.groups);
        let mut work = std::pin::pin!(work);
        while let Some(done) = work.next().await {
            done?;
        }
        self.add_up();
        self.worker.tell();
        Ok(())
    }

    /// Sums of all threads become the share's, and scratch is let go.
    fn add_up(&self) {
        self.scratch.drain();
        let mut all = self.share.tally.drain().into_iter().map(|sums| (sums.raw, sums.crops));
        let (mut raw, mut crops) = all.next().unwrap_or_else(|| self.new_sums());
        for (more_raw, more_crops) in all {
            raw.merge(&more_raw);
            if let (Some(crops), Some(more)) = (&mut crops, more_crops) {
                crops.merge(&more);
            }
        }
        // Set once: a share is loaded once.
        let _ = self.share.sums.set((raw, crops));
        self.share.tally.close();
        self.share.summed.send_modify(|summed| summed.frames = true);
    }

    fn new_sums(&self) -> (FrameSums, Option<FrameSums>) {
        let share = &self.share;
        let sums = |spec: api::geometry::FrameSpec| FrameSums::new(spec.dtype, spec.pixels(), share.ops);
        (sums(share.plan.frame), share.job.recenter.map(|_| sums(share.plan.stack)))
    }

    /// Fetches a group and has it computed.
    async fn group(self: Arc<Self>, run: Range<usize>) -> Result<(), FrameError> {
        let deliveries = match &self.feed {
            Feed::Images(images, template) => {
                let parts = cut(run.len(), images.depth).map(|part| run.start + part.start..run.start + part.end);
                futures_util::future::join_all(parts.map(|frames| self.fetch(images, template, frames))).await
            }
            Feed::Array(zarr, stack) => self.read(zarr, stack, run.clone()).await?,
        };
        // A large group is shared by all threads.
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
        done.into_iter().try_for_each(|done| done.unwrap_or(Err(FrameError::Lost { frame: run.start })))
    }

    async fn fetch(&self, images: &Images, template: &Template, frames: Range<usize>) -> Delivery {
        let url = template.url(images.index(frames.start), frames.len());
        let mut body = self.bodies.take().unwrap_or_default();
        let fetched = self.source.of_frame(frames.start).fetch(&url, &mut body).await;
        let body = match fetched {
            Ok(fetched) => {
                self.share.counters.load.retried(u64::from(fetched.retries));
                Ok(body)
            }
            Err(error) => Err(Arc::new(error)),
        };
        Delivery { frames, content: Content::Response { url, body } }
    }

    async fn read(&self, zarr: &Zarr, stack: &Arc<Stack>, run: Range<usize>) -> Result<Vec<Delivery>, FrameError> {
        let share = &self.share;
        let progress = || {
            let Taken { bytes, retries } = stack.taken();
            share.counters.load.received(bytes);
            share.counters.load.retried(retries);
        };
        let buffers = run.clone().map_while(|_| self.bodies.take()).collect();
        let in_array = zarr.start + run.start..zarr.start + run.end;
        let read = stack.read(&self.worker.compute, in_array, buffers, share.job.on_error == OnError::Blank, progress).await;
        let frames = read.map_err(|(frame, source)| FrameError::Array { frame: frame - zarr.start, source })?;
        Ok(run.zip(frames).map(|(frame, pixels)| Delivery { frames: frame..frame + 1, content: Content::Pixels(pixels) }).collect())
    }

    /// Decodes, sums and recenters the frames of a group, on a compute thread.
    fn compute(&self, deliveries: Vec<Delivery>) -> Result<(), FrameError> {
        let mut scratch = self.scratch.take().unwrap_or_default();
        let mut sums = self.share.tally.take(|| self.new_sums());
        let mut result = Ok(());
        for batch in deliveries.chunks(GROUP) {
            let frames: Vec<(usize, &Delivery)> = batch.iter().flat_map(|d| d.frames.clone().map(move |frame| (frame, d))).collect();
            for eight in frames.chunks(GROUP) {
                result = result.and_then(|()| self.batch(eight, &mut scratch, &mut sums));
                self.share.tally.answer(&mut sums);
            }
        }
        for delivery in deliveries {
            if let Content::Response { body: Ok(body), .. } | Content::Pixels(Ok(body)) = delivery.content {
                self.bodies.put(body);
            }
        }
        self.scratch.put(scratch);
        self.share.tally.put(sums);
        result
    }

    /// At most eight frames.
    fn batch(&self, frames: &[(usize, &Delivery)], scratch: &mut Scratch, sums: &mut Sums) -> Result<(), FrameError> {
        let share = &self.share;
        let own = share.frames();
        let slot = |frame: usize| frame - own.start;
        let spec = share.plan.frame;
        let apart = share.job.recenter.is_some();
        // Decoded frames go where they stay, if they stay.
        let mut raw_slots: Vec<SlotWriter<'_>> = Vec::new();
        let store = if apart { share.raw.as_ref() } else { Some(&share.stack) };
        if let Some(store) = store {
            raw_slots.extend(frames.iter().filter_map(|&(frame, _)| store.write(slot(frame))));
        } else {
            scratch.frames.resize(GROUP * spec.bytes(), 0);
        }
        let mut places: Vec<&mut [u8]> = if store.is_some() {
            raw_slots.iter_mut().map(DerefMut::deref_mut).collect()
        } else {
            scratch.frames.chunks_exact_mut(spec.bytes()).take(frames.len()).collect()
        };
        let mut bytes = 0;
        let mut work = Noted::new(share, frames[0].0, frames.len());
        for (&(frame, delivery), place) in frames.iter().zip(&mut places) {
            work.frame(Kind::Decode, frame);
            match self.decode(&mut scratch.decoder, frame, delivery, place) {
                Ok(taken) => bytes += taken,
                Err(error) if share.job.on_error == OnError::Blank => {
                    work.failed();
                    tracing::warn!(frame, error = chain(&error), "frame is blank");
                    share.journal.mark_as(Event::Blank, error.reason(), &format!("frame {frame} is blank: {}", chain(&error)));
                    place.fill(0);
                    share.counters.note_blank(frame);
                }
                Err(error) => {
                    work.failed();
                    return Err(error);
                }
            }
        }
        let decoded: Vec<&[u8]> = places.iter().map(|place| &**place).collect();
        let mut notes = Vec::with_capacity(frames.len());
        if let Some(recenter) = &share.job.recenter {
            if let Some(counter) = &share.counters.recenter {
                counter.start();
            }
            let mut crops: Vec<SlotWriter<'_>> = frames.iter().filter_map(|&(frame, _)| share.stack.write(slot(frame))).collect();
            for ((image, crop), &(frame, _)) in decoded.iter().zip(&mut crops).zip(frames) {
                work.frame(Kind::Recenter, frame);
                let centre = recenter::centroid(image, spec, recenter.threshold, &mut scratch.centroid);
                let corner = recenter::corner([centre.y, centre.x], [spec.height, spec.width], recenter.crop);
                recenter::crop_into(image, spec, corner, recenter.crop, crop);
                notes.push(FrameNotes {
                    centroid: [centre.y, centre.x],
                    offset: corner.map(|c| c as i32),
                    raw: self.frame_stat(image, (recenter.threshold.is_none()).then_some(centre.total)),
                    crop: Some(FrameStat::of(spec.dtype, crop, share.ops)),
                });
            }
            if let Some(crops_summed) = &mut sums.crops {
                crops_summed.add(&crops.iter().map(|crop| &**crop).collect::<Vec<_>>());
            }
            crops.into_iter().for_each(SlotWriter::finish);
        } else {
            notes.extend(decoded.iter().map(|image| FrameNotes {
                centroid: [0.0; 2],
                offset: [0; 2],
                raw: self.frame_stat(image, None),
                crop: None,
            }));
        }
        if !share.ops.is_empty() {
            sums.raw.add(&decoded);
        }
        // The batch is summed within the task of its last frame.
        work.done();
        raw_slots.into_iter().for_each(SlotWriter::finish);
        self.note(slot(frames[0].0), notes);
        if let Some(counter) = &share.counters.recenter {
            counter.done(frames.len(), (frames.len() * share.plan.stack.bytes()) as u64);
        }
        share.counters.load.done(frames.len(), bytes);
        Ok(())
    }

    /// A frame's own sums; the centroid has found the plain sum of integers on its way.
    fn frame_stat(&self, image: &[u8], total: Option<Total>) -> FrameStat {
        let spec = self.share.plan.frame;
        let ops = self.share.ops;
        match total {
            Some(Total::Whole(sum)) if !ops.squares && !ops.min && !ops.max => FrameStat::of_sum(spec.dtype, spec.pixels(), sum),
            _ => FrameStat::of(spec.dtype, image, ops),
        }
    }

    fn note(&self, first: usize, notes: Vec<FrameNotes>) {
        let mut all = self.share.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, note) in all[first..].iter_mut().zip(notes) {
            *place = Some(note);
        }
    }

    /// Decodes one frame of a delivery; gives the bytes fetched for it that are not counted yet.
    fn decode(&self, decoder: &mut Decoder, frame: usize, delivery: &Delivery, place: &mut [u8]) -> Result<u64, FrameError> {
        let share = &self.share;
        let (response, body) = match &delivery.content {
            Content::Response { url, body } => (url, body),
            Content::Pixels(Ok(pixels)) => {
                place.copy_from_slice(pixels);
                return Ok(0);
            }
            Content::Pixels(Err(source)) => return Err(FrameError::Array { frame, source: Arc::clone(source) }),
        };
        let url = || crate::objects::redacted(response);
        let body = body.as_ref().map_err(|source| FrameError::Fetch { frame, source: Arc::clone(source) })?;
        if let Feed::Images(Images { depth: 1, color, .. }, _) = self.feed {
            decoder.decode(body, share.plan.frame, color, place).map_err(|source| FrameError::Decode { frame, url: url(), source })?;
            return Ok(body.len() as u64);
        }
        let expected = delivery.frames.len() * place.len();
        if body.len() != expected {
            return Err(FrameError::Volume { frame, url: url(), found: body.len(), expected });
        }
        let at = (frame - delivery.frames.start) * place.len();
        place.copy_from_slice(&body[at..at + place.len()]);
        Ok(place.len() as u64)
    }
}

//! One server's share of one job: its slabs, its tile, its sums, and what it knows of its peers.

mod counters;
mod memory_budget;
mod partial_sums;
mod peers;

pub use counters::Counters;
pub(crate) use memory_budget::with_permit;
pub use memory_budget::{MemoryBudget, Permit};
pub(crate) use partial_sums::Sums;
pub use partial_sums::{Partial, PartialSums, Stack};
pub(crate) use peers::note_start;

use crate::source::Source;
use api::arrays::{Array, Base};
use api::geometry::FrameSpec;
use api::job::{Job, Kept, Output, Storage};
use api::output_grid::OutputGrid;
use api::phase::Phase;
use api::plan::{Plan, ServerId};
use api::wire::Peer;
use journal::Journal;
use kernels::reduce::{FrameStat, FrameSums, Ops};
use kernels::spectrum::BandSums;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use store::{Error, Slots};
use tokio::sync::watch;
use transport::client::JobRef;

/// Where the peers are and how far the work may go; the operator changes it, tasks follow it.
#[derive(Clone, Debug)]
pub struct Directions {
    /// Tells one version of directions from another.
    pub stamp: u64,
    /// Every server of the plan, in order.
    pub peers: Vec<Option<Peer>>,
    /// The last phase that may be worked on now.
    pub goal: Phase,
}

/// Which sums are complete.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summed {
    /// Those over this server's frames.
    pub frames: bool,
    /// Bands whose spectra are summed.
    pub bands: usize,
}

/// What is noted of one frame as it passes.
#[derive(Clone, Debug)]
pub struct FrameNotes {
    /// Centroid along axis 0 and axis 1, in pixels.
    pub centroid: [f64; 2],
    /// Top-left corner of the crop, in pixels.
    pub offset: [i32; 2],
    /// Sums over the raw frame.
    pub raw: FrameStat,
    /// Sums over the crop; none when nothing is recentered.
    pub crop: Option<FrameStat>,
}

/// The share. Pixels are written by the tasks of this server and read by everyone.
#[derive(Debug)]
pub struct Share {
    /// The job.
    pub job: Job,
    /// The plan.
    pub plan: Plan,
    /// This server.
    pub id: ServerId,
    /// What fetches the job's frames; it alone knows this server's secrets.
    pub source: Source,
    /// Arrays that readers see.
    pub arrays: Vec<Array>,
    /// Sums that the job's reductions need.
    pub ops: Ops,
    /// Raw frames, one slot each, when they are kept and are not the stack themselves.
    pub raw: Option<Slots>,
    /// Frames as exchanged, one slot each.
    pub stack: Slots,
    /// The tile before the transform, one slot a band, (t, pixel), when kept.
    pub rechunked: Option<Slots>,
    /// Spectra, one slot a band, (pixel, bin); none without an FFT.
    pub spectrum: Option<Slots>,
    /// Notes of each own frame, in order.
    pub notes: Mutex<Vec<Option<FrameNotes>>>,
    /// The same while frames still come.
    pub partial_sums: PartialSums,
    /// Sums over axis 0 of raw frames and of crops, once all own frames have passed.
    pub sums: OnceLock<(FrameSums, Option<FrameSums>)>,
    /// Sums of spectra over this server's pixels, and per pixel.
    pub band_sums: Mutex<Option<BandSums>>,
    /// Which sums are complete.
    pub summed: watch::Sender<Summed>,
    /// How far it is.
    pub counters: Counters,
    /// Memory for the responses to readers.
    pub memory_budget: MemoryBudget,
    /// What was done, and when.
    pub journal: Arc<Journal>,
    /// Where the peers are.
    pub directions: watch::Sender<Directions>,
    /// Which starts of them were heard of last.
    known_peers: Mutex<peers::Known>,
}

/// Objects of outputs that the server writes; a file is one object, of the server that [`api::next_step()`] gives it to.
fn own_objects(job: &Job, plan: &Plan, arrays: &[Array], id: ServerId) -> usize {
    let of = |(number, output): (usize, &Output)| match OutputGrid::new(output, arrays, &plan.partition) {
        Ok(layout) if output.is_zarr() => layout.objects_of(id, &plan.partition).count(),
        _ => usize::from(number % plan.partition.servers == id.0),
    };
    job.outputs.iter().enumerate().map(of).sum()
}

impl Share {
    /// Makes room for the share.
    ///
    /// # Errors
    /// When the system refuses the memory or the disk.
    pub fn new(
        job: Job,
        plan: Plan,
        id: ServerId,
        source: Source,
        directions: Directions,
        journal: Arc<Journal>,
        scratch: Option<&Path>,
    ) -> Result<Self, Error> {
        let scratch = scratch.filter(|_| plan.storage == Storage::Disk);
        let (frames, bands, pixels) = (plan.frames_of(id).len(), plan.bands_of(id).len(), plan.pixels_of(id).len());
        let raw_apart = job.recenter.is_some() && plan.keeps(Kept::Raw);
        let slots = |things: usize, each: usize, per_slot: usize| Slots::new(things * each, per_slot * each, scratch);
        let raw = raw_apart.then(|| slots(frames, plan.partition.frame.bytes(), 1)).transpose()?;
        let stack = slots(frames, plan.partition.stack.bytes(), 1)?;
        let series = plan.partition.frames * plan.partition.stack.dtype.size();
        let rechunked = (plan.partition.exchanges && plan.keeps(Kept::Rechunked))
            .then(|| slots(pixels, series, plan.partition.band_pixels))
            .transpose()?;
        let spectrum = plan.fft.map(|_| slots(pixels, plan.spectrum_bytes(), plan.partition.band_pixels)).transpose()?;
        let arrays = plan.arrays(&job);
        let objects = (!job.outputs.is_empty()).then(|| own_objects(&job, &plan, &arrays, id));
        Ok(Self {
            arrays,
            ops: Ops::of(&job.reduce),
            notes: Mutex::new(vec![None; frames]),
            partial_sums: PartialSums::new([plan.partition.frame.width, plan.partition.stack.width]),
            sums: OnceLock::new(),
            band_sums: Mutex::new(None),
            summed: watch::Sender::new(Summed::default()),
            counters: Counters::new(frames, job.recenter.is_some(), plan.partition.exchanges.then_some(bands), plan.fft.is_some(), objects),
            memory_budget: MemoryBudget::new(plan.spare),
            known_peers: Mutex::new(peers::known(&directions.peers)),
            directions: watch::Sender::new(directions),
            journal,
            raw,
            stack,
            rechunked,
            spectrum,
            job,
            plan,
            id,
            source,
        })
    }

    /// The job, as requests to peers name it.
    pub fn job_ref(&self) -> JobRef<'_> {
        JobRef { uid: &self.job.uid, generation: self.job.generation }
    }

    /// This server's frames.
    pub fn frames(&self) -> Range<usize> {
        self.plan.frames_of(self.id)
    }

    /// This server's bands.
    pub fn bands(&self) -> Range<usize> {
        self.plan.bands_of(self.id)
    }

    /// Where frames of `base` are, and what they are.
    pub fn frame_store(&self, base: Base) -> (&Slots, FrameSpec) {
        match (base, &self.raw) {
            (Base::Raw, Some(raw)) if self.job.recenter.is_some() => (raw, self.plan.partition.frame),
            _ => (&self.stack, self.plan.partition.stack),
        }
    }

    /// Where tiles of `base` are; none when they are not kept.
    pub fn tile_store(&self, base: Base) -> Option<&Slots> {
        if base == Base::Spectrum { self.spectrum.as_ref() } else { self.rechunked.as_ref() }
    }

    /// The array of that name.
    pub fn array(&self, name: &str) -> Option<&Array> {
        api::arrays::find(&self.arrays, name)
    }

    /// Sums over axis 0 of the own frames that are there so far: every `stride`-th pixel.
    pub async fn so_far(&self, stack: Stack, stride: usize) -> Partial {
        let finished = || {
            let (raw, crops) = self.sums.get()?;
            match stack {
                Stack::Raw => Some(Partial::of(raw, self.plan.partition.frame.width, stride)),
                Stack::Recentered => crops.as_ref().map(|crops| Partial::of(crops, self.plan.partition.stack.width, stride)),
            }
        };
        self.partial_sums.so_far(stack, stride, finished).await
    }

    /// Where a peer is now, if it is up.
    pub fn peer(&self, id: ServerId) -> Option<Peer> {
        self.directions.borrow().peers.get(id.0).cloned().flatten()
    }
}

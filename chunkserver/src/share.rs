//! One server's share of one job: slabs, tile, sums, and the addresses of peers.

mod counters;
mod frame_digests;
mod line_checksums;
mod memory_budget;
mod partial_sums;
mod peers;
mod row_checksums;

pub use counters::Counters;
pub use frame_digests::FrameDigests;
pub use line_checksums::{LineChecksums, StoredChecksums};
pub(crate) use memory_budget::with_permit;
pub use memory_budget::{MemoryBudget, Permit};
pub(crate) use partial_sums::ThreadSums;
pub use partial_sums::{FrameKind, PartialSum, PartialSums};
pub(crate) use peers::record_restart;
pub use row_checksums::RowChecksums;
pub(crate) use row_checksums::columns;

use crate::source::Source;
use api::arrays::{Array, Base};
use api::geometry::FrameSpec;
use api::job::{Job, Kept, Output};
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
use store::{BlockLayout, Error, Frames, Slots};
use tokio::sync::watch;
use transport::client::JobRef;

// The plan counts the buffers of tiles, and the store cuts and pads them.
const _: () = assert!(store::ALIGNMENT == api::plan::SECTOR_BYTES);
const _: () = assert!(store::READ_BYTES == api::plan::READ_BYTES && store::READ_BUFFERS == api::plan::READ_BUFFERS);

/// Addresses of the peers, and the last phase that is permitted. The operator changes the directions; tasks follow them.
#[derive(Clone, Debug)]
pub struct Directions {
    /// Version of the directions.
    pub stamp: u64,
    /// Every server of the plan, in order.
    pub peers: Vec<Option<Peer>>,
    /// The last phase that the server may work on.
    pub goal: Phase,
}

/// Which sums are complete.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summed {
    /// Whether the sums over this server's frames are complete.
    pub frames: bool,
    /// Number of bands whose spectra are summed.
    pub bands: usize,
}

/// Values computed from one frame while it is loaded.
#[derive(Clone, Debug)]
pub struct FrameNotes {
    /// Centroid along axis 0 and axis 1, in pixels.
    pub centroid: [f64; 2],
    /// Top-left corner of the crop, in pixels.
    pub offset: [i32; 2],
    /// Sums over the raw frame.
    pub raw: FrameStat,
    /// Sums over the crop; `None` without recentering.
    pub crop: Option<FrameStat>,
}

/// The share. The tasks of this server write pixels; readers and peers read them.
#[derive(Debug)]
pub struct Share {
    /// The job.
    pub job: Job,
    /// The plan.
    pub plan: Plan,
    /// This server.
    pub id: ServerId,
    /// Fetches the job's frames. Only the source contains this server's secrets.
    pub source: Source,
    /// Arrays that readers can request.
    pub arrays: Vec<Array>,
    /// Sums that the job's reductions need.
    pub ops: Ops,
    /// Raw frames, if the job keeps them and they differ from the stack.
    pub raw: Option<Frames>,
    /// Frames of the exchange.
    pub stack: Frames,
    /// Checksums of the rows of the stack; `None` if no row leaves this server or its memory.
    pub row_checksums: Option<RowChecksums>,
    /// Checksums of the arrays on the scratch disk.
    pub stored_checksums: StoredChecksums,
    /// A damage on the scratch disk that a reader has found. The share is then loaded again.
    pub damage: watch::Sender<Option<String>>,
    /// Known digests of the job's frames.
    pub frame_digests: FrameDigests,
    /// The tile before the transform, one slot per band, (t, pixel), if the job keeps it.
    pub rechunked: Option<Slots>,
    /// Spectra, one slot per band, (pixel, bin), if the job keeps them.
    pub spectrum: Option<Slots>,
    /// Notes of each frame of this server, in order.
    pub notes: Mutex<Vec<Option<FrameNotes>>>,
    /// Sums over axis 0 while frames are still being loaded.
    pub partial_sums: PartialSums,
    /// Sums over axis 0 of raw frames and of crops, once all frames of this server are loaded.
    pub sums: OnceLock<(FrameSums, Option<FrameSums>)>,
    /// Sums of spectra over this server's pixels, and per pixel.
    pub band_sums: Mutex<Option<BandSums>>,
    /// Which sums are complete.
    pub summed: watch::Sender<Summed>,
    /// Progress of the phases.
    pub counters: Counters,
    /// Memory for the responses to readers.
    pub memory_budget: MemoryBudget,
    /// The record of tasks and events.
    pub journal: Arc<Journal>,
    /// Addresses of the peers, and the goal.
    pub directions: watch::Sender<Directions>,
    /// The last boot id of each peer.
    known_peers: Mutex<peers::KnownBoots>,
}

/// Number of objects of outputs that the server writes. A file is one object; [`api::next_step()`] chooses its server.
fn own_objects(job: &Job, plan: &Plan, arrays: &[Array], id: ServerId) -> usize {
    let of = |(number, output): (usize, &Output)| match OutputGrid::new(output, arrays, &plan.partition) {
        Ok(grid) if output.is_zarr() => grid.objects_of(id, &plan.partition).count(),
        _ => usize::from(number % plan.partition.servers == id.0),
    };
    job.outputs.iter().enumerate().map(of).sum()
}

impl Share {
    /// Reserves the memory or disk space of the share.
    ///
    /// # Errors
    /// When the system refuses memory or disk space.
    pub fn new(
        job: Job,
        plan: Plan,
        id: ServerId,
        source: Source,
        directions: Directions,
        journal: Arc<Journal>,
        scratch: Option<&Path>,
    ) -> Result<Self, Error> {
        let (frames, bands, pixels) = (plan.frames_of(id).len(), plan.bands_of(id).len(), plan.pixels_of(id).len());
        let separate_raw = job.recenter.is_some() && plan.keeps(Kept::Raw);
        let of_frames = |frame_bytes: usize, row_bytes: usize| {
            let (at_once, buffers) = plan.frame_blocks(frames, frame_bytes);
            let layout = BlockLayout { frames, frame_bytes, row_bytes, at_once };
            Frames::new(layout, buffers, scratch.filter(|_| plan.storage.has_frames_on_disk()))
        };
        let raw_bytes = plan.partition.frame.bytes();
        let raw = separate_raw.then(|| of_frames(raw_bytes, raw_bytes)).transpose()?;
        let row_bytes = if plan.partition.exchanges { columns(&plan.partition, 0).len() } else { plan.partition.stack.bytes() };
        let stack = of_frames(plan.partition.stack.bytes(), row_bytes)?;
        let of_tiles = |each: usize| {
            let scratch = scratch.filter(|_| plan.storage.has_tiles_on_disk());
            Slots::streamed(pixels * each, plan.partition.band_pixels * each, plan.tile_buffers(), scratch)
        };
        let series = plan.partition.frames * plan.partition.stack.dtype.size();
        let rechunked = plan.stores_rechunked().then(|| of_tiles(series)).transpose()?;
        let spectrum = plan.stores_spectra().then(|| of_tiles(plan.spectrum_bytes())).transpose()?;
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
            row_checksums: RowChecksums::new(&plan, frames),
            stored_checksums: StoredChecksums::new(&plan, raw.as_ref(), &stack, rechunked.as_ref(), spectrum.as_ref()),
            damage: watch::Sender::new(None),
            frame_digests: FrameDigests::new(plan.partition.frames),
            counters: Counters::new(frames, job.recenter.is_some(), plan.partition.exchanges.then_some(bands), plan.fft.is_some(), objects),
            memory_budget: MemoryBudget::new(plan.spare, plan.notes_bytes(&job, id), plan.partition.servers),
            known_peers: Mutex::new(peers::boots(&directions.peers)),
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

    /// The job's identifiers in requests to peers.
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

    /// The store of the frames of `base`, and the specification of one frame.
    pub fn frame_store(&self, base: Base) -> (&Frames, FrameSpec) {
        match (base, &self.raw) {
            (Base::Raw, Some(raw)) if self.job.recenter.is_some() => (raw, self.plan.partition.frame),
            _ => (&self.stack, self.plan.partition.stack),
        }
    }

    /// The store of the tiles of `base`; `None` if the job does not keep them.
    pub fn tile_store(&self, base: Base) -> Option<&Slots> {
        if base == Base::Spectrum { self.spectrum.as_ref() } else { self.rechunked.as_ref() }
    }

    /// The array with this name.
    pub fn array(&self, name: &str) -> Option<&Array> {
        api::arrays::find(&self.arrays, name)
    }

    /// Sums over axis 0 of this server's frames loaded so far: every `stride`-th pixel along both axes.
    pub async fn partial_sum(&self, kind: FrameKind, stride: usize) -> PartialSum {
        let finished = || {
            let (raw, crops) = self.sums.get()?;
            match kind {
                FrameKind::Raw => Some(PartialSum::of(raw, self.plan.partition.frame.width, stride)),
                FrameKind::Recentered => crops.as_ref().map(|crops| PartialSum::of(crops, self.plan.partition.stack.width, stride)),
            }
        };
        self.partial_sums.collect(kind, stride, finished).await
    }

    /// The address of a peer; `None` if the peer is not running.
    pub fn peer(&self, id: ServerId) -> Option<Peer> {
        self.directions.borrow().peers.get(id.0).cloned().flatten()
    }
}

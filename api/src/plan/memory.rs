//! How much memory a server takes at its peak, part by part, in bytes.

use super::{Plan, ServerId};
use crate::arrays::catalog;
use crate::job::{GROUP, Job, Kept, Output, Reduction, Storage};
use crate::layout::Layout;
use serde::{Deserialize, Serialize};

/// A process before it does anything: code, runtime threads, connections.
const BASE: u64 = 40 << 20;

/// What is written exists as a peer's answer, pasted, and encoded or on its way to the disk.
const COPIES: u64 = 3;

/// Bytes of one server, each part at its own peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The process itself.
    pub base: u64,
    /// Raw frames, when kept.
    pub raw: u64,
    /// Frames as exchanged: crops, or raw frames.
    pub stack: u64,
    /// Fetched and half-decoded frames, while loading.
    pub load: u64,
    /// Sums that reductions need.
    pub sums: u64,
    /// Blocks in flight, and spectra in the making.
    pub exchange: u64,
    /// Tiles before the transform, when kept.
    pub rechunked: u64,
    /// Spectra.
    pub spectrum: u64,
    /// The largest output in the making, one at a time.
    pub writing: u64,
    /// Whether blocks are pulled while frames load.
    pub overlap: bool,
    /// Whether raw, stack, rechunked and spectrum live on disk.
    pub on_disk: bool,
}

impl Memory {
    /// Bytes that live as long as the job.
    pub fn stores(&self) -> u64 {
        self.raw + self.stack + self.rechunked + self.spectrum
    }

    /// Bytes of memory at the peak.
    pub fn peak(&self) -> u64 {
        let stores = if self.on_disk { 0 } else { self.stores() };
        let passing = if self.overlap { self.load + self.exchange } else { self.load.max(self.exchange) };
        self.base + stores + self.sums + passing.max(self.writing)
    }

    /// Bytes of scratch disk.
    pub fn disk(&self) -> u64 {
        if self.on_disk { self.stores() } else { 0 }
    }
}

/// Counts server `id`'s bytes under `plan`.
pub(super) fn of(plan: &Plan, job: &Job, id: ServerId) -> Memory {
    let frames = plan.frames_of(id).len() as u64;
    let pixels = plan.pixels_of(id).len() as u64;
    let threads = plan.threads as u64;
    let frame_bytes = plan.frame.bytes() as u64;
    let stack_bytes = plan.stack.bytes() as u64;
    let raw_apart = job.recenter.is_some();
    let keeps_raw = raw_apart && plan.keeps(Kept::Raw);
    // Decoded frames go straight into the store when it keeps them.
    let decoded = if raw_apart && !keeps_raw { threads * GROUP as u64 * frame_bytes } else { 0 };
    let load = if frames == 0 { 0 } else { plan.pace.bytes(plan, job, frames) + decoded + threads * frame_bytes / 4 };
    let per_pixel = accumulator_bytes(&job.reduce);
    // Each thread sums on its own; merging and finishing holds one more.
    let sums = (threads + 1) * per_pixel * (plan.frame.pixels() as u64 + if raw_apart { plan.stack.pixels() as u64 } else { 0 });
    let remote = plan.frames as u64 - frames;
    let band = plan.band_pixels as u64 * plan.stack.dtype.size() as u64;
    let scratch = threads * plan.frames as u64 * (super::PANEL_BYTES as u64 + 64);
    Memory {
        base: BASE,
        raw: if keeps_raw { frames * frame_bytes } else { 0 },
        stack: frames * stack_bytes,
        load,
        sums: if job.reduce.is_empty() { 0 } else { sums },
        exchange: if pixels == 0 { 0 } else { plan.window as u64 * remote * band + scratch },
        rechunked: if plan.exchanges && plan.keeps(Kept::Rechunked) {
            pixels * plan.frames as u64 * plan.stack.dtype.size() as u64
        } else {
            0
        },
        spectrum: pixels * plan.spectrum_bytes() as u64,
        writing: writing(plan, job),
        overlap: plan.overlap,
        on_disk: plan.storage == Storage::Disk,
    }
}

/// Bytes of the largest output while it is made: whole files, or some objects of a Zarr array.
fn writing(plan: &Plan, job: &Job) -> u64 {
    let arrays = catalog(job, plan);
    let of = |output: &Output| {
        let layout = Layout::new(output, &arrays, plan).ok()?;
        let (whole, object) = (layout.bytes(), layout.object_bytes());
        // Objects at the edge are whole ones too.
        let made = if output.is_zarr() { whole.max(object).min(object * layout.at_once()) } else { whole };
        Some(COPIES * made as u64)
    };
    job.outputs.iter().filter_map(of).max().unwrap_or(0)
}

/// Bytes that the sums of one pixel take.
fn accumulator_bytes(reduce: &[Reduction]) -> u64 {
    let (mut sum, mut squares, mut extremes) = (0, 0, 0);
    for op in reduce {
        match op {
            Reduction::Mean | Reduction::Sum => sum = 8,
            Reduction::Std | Reduction::Var => (sum, squares) = (8, 16),
            Reduction::Min | Reduction::Max => extremes = 8,
        }
    }
    sum + squares + extremes
}

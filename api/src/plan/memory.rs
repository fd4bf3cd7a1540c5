//! The estimated memory of a server at its peak, part by part, in bytes.

use super::{PANEL_BYTES, Partition, Plan, READ_BUFFERS, READ_BYTES, SECTOR_BYTES, SPECTRA_AT_ONCE, ServerId};
use crate::arrays::Array;
use crate::geometry::Dtype;
use crate::job::{Color, GROUP, Images, Job, Kept, Output, Reduction, Source};
use crate::output_grid::OutputGrid;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;

/// Bytes of an idle server: code, runtime threads, connections.
const BASE: u64 = 40 << 20;

/// Copies of an output while it is written: the responses of peers, the assembled array, and its encoded form.
const COPIES: u64 = 3;
/// Bytes of a checksum.
const CHECKSUM: u64 = 4;
/// Bytes of the notes of a frame, and of its part of lists.
const NOTE: u64 = 256;
/// Channels of a color image with alpha.
const CHANNELS: u64 = 4;
/// Bytes a pixel of a progressive JPEG in color: three channels of 1 byte, and three coefficients of 2 bytes.
const JPEG_COLORS: u64 = 9;

/// Bytes of one server, each part at its own peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The idle process.
    pub base: u64,
    /// Raw frames, if they are kept apart from the stack.
    pub raw: u64,
    /// Frames as exchanged: crops, or raw frames.
    pub stack: u64,
    /// Fetched and partly decoded frames during Load.
    pub load: u64,
    /// Sums of the reductions.
    pub sums: u64,
    /// Blocks in flight, and the working memory of the transform.
    pub exchange: u64,
    /// Tiles before the transform, if they are kept.
    pub rechunked: u64,
    /// Spectra.
    pub spectrum: u64,
    /// Checksums of rows, and on disk of lines.
    #[serde(default, skip_serializing_if = "is_default")]
    pub checksums: u64,
    /// The largest output while it is written. A server writes one output at a time.
    pub writing: u64,
    /// Whether the server pulls blocks while frames load, so that `load` and `exchange` add up.
    pub overlap: bool,
    /// Buffers of frames and tiles on their way to the disk, and of frames on their way back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub buffers: u64,
    /// Whether raw and stack are stored on disk.
    pub on_disk: bool,
    /// Whether rechunked and spectrum are stored on disk.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tiles_on_disk: bool,
}

/// Bodies without the field are those of earlier versions.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Memory {
    /// Bytes of arrays that exist until the end of the job, in memory or on disk.
    pub const fn stores(&self) -> u64 {
        self.raw + self.stack + self.rechunked + self.spectrum
    }

    /// All parts.
    pub const fn parts(&self) -> [u64; 11] {
        let Self { base, raw, stack, load, sums, exchange, rechunked, spectrum, checksums, writing, buffers, .. } = *self;
        [base, raw, stack, load, sums, exchange, rechunked, spectrum, checksums, writing, buffers]
    }

    /// Bytes of memory at the peak.
    pub fn peak(&self) -> u64 {
        let passing = if self.overlap { self.load + self.exchange } else { self.load.max(self.exchange) };
        self.base + (self.stores() - self.disk()) + self.sums + self.checksums + self.buffers + passing.max(self.writing)
    }

    /// Bytes of scratch disk.
    pub const fn disk(&self) -> u64 {
        let frames = if self.on_disk { self.raw + self.stack } else { 0 };
        let tiles = if self.tiles_on_disk { self.rechunked + self.spectrum } else { 0 };
        frames + tiles
    }
}

/// Estimates the memory of server `id` under `plan`.
pub(super) fn of(plan: &Plan, job: &Job, id: ServerId) -> Memory {
    let Partition { frame, stack, band_pixels, .. } = plan.partition;
    let all_frames = plan.partition.frames as u64;
    let frames = plan.frames_of(id).len() as u64;
    let pixels = plan.pixels_of(id).len() as u64;
    let threads = plan.threads as u64;
    let (frame_bytes, item) = (frame.bytes() as u64, stack.dtype.size() as u64);
    let has_crops = job.recenter.is_some();
    let keeps_raw = has_crops && plan.keeps(Kept::Raw);
    // A frame that is kept in memory is decoded directly into its slot.
    let on_disk = plan.storage.has_frames_on_disk();
    let decoded = if on_disk || (has_crops && !keeps_raw) { threads * GROUP as u64 * frame_bytes } else { 0 };
    let cropped = if on_disk && has_crops { threads * GROUP as u64 * stack.bytes() as u64 } else { 0 };
    let load = if frames == 0 { 0 } else { plan.pace.bytes(&plan.partition, job, frames) + decoded + cropped + threads * decoder(job) };
    // One accumulator for each thread, and one for the merged result.
    let summed_pixels = frame.pixels() as u64 + if has_crops { stack.pixels() as u64 } else { 0 };
    let sums = (threads + 1) * accumulator_bytes(&job.reduce) * summed_pixels;
    // Frames of a band that are not read in place. The rows of each block are read with the sectors around them.
    let pulled = if on_disk { all_frames } else { all_frames - frames };
    let (at_once, _) = plan.frame_blocks(frames as usize, stack.bytes());
    let around = if on_disk { frames.div_ceil(at_once as u64) * 2 * SECTOR_BYTES as u64 } else { 0 };
    let unstored = if plan.stores_spectra() { 0 } else { SPECTRA_AT_ONCE * plan.spectrum_bytes() };
    let scratch = threads * (all_frames * (PANEL_BYTES as u64 + 64) + unstored as u64);
    Memory {
        base: BASE,
        raw: if keeps_raw { frames * frame_bytes } else { 0 },
        stack: frames * stack.bytes() as u64,
        load,
        sums,
        exchange: if pixels == 0 { 0 } else { plan.bands_in_flight as u64 * (pulled * band_pixels as u64 * item + around) + scratch },
        rechunked: if plan.stores_rechunked() { pixels * all_frames * item } else { 0 },
        spectrum: if plan.stores_spectra() { pixels * plan.spectrum_bytes() as u64 } else { 0 },
        checksums: CHECKSUM
            * (checksums_of_rows(plan, frames) + checksums_on_disk(plan, keeps_raw, frames, plan.bands_of(id).len() as u64)),
        writing: writing(plan, job),
        overlap: plan.overlap,
        buffers: buffers_of_tiles(plan, pixels) + buffers_of_frames(plan, keeps_raw, frames),
        on_disk,
        tiles_on_disk: plan.storage.has_tiles_on_disk(),
    }
}

/// Bytes of the buffers of all arrays of tiles; 0 in memory.
fn buffers_of_tiles(plan: &Plan, pixels: u64) -> u64 {
    if !plan.storage.has_tiles_on_disk() || pixels == 0 {
        return 0;
    }
    let arrays = u64::from(plan.stores_spectra()) + u64::from(plan.stores_rechunked());
    let (count, bytes) = plan.tile_buffers();
    arrays * count as u64 * bytes as u64
}

/// Bytes of the buffers of blocks of frames, and of the buffers from which readers copy; 0 in memory.
fn buffers_of_frames(plan: &Plan, keeps_raw: bool, frames: u64) -> u64 {
    if !plan.storage.has_frames_on_disk() || frames == 0 {
        return 0;
    }
    let of = |frame_bytes: usize| {
        let (at_once, buffers) = plan.frame_blocks(frames as usize, frame_bytes);
        let read = READ_BYTES.min(frames as usize * frame_bytes);
        (buffers * (at_once * frame_bytes + SECTOR_BYTES) + READ_BUFFERS * read) as u64
    };
    of(plan.partition.stack.bytes()) + if keeps_raw { of(plan.partition.frame.bytes()) } else { 0 }
}

/// The number of checksums that blocks between servers have.
fn checksums_of_rows(plan: &Plan, frames: u64) -> u64 {
    if plan.has_row_checksums() { frames * plan.bands() as u64 } else { 0 }
}

/// The number of checksums of arrays on the scratch disk: of the rows of frames, of the frames of a band, of the spectra of pixels.
fn checksums_on_disk(plan: &Plan, keeps_raw: bool, frames: u64, bands: u64) -> u64 {
    let Partition { frame, stack, band_pixels, .. } = plan.partition;
    let rows = stack.height + if keeps_raw { frame.height } else { 0 };
    let rechunked = if plan.stores_rechunked() { plan.partition.frames } else { 0 };
    let spectra = if plan.stores_spectra() { band_pixels } else { 0 };
    let of_frames = if plan.storage.has_frames_on_disk() { frames * rows as u64 } else { 0 };
    let of_tiles = if plan.storage.has_tiles_on_disk() { bands * (rechunked + spectra) as u64 } else { 0 };
    of_frames + of_tiles
}

/// Bytes of a server's notes: values of each frame, and the sums of spectra of each pixel and of each bin.
pub(super) fn notes(plan: &Plan, job: &Job, id: ServerId) -> u64 {
    let frames = plan.frames_of(id).len() as u64;
    let spectra = if job.fft.is_some_and(|fft| fft.output.element().is_real()) { accumulator_bytes(&job.reduce) } else { 0 };
    // Of each band that is being transformed or merged, and of all bands. Sums of bins are two float64.
    let bins = (plan.threads as u64 + 1) * plan.bins as u64 * 2;
    frames * NOTE + spectra * (plan.pixels_of(id).len() as u64 + bins)
}

/// Bytes of a decoder's scratch: rows of a gray image, or all channels of a color image before their conversion.
fn decoder(job: &Job) -> u64 {
    let frame = job.frame.bytes() as u64;
    let colors = match (&job.source, job.frame.dtype) {
        (Source::Images(Images { color: Color::Luminance, .. }), Dtype::Uint8) => JPEG_COLORS,
        (Source::Images(Images { color: Color::Luminance, .. }), Dtype::Uint16) => CHANNELS,
        _ => 0,
    };
    frame / 4 + colors * frame
}

/// Bytes of the largest output while it is written: a whole file, or the objects of a Zarr array that one server writes at a time.
fn writing(plan: &Plan, job: &Job) -> u64 {
    let arrays = plan.arrays(job);
    job.outputs.iter().filter_map(|output| output_bytes(output, &arrays, &plan.partition)).max().unwrap_or(0)
}

/// `None` for an output that the validation of the manifest refuses.
fn output_bytes(output: &Output, arrays: &[Array], partition: &Partition) -> Option<u64> {
    let grid = OutputGrid::new(output, arrays, partition).ok()?;
    let (whole, object) = (grid.bytes(), grid.object_bytes());
    let extension = output.path().extension().map(OsStr::to_ascii_lowercase);
    if extension.is_some_and(|extension| extension == "json" || extension == "csv") {
        let text = whole / grid.array.element.size().max(1) * grid.array.element.text_bytes();
        return Some((COPIES - 1) * whole as u64 + text as u64);
    }
    // An object at the edge has the full size too.
    let written = if output.is_zarr() { whole.max(object).min(object * grid.at_once()) } else { whole };
    Some(COPIES * written as u64)
}

/// Bytes of the accumulators of one pixel; 0 without reductions.
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

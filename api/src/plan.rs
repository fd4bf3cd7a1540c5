//! The plan of a job: which server owns what, with how much memory, in which order. A pure function of the job and the budget.
//!
//! [`crate::partition`] divides frames and pixels between servers. The plan adds what depends on memory: the arrays that stay readable,
//! their storage, the bands in flight, and the pace of loading.

mod candidates;
mod identity;
mod memory;
mod pace;
mod placement;
mod text;

pub use crate::partition::{PANEL_BYTES, Partition, ServerId};
pub use identity::{PLAN_VERSION, Recorded};
pub use memory::Memory;
pub use pace::{Pace, groups};
pub use placement::Placement;

use crate::arrays::{Array, catalog};
use crate::geometry::{Element, human_bytes};
use crate::job::{Fft, Job, Kept};
use candidates::{MOST_SERVERS, candidates, counted, fewest};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// Pixels whose spectra are computed at once: the lanes of the widest vectors.
pub const SPECTRA_AT_ONCE: usize = 16;
/// Least size of a buffer for writes to disk, in bytes: large enough for the full rate of a disk.
const BUFFER_BYTES: usize = 4 << 20;
/// The unit of writes to disk, in bytes.
pub const SECTOR_BYTES: usize = 4096;
/// Least and greatest size of a block of frames on disk, in bytes, unless a frame is larger. A block is read in runs of one band, and memory
/// holds several blocks.
const BLOCK_BYTES: (usize, usize) = (4 << 20, 64 << 20);
/// Frames on disk are read in parts of this number of bytes, and a store keeps this number of buffers for parts.
pub const READ_BYTES: usize = 4 << 20;
#[expect(missing_docs, reason = "see READ_BYTES")]
pub const READ_BUFFERS: usize = 4;
/// Buffers that the disk writes while each thread fills another one.
const WRITES_IN_FLIGHT: usize = 2;

/// The memory and the cores that servers may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The memory.
    pub memory: Allowance,
    /// CPU cores of one machine ([`Allowance::Shared`]) or of one server ([`Allowance::PerServer`]).
    pub cores: usize,
}

/// Memory that all servers of one machine share, or memory of each server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Bytes for all servers together.
    Shared(u64),
    /// Bytes for each server.
    PerServer(u64),
}

/// Why a job does not fit its budget, with the change that makes it fit. Sizes are in bytes.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message documents each variant")]
pub enum Error {
    #[error("needs {} in {servers} servers together, {} is allowed; {advice}", human_bytes(*needed), human_bytes(*allowed))]
    Shared { needed: u64, allowed: u64, servers: usize, advice: String },
    #[error("needs {} a server, limit {}; {advice}", human_bytes(*needed), human_bytes(*allowed))]
    PerServer { needed: u64, allowed: u64, advice: String },
}

/// The plan. All work of a server follows from the job and the plan; a server decides nothing at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which server owns which frames and pixels. In JSON, the fields of the partition are fields of the plan.
    #[serde(flatten)]
    pub partition: Partition,
    /// Compute threads of one server.
    pub threads: usize,
    /// The transform, if the job has the phase Fft.
    pub fft: Option<Fft>,
    /// Stored bins of one pixel's spectrum; 0 without a transform.
    pub bins: usize,
    /// Arrays that stay readable after the run.
    pub keep: Vec<Kept>,
    /// Where slabs and tiles are stored: in memory or on disk.
    pub storage: Placement,
    /// Bands that one server pulls ahead of the transform.
    #[serde(rename = "window")]
    pub bands_in_flight: usize,
    /// Whether servers pull blocks while frames still load.
    pub overlap: bool,
    /// How servers load frames.
    pub pace: Pace,
    /// Frames that all servers decode in total: more than the job's frames if chunks of a Zarr array are decoded more than once.
    pub decoded_frames: u64,
    /// Estimated memory of each server, in order of [`ServerId`].
    pub memory: Vec<Memory>,
    /// Bytes that one server may allocate beyond its peak, for responses to readers.
    pub spare: u64,
}

impl Plan {
    /// Plans `job` for `servers` servers. Without a number: one server for each core of a machine with shared memory, or the fewest
    /// servers that fit if each server has its own memory.
    ///
    /// # Errors
    /// If the job does not fit the budget. The error states a number of servers, or an amount of memory, that fits.
    pub fn new(job: &Job, servers: Option<usize>, budget: &Budget) -> Result<Self, Error> {
        if let Some(servers) = servers {
            return Self::with_servers(job, servers.max(1), budget);
        }
        match budget.memory {
            Allowance::Shared(_) => Self::with_servers(job, budget.cores.clamp(1, job.frames), budget),
            Allowance::PerServer(allowed) => match fewest(job, allowed, budget.cores) {
                Some(servers) => Self::with_servers(job, servers, budget),
                None => Self::with_servers(job, job.frames.min(MOST_SERVERS), budget),
            },
        }
    }

    fn with_servers(job: &Job, servers: usize, budget: &Budget) -> Result<Self, Error> {
        let (allowed, threads) = per_server(budget, servers);
        let mut needed = u64::MAX;
        for plan in candidates(job, servers, threads).map(|plan| counted(plan, job)) {
            needed = needed.min(plan.peak_bytes());
            if let Some(spare) = allowed.checked_sub(plan.peak_bytes()) {
                return Ok(Self { spare, ..plan });
            }
        }
        Err(match budget.memory {
            Allowance::Shared(total) => Error::Shared {
                needed: needed * servers as u64,
                allowed: total,
                servers,
                advice: "use a smaller recenter.crop, fewer frames, keep less, storage: Disk, or a machine with more memory".into(),
            },
            Allowance::PerServer(allowed) => Error::PerServer {
                needed,
                allowed,
                advice: match fewest(job, allowed, threads) {
                    Some(fit) => format!("{fit} replicas would fit"),
                    None => format!("no number of replicas fits; raise servers.resources.limits.memory to {}", human_bytes(needed)),
                },
            },
        })
    }

    /// The plan with `identity` among all plans that this version considers for `job` on `servers` servers. Its memory may exceed the
    /// budget: servers that work by the plan have already allocated their memory.
    pub fn with_identity(job: &Job, servers: usize, budget: &Budget, identity: &str) -> Option<Self> {
        let (allowed, threads) = per_server(budget, servers.max(1));
        let plan = candidates(job, servers.max(1), threads).find(|plan| plan.identity() == identity)?;
        let plan = counted(plan, job);
        let spare = allowed.saturating_sub(plan.peak_bytes());
        Some(Self { spare, ..plan })
    }

    /// All plans that this version considers for `job` on `servers` servers, in order of preference, whether they fit or not.
    pub fn considered(job: &Job, servers: usize, budget: &Budget) -> impl Iterator<Item = Self> {
        let (_, threads) = per_server(budget, servers.max(1));
        candidates(job, servers.max(1), threads).map(|plan| counted(plan, job))
    }

    /// The memory that the work of server `id` needs, counted again: [`Self::memory`] is what the planner of the assignment counted.
    pub fn needed_memory(&self, job: &Job, id: ServerId) -> Memory {
        memory::of(self, job, id)
    }

    /// Bytes of a server's notes of its frames, of the sums of its spectra, and of its lists of frames. They are small, except for jobs of
    /// many tiny frames; a server takes them from the memory for readers.
    pub fn notes_bytes(&self, job: &Job, id: ServerId) -> u64 {
        memory::notes(self, job, id)
    }

    /// All arrays that readers see of `job` under this plan.
    pub fn arrays(&self, job: &Job) -> Vec<Array> {
        catalog(job, &self.partition, &self.keep)
    }

    /// Whether the array stays readable after the run.
    pub fn keeps(&self, kept: Kept) -> bool {
        self.keep.contains(&kept)
    }

    /// Bytes of one pixel's stored spectrum; 0 without a transform.
    pub fn spectrum_bytes(&self) -> usize {
        self.fft.map_or(0, |fft| self.bins * fft.output.values() * Element::Float32.size())
    }

    /// Whether servers store the spectra. Spectra that nothing keeps are computed only for their sums.
    pub fn stores_spectra(&self) -> bool {
        self.fft.is_some() && self.keeps(Kept::Spectrum)
    }

    /// Whether servers store tiles before the transform.
    pub fn stores_rechunked(&self) -> bool {
        self.partition.exchanges && self.keeps(Kept::Rechunked)
    }

    /// Number and size in bytes of the buffers through which a server writes the tiles of one array to disk.
    pub fn tile_buffers(&self) -> (usize, usize) {
        let spectra = if self.stores_spectra() { SPECTRA_AT_ONCE * self.spectrum_bytes() } else { 0 };
        let row = if self.stores_rechunked() { self.partition.band_pixels * self.partition.stack.dtype.size() } else { 0 };
        // The rest of a sector moves from one buffer to the next.
        let bytes = (spectra.max(row) + SECTOR_BYTES).next_multiple_of(SECTOR_BYTES).max(BUFFER_BYTES);
        (self.threads + WRITES_IN_FLIGHT, bytes)
    }

    /// Frames of a block on disk, and buffers for blocks, of a server with `frames` frames of `frame_bytes` bytes: all frames that are loaded at
    /// a time have a buffer.
    pub fn frame_blocks(&self, frames: usize, frame_bytes: usize) -> (usize, usize) {
        let in_flight = (self.pace.groups * self.pace.group).min(frames);
        let [least, most] = [BLOCK_BYTES.0, BLOCK_BYTES.1].map(|bytes| bytes / frame_bytes);
        let at_once = in_flight.max(least).min(most).clamp(1, frames.max(1));
        // Groups may begin and end within blocks.
        (at_once, in_flight.div_ceil(at_once) + 1 + WRITES_IN_FLIGHT)
    }

    /// The largest estimated peak of any server, in bytes of memory.
    pub fn peak_bytes(&self) -> u64 {
        self.memory.iter().map(Memory::peak).max().unwrap_or(0)
    }

    /// Whether servers keep a checksum of each row, the pixels that a frame and a band have in common: rows leave the server, or its
    /// memory.
    pub fn has_row_checksums(&self) -> bool {
        self.partition.exchanges && (self.partition.servers > 1 || self.storage.has_frames_on_disk())
    }

    /// See [`Partition::frames_of`].
    pub fn frames_of(&self, server: ServerId) -> Range<usize> {
        self.partition.frames_of(server)
    }

    /// See [`Partition::owner_of_frame`].
    pub fn owner_of_frame(&self, frame: usize) -> ServerId {
        self.partition.owner_of_frame(frame)
    }

    /// See [`Partition::bands`].
    pub const fn bands(&self) -> usize {
        self.partition.bands()
    }

    /// See [`Partition::bands_of`].
    pub fn bands_of(&self, server: ServerId) -> Range<usize> {
        self.partition.bands_of(server)
    }

    /// See [`Partition::band`].
    pub fn band(&self, band: usize) -> Range<usize> {
        self.partition.band(band)
    }

    /// See [`Partition::pixels_of`].
    pub fn pixels_of(&self, server: ServerId) -> Range<usize> {
        self.partition.pixels_of(server)
    }

    /// See [`Partition::owner_of_pixel`].
    pub fn owner_of_pixel(&self, pixel: usize) -> ServerId {
        self.partition.owner_of_pixel(pixel)
    }

    /// See [`Partition::ids`].
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ServerId> + use<> {
        self.partition.ids()
    }

    /// See [`Partition::wire_bytes`].
    pub fn wire_bytes(&self) -> u64 {
        self.partition.wire_bytes()
    }
}

/// Bytes and compute threads of one server.
fn per_server(budget: &Budget, servers: usize) -> (u64, usize) {
    match budget.memory {
        Allowance::Shared(total) => (total / servers as u64, (budget.cores / servers).max(1)),
        Allowance::PerServer(allowed) => (allowed, budget.cores.max(1)),
    }
}

#[cfg(test)]
mod tests;

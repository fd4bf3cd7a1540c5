//! Who owns what, in what order, with how much memory: a pure function of the job and the budget.
//!
//! Frames are cut into slabs of `chunkFrames`; a server owns consecutive slabs. The pixels of a frame, flattened, are
//! cut into *bands*; a server owns consecutive bands, and the tile it holds is all frames of its bands. A block is what
//! one server's slabs and another's band have in common: it crosses the wire once, in one response. Bands depend on the
//! job's geometry alone, never on the number of servers, so that sums over pixels are formed in the same order always.

mod identity;
mod memory;
mod pace;
mod text;

pub use identity::{PLAN_VERSION, Recorded};
pub use memory::Memory;
pub use pace::{Pace, groups};

use crate::geometry::{Element, FrameSpec, human_bytes, owner, share};
use crate::job::{Fft, FftOutput, Job, Kept, Storage};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// Width of a panel: the bytes of one frame that a kernel turns at a time, one cache line.
pub const PANEL_BYTES: usize = 64;
/// Bytes of a whole band over all frames that are aimed at: large enough for few requests, small enough to prefetch.
const BAND_BYTES: usize = 16 << 20;
/// Bands there should be at least, so that servers' shares differ little.
const BANDS: usize = 128;
/// Bands whose blocks are pulled while another is transformed, when memory allows.
const WINDOW: usize = 4;
/// More servers than this are never proposed.
const MOST_SERVERS: usize = 10_000;

/// A server's number within its job, 0 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub usize);

/// The memory and the processors that servers may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The memory.
    pub memory: Allowance,
    /// Processors of one machine (shared) or of one server.
    pub cores: usize,
}

/// Memory that is shared by all servers of one machine, or each server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Bytes for all servers together.
    Shared(u64),
    /// Bytes for each server.
    PerServer(u64),
}

/// Why there is no plan.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("needs {} in {servers} servers together, {} may be used; {advice}", human_bytes(*needed), human_bytes(*allowed))]
    Shared { needed: u64, allowed: u64, servers: usize, advice: String },
    #[error("needs {} a server, limit {}; {advice}", human_bytes(*needed), human_bytes(*allowed))]
    PerServer { needed: u64, allowed: u64, advice: String },
}

/// The plan. Everything that happens follows from it; nothing is left to choose at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of servers, N.
    pub servers: usize,
    /// Compute threads of one server.
    pub threads: usize,
    /// Number of frames, T.
    pub frames: usize,
    /// A frame as decoded.
    pub frame: FrameSpec,
    /// A frame as exchanged and transformed: the crop, or `frame`.
    pub stack: FrameSpec,
    /// Frames of one slab.
    pub slab_frames: usize,
    /// Consecutive pixels (flattened, row by row) of one band.
    pub band_pixels: usize,
    /// Whether pixels are exchanged at all.
    pub exchanges: bool,
    /// What the FFT leaves, if there is one.
    pub fft: Option<Fft>,
    /// Stored bins of one pixel's spectrum.
    pub bins: usize,
    /// Arrays that stay readable.
    pub keep: Vec<Kept>,
    /// Chunk grid (t, y, x) that readers of tiles see.
    pub chunks: [usize; 3],
    /// Where slabs and tiles live: memory or disk.
    pub storage: Storage,
    /// Bands in flight in one server.
    pub window: usize,
    /// Whether blocks are pulled while frames still load.
    pub overlap: bool,
    /// How frames are loaded.
    pub pace: Pace,
    /// Frames that are decoded in all; more than `frames` where chunks of a Zarr array are needed more than once.
    pub decoded_frames: u64,
    /// Memory of each server at its peak, part by part.
    pub memory: Vec<Memory>,
    /// Bytes that a server may take beyond its peak, for what readers ask for.
    pub spare: u64,
}

impl Plan {
    /// Plans `job` for `servers` servers; without a number, for as many as the machine has cores (shared memory), or
    /// the fewest that fit (memory of their own).
    ///
    /// # Errors
    /// When the job does not fit, with what would.
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
        for plan in candidates(job, servers, threads).map(|plan| plan.counted(job)) {
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

    /// Frames of the server, in order.
    pub fn frames_of(&self, server: ServerId) -> Range<usize> {
        let slabs = self.slabs_of(server);
        (slabs.start * self.slab_frames).min(self.frames)..(slabs.end * self.slab_frames).min(self.frames)
    }

    /// Slabs of the server, in order.
    pub fn slabs_of(&self, server: ServerId) -> Range<usize> {
        share(self.slabs(), self.servers, server.0)
    }

    /// Number of slabs.
    pub fn slabs(&self) -> usize {
        self.frames.div_ceil(self.slab_frames)
    }

    /// The server that owns frame `frame`.
    pub fn owner_of_frame(&self, frame: usize) -> ServerId {
        ServerId(owner(self.slabs(), self.servers, frame / self.slab_frames))
    }

    /// Number of bands; 0 when nothing is exchanged.
    pub fn bands(&self) -> usize {
        if self.exchanges { self.stack.pixels().div_ceil(self.band_pixels) } else { 0 }
    }

    /// Bands of the server, in order.
    pub fn bands_of(&self, server: ServerId) -> Range<usize> {
        share(self.bands(), self.servers, server.0)
    }

    /// Pixels (flattened) of a band.
    pub fn band(&self, band: usize) -> Range<usize> {
        band * self.band_pixels..((band + 1) * self.band_pixels).min(self.stack.pixels())
    }

    /// Pixels (flattened) that the server's bands hold.
    pub fn pixels_of(&self, server: ServerId) -> Range<usize> {
        let bands = self.bands_of(server);
        let end = (bands.end * self.band_pixels).min(self.stack.pixels());
        (bands.start * self.band_pixels).min(end)..end
    }

    /// The server that owns the pixel (flattened) `pixel`'s time series.
    pub fn owner_of_pixel(&self, pixel: usize) -> ServerId {
        ServerId(owner(self.bands(), self.servers, pixel / self.band_pixels))
    }

    /// All servers, in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ServerId> + use<> {
        (0..self.servers).map(ServerId)
    }

    /// Whether an array stays readable.
    pub fn keeps(&self, kept: Kept) -> bool {
        self.keep.contains(&kept)
    }

    /// float32 values of one stored bin: 2 for complex results.
    pub fn values_per_bin(&self) -> usize {
        match self.fft {
            Some(Fft { output: FftOutput::Complex, .. }) => 2,
            Some(_) => 1,
            None => 0,
        }
    }

    /// Bytes of one pixel's stored spectrum.
    pub fn spectrum_bytes(&self) -> usize {
        self.bins * self.values_per_bin() * Element::Float32.size()
    }

    /// Bytes that cross the wire between servers, over the whole job.
    pub fn wire_bytes(&self) -> u64 {
        if !self.exchanges {
            return 0;
        }
        let of_frames = |id| self.frames_of(id).len() as u64;
        let of_pixels = |id| self.pixels_of(id).len() as u64;
        let own: u64 = self.ids().map(|id| of_frames(id) * of_pixels(id)).sum();
        (self.frames as u64 * self.stack.pixels() as u64 - own) * self.stack.dtype.size() as u64
    }

    /// The largest peak of any server, in bytes of memory.
    pub fn peak_bytes(&self) -> u64 {
        self.memory.iter().map(Memory::peak).max().unwrap_or(0)
    }

    /// The plan with `identity` among those that this version considers for `job` on `servers` servers. Its memory is not compared with the
    /// budget: the servers that work by the plan hold their memory already.
    pub fn with_identity(job: &Job, servers: usize, budget: &Budget, identity: &str) -> Option<Self> {
        let (allowed, threads) = per_server(budget, servers.max(1));
        let plan = candidates(job, servers.max(1), threads).find(|plan| plan.identity() == identity)?.counted(job);
        let spare = allowed.saturating_sub(plan.peak_bytes());
        Some(Self { spare, ..plan })
    }

    /// All plans that this version considers for `job` on `servers` servers, whether they fit or not, in the order of preference.
    pub fn considered(job: &Job, servers: usize, budget: &Budget) -> impl Iterator<Item = Self> {
        let (_, threads) = per_server(budget, servers.max(1));
        candidates(job, servers.max(1), threads).map(|plan| plan.counted(job))
    }

    /// The plan with its memory counted.
    fn counted(mut self, job: &Job) -> Self {
        self.memory = self.ids().map(|id| memory::of(&self, job, id)).collect();
        self
    }
}

/// Bytes and threads of one server.
fn per_server(budget: &Budget, servers: usize) -> (u64, usize) {
    match budget.memory {
        Allowance::Shared(total) => (total / servers as u64, (budget.cores / servers).max(1)),
        Allowance::PerServer(allowed) => (allowed, budget.cores.max(1)),
    }
}

/// Plans from the one that keeps most and runs fastest to the one that needs least memory; their memory is not counted yet.
fn candidates(job: &Job, servers: usize, threads: usize) -> impl Iterator<Item = Plan> {
    let keeps = match &job.keep {
        Some(keep) => vec![keep.clone()],
        None => {
            let all = keep_all(job);
            let without = |dropped: &[Kept]| all.iter().copied().filter(|kept| !dropped.contains(kept)).collect::<Vec<_>>();
            let last_resort = if job.recenter.is_some() || job.exchanges() { without(&[Kept::Raw]) } else { all.clone() };
            vec![all, last_resort]
        }
    };
    let storages = match job.storage {
        Storage::Auto => vec![Storage::Memory, Storage::Disk],
        fixed => vec![fixed],
    };
    let sketch = Plan::sketch(job, servers, threads);
    let bands = sketch.bands().div_ceil(servers).max(1);
    let windows: Vec<usize> = [WINDOW, 2, 1].into_iter().map(|window| window.min(bands)).collect();
    let share = sketch.slabs().div_ceil(servers).max(1) * sketch.slab_frames;
    // To decode a chunk again for every few frames costs more than anything below.
    let paces = Pace::all(job, share.min(job.frames), threads);
    let mut choices = Vec::new();
    for storage in storages {
        for keep in &keeps {
            for pace in &paces {
                for window in &windows {
                    choices.extend([true, false].map(|overlap| (storage, keep.clone(), *pace, *window, overlap)));
                }
            }
        }
    }
    choices.into_iter().map(move |(storage, keep, pace, window, overlap)| {
        let mut plan = Plan::sketch(job, servers, threads);
        (plan.storage, plan.keep, plan.pace, plan.window, plan.overlap) = (storage, keep, pace, window, overlap);
        plan.decoded_frames = plan.decoded(job);
        plan
    })
}

impl Plan {
    /// The geometry, before memory is counted.
    fn sketch(job: &Job, servers: usize, threads: usize) -> Self {
        let stack = job.stack();
        let exchanges = job.exchanges();
        let mut plan = Self {
            servers,
            threads,
            frames: job.frames,
            frame: job.frame,
            stack,
            slab_frames: job.slab_frames,
            band_pixels: band_pixels(job.frames, &stack),
            exchanges,
            fft: job.fft,
            bins: job.bins(),
            keep: Vec::new(),
            chunks: [0; 3],
            storage: Storage::Memory,
            window: 1,
            overlap: false,
            pace: Pace { group: 1, groups: 1, requests: job.concurrency },
            decoded_frames: job.frames as u64,
            memory: Vec::new(),
            spare: 0,
        };
        plan.chunks = job.rechunk.unwrap_or_else(|| square_chunks(&plan));
        plan
    }
}

/// All that a job can keep, in the order data meets it.
fn keep_all(job: &Job) -> Vec<Kept> {
    let mut all = vec![Kept::Raw];
    all.extend(job.recenter.map(|_| Kept::Recentered));
    match job.fft {
        Some(_) => all.push(Kept::Spectrum),
        None => all.extend(job.rechunk.map(|_| Kept::Rechunked)),
    }
    all
}

/// Pixels of a band: whole panels, about [`BAND_BYTES`] over all frames, at least [`BANDS`] bands where pixels suffice.
fn band_pixels(frames: usize, stack: &FrameSpec) -> usize {
    let panel = PANEL_BYTES / stack.dtype.size();
    let by_bytes = BAND_BYTES / (frames * stack.dtype.size());
    let by_count = stack.pixels() / BANDS;
    (by_bytes.min(by_count) / panel * panel).max(panel)
}

/// A chunk grid for readers when none was asked for: whole time series of square patches of about 4 MiB.
fn square_chunks(plan: &Plan) -> [usize; 3] {
    let item = if plan.fft.is_some() { 4 * plan.values_per_bin() } else { plan.stack.dtype.size() };
    let edge = (((4 << 20) / (plan.frames * item)).max(1) as f64).sqrt() as usize;
    [plan.frames, edge.clamp(1, plan.stack.height), edge.clamp(1, plan.stack.width)]
}

/// The fewest servers whose share fits `allowed` bytes each.
fn fewest(job: &Job, allowed: u64, threads: usize) -> Option<usize> {
    let fits = |servers: usize| candidates(job, servers, threads).any(|plan| plan.counted(job).peak_bytes() <= allowed);
    let most = job.frames.div_ceil(job.slab_frames).clamp(1, MOST_SERVERS);
    // Shares shrink as servers are added, so a bisection finds the edge.
    if !fits(most) {
        return None;
    }
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests;

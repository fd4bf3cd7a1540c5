//! Which server owns which frames and which pixels: a pure function of the job and the number of servers.
//!
//! Frames are cut into *slabs* of `load.chunkFrames` frames. A server owns consecutive slabs. The pixels of a frame, flattened row by
//! row, are cut into *bands*. A server owns consecutive bands; the *tile* of the server is all frames of its bands. A *block* is the
//! intersection of one server's slabs and one band. Each block crosses the network once, in one response.
//!
//! Bands depend on the shape of the job alone, and not on the number of servers: sums over pixels always have the same order, so that
//! results are the same bytes for any number of servers.

use crate::geometry::{Element, FrameSpec, owner, share};
use crate::job::Job;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Width of a panel, in bytes of one frame: one cache line, the unit that a kernel transposes.
pub const PANEL_BYTES: usize = 64;
/// Target size of a band over all frames, in bytes: large enough for few requests, small enough to prefetch.
const BAND_BYTES: usize = 16 << 20;
/// Least number of bands, so that the shares of servers differ little.
const BANDS: usize = 128;
/// Target size of a chunk that readers see, in bytes.
const CHUNK_BYTES: usize = 4 << 20;

/// The number of a server within its job, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub usize);

/// The division of a job's frames and pixels between its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Number of servers; at least 1.
    pub servers: usize,
    /// Number of frames, T; at least 1.
    pub frames: usize,
    /// Shape and element type of a decoded frame.
    pub frame: FrameSpec,
    /// Shape and element type of a frame as servers exchange and transform it: the crop, or `frame`.
    pub stack: FrameSpec,
    /// Frames of one slab; at least 1.
    pub slab_frames: usize,
    /// Consecutive pixels of one band, of the flattened frame in C order.
    pub band_pixels: usize,
    /// Whether servers exchange pixels.
    pub exchanges: bool,
    /// Chunk shape (t, y, x) that readers of tiles see.
    pub chunks: [usize; 3],
}

impl Partition {
    /// Divides `job` between `servers` servers.
    pub fn new(job: &Job, servers: usize) -> Self {
        let stack = job.stack();
        Self {
            servers,
            frames: job.frames,
            frame: job.frame,
            stack,
            slab_frames: job.slab_frames,
            band_pixels: band_pixels(job.frames, &stack),
            exchanges: job.exchanges(),
            chunks: job.rechunk.unwrap_or_else(|| square_chunks(job)),
        }
    }

    /// Frames of `server`, in order.
    pub fn frames_of(&self, server: ServerId) -> Range<usize> {
        let slabs = self.slabs_of(server);
        (slabs.start * self.slab_frames).min(self.frames)..(slabs.end * self.slab_frames).min(self.frames)
    }

    /// Slabs of `server`, in order.
    pub fn slabs_of(&self, server: ServerId) -> Range<usize> {
        share(self.slabs(), self.servers, server.0)
    }

    /// Number of slabs.
    pub const fn slabs(&self) -> usize {
        self.frames.div_ceil(self.slab_frames)
    }

    /// Upper bound of the frames of one server.
    pub(crate) fn most_frames(&self) -> usize {
        (self.slabs().div_ceil(self.servers).max(1) * self.slab_frames).min(self.frames)
    }

    /// The server that owns frame `frame`.
    pub fn owner_of_frame(&self, frame: usize) -> ServerId {
        ServerId(owner(self.slabs(), self.servers, frame / self.slab_frames))
    }

    /// Number of bands; 0 if servers exchange no pixels.
    pub const fn bands(&self) -> usize {
        if self.exchanges { self.stack.pixels().div_ceil(self.band_pixels) } else { 0 }
    }

    /// Bands of `server`, in order.
    pub fn bands_of(&self, server: ServerId) -> Range<usize> {
        share(self.bands(), self.servers, server.0)
    }

    /// Flattened pixels of band `band`.
    pub fn band(&self, band: usize) -> Range<usize> {
        band * self.band_pixels..((band + 1) * self.band_pixels).min(self.stack.pixels())
    }

    /// Flattened pixels of all bands of `server`.
    pub fn pixels_of(&self, server: ServerId) -> Range<usize> {
        let bands = self.bands_of(server);
        let end = (bands.end * self.band_pixels).min(self.stack.pixels());
        (bands.start * self.band_pixels).min(end)..end
    }

    /// The server that owns the time series of the flattened pixel `pixel`.
    pub fn owner_of_pixel(&self, pixel: usize) -> ServerId {
        ServerId(owner(self.bands(), self.servers, pixel / self.band_pixels))
    }

    /// All servers, in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ServerId> + use<> {
        (0..self.servers).map(ServerId)
    }

    /// Bytes that the exchange moves between servers, over the whole job.
    pub fn wire_bytes(&self) -> u64 {
        if !self.exchanges {
            return 0;
        }
        let of_frames = |id| self.frames_of(id).len() as u64;
        let of_pixels = |id| self.pixels_of(id).len() as u64;
        let own: u64 = self.ids().map(|id| of_frames(id) * of_pixels(id)).sum();
        (self.frames as u64 * self.stack.pixels() as u64 - own) * self.stack.dtype.size() as u64
    }
}

/// Pixels of a band: whole panels, about [`BAND_BYTES`] over all frames, and at least [`BANDS`] bands if the frame has enough pixels.
fn band_pixels(frames: usize, stack: &FrameSpec) -> usize {
    let panel = PANEL_BYTES / stack.dtype.size();
    let by_bytes = BAND_BYTES / (frames * stack.dtype.size());
    let by_count = stack.pixels() / BANDS;
    (by_bytes.min(by_count) / panel * panel).max(panel)
}

/// The chunk shape (t, y, x) without `rechunk`: whole time series of square patches of about [`CHUNK_BYTES`].
fn square_chunks(job: &Job) -> [usize; 3] {
    let stack = job.stack();
    let item = job.fft.map_or(stack.dtype.size(), |fft| Element::Float32.size() * fft.output.values());
    let edge = ((CHUNK_BYTES / (job.frames * item)).max(1) as f64).sqrt() as usize;
    [job.frames, edge.clamp(1, stack.height), edge.clamp(1, stack.width)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::job;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slabs_and_bands_partition_and_each_block_has_one_sender_and_one_receiver(
            frames in 1usize..300, height in 1usize..40, width in 1usize..40, slab in 1usize..30, servers in 1usize..9,
        ) {
            let mut job = job(frames, height, width);
            job.slab_frames = slab.min(frames);
            let partition = Partition::new(&job, servers);
            let mut seen = vec![0u8; frames * height * width];
            let mut wire = 0u64;
            for sender in partition.ids() {
                for receiver in partition.ids() {
                    for band in partition.bands_of(receiver) {
                        let (own_frames, pixels) = (partition.frames_of(sender), partition.band(band));
                        if sender != receiver {
                            wire += (own_frames.len() * pixels.len()) as u64;
                        }
                        for t in own_frames {
                            prop_assert_eq!(partition.owner_of_frame(t), sender);
                            pixels.clone().for_each(|p| seen[t * height * width + p] += 1);
                        }
                    }
                }
                prop_assert!(partition.frames_of(sender).len() <= partition.most_frames());
                for pixel in partition.pixels_of(sender) {
                    prop_assert_eq!(partition.owner_of_pixel(pixel), sender);
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
            prop_assert_eq!(wire, partition.wire_bytes());
        }

        #[test]
        fn bands_do_not_depend_on_the_number_of_servers(
            frames in 1usize..3000, height in 1usize..500, width in 1usize..500, servers in 1usize..9,
        ) {
            let job = job(frames, height, width);
            let (one, many) = (Partition::new(&job, 1), Partition::new(&job, servers));
            prop_assert_eq!(one.band_pixels, many.band_pixels);
            prop_assert_eq!(one.chunks, many.chunks);
            prop_assert_eq!(one.band_pixels % PANEL_BYTES, 0);
        }
    }

    #[test]
    fn bands_and_chunks_have_their_documented_sizes() {
        // One byte a pixel: a band of 16 MiB over 256 frames has 65,536 pixels.
        let partition = Partition::new(&job(256, 4096, 4096), 3);
        assert_eq!(partition.band_pixels, 65_536);
        assert_eq!(partition.bands(), 256);
        // Four bytes a value of the spectrum: a patch of 64 × 64 pixels over 256 frames has 4 MiB.
        assert_eq!(partition.chunks, [256, 64, 64]);
        // Complex values have eight bytes, and pixels without a spectrum one.
        let mut other = job(256, 4096, 4096);
        other.fft = other.fft.map(|fft| crate::job::Fft { output: crate::job::FftOutput::Complex, ..fft });
        assert_eq!(Partition::new(&other, 3).chunks, [256, 45, 45]);
        other.fft = None;
        assert_eq!(Partition::new(&other, 3).chunks, [256, 128, 128]);
        // At least 128 bands, of whole panels.
        assert_eq!(Partition::new(&job(2, 256, 256), 3).band_pixels, 512);
        assert_eq!(Partition::new(&job(2, 250, 256), 3).band_pixels, 448);
        // A band of a small frame is one panel.
        assert_eq!(Partition::new(&job(2, 8, 8), 3).band_pixels, PANEL_BYTES);
        let mut deep = job(2, 8, 8);
        deep.frame.dtype = crate::geometry::Dtype::Uint16;
        assert_eq!(Partition::new(&deep, 3).band_pixels, PANEL_BYTES / 2);
        // 16 MiB over 256 frames of two bytes.
        deep = job(256, 4096, 4096);
        deep.frame.dtype = crate::geometry::Dtype::Uint16;
        assert_eq!(Partition::new(&deep, 3).band_pixels, 32_768);
        assert_eq!(Partition::new(&job(2, 8, 9), 3).chunks, [2, 8, 9]);
    }

    #[test]
    fn a_job_without_an_exchange_has_no_bands() {
        let mut job = job(7, 8, 8);
        job.fft = None;
        let partition = Partition::new(&job, 2);
        assert!(!partition.exchanges);
        assert_eq!((partition.bands(), partition.wire_bytes()), (0, 0));
        assert!(partition.ids().all(|id| partition.pixels_of(id).is_empty()));
    }
}

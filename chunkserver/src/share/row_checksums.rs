//! Checksums of the rows of this server's frames. A row is the pixels that a frame and a band have in common, and crosses the network as a
//! whole. The checksum is computed once, while the frame is in cache; the receiver of the row compares. So damage is found wherever it
//! happens in between: in memory, on the scratch disk, or on the network.

use api::partition::Partition;
use api::plan::Plan;
use kernels::checksum::row_checksum;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// The checksums, (frame, band) in C order.
#[derive(Debug)]
pub struct RowChecksums {
    bands: usize,
    checksums: Vec<AtomicU32>,
}

impl RowChecksums {
    /// Space for `frames` frames of a plan; `None` if the plan has no rows that leave this server or its memory.
    pub fn new(plan: &Plan, frames: usize) -> Option<Self> {
        plan.has_row_checksums().then(|| {
            let bands = plan.bands();
            Self { bands, checksums: (0..frames * bands).map(|_| AtomicU32::new(0)).collect() }
        })
    }

    /// Computes the checksums of frame `frame` of this server. Precedes the state "ready" of the frame's slot, whose readers therefore see
    /// the checksums.
    pub fn set(&self, frame: usize, bytes: &[u8], partition: &Partition) {
        let of_frame = &self.checksums[frame * self.bands..(frame + 1) * self.bands];
        for (band, checksum) in of_frame.iter().enumerate() {
            checksum.store(row_checksum(&bytes[columns(partition, band)]), Ordering::Relaxed);
        }
    }

    /// The checksum of the row of frame `frame` of this server and band `band`.
    pub fn get(&self, frame: usize, band: usize) -> u32 {
        self.checksums[frame * self.bands + band].load(Ordering::Relaxed)
    }

    /// The first of the frames `frames` whose row in `rows` differs from its checksum. `rows` holds one row a frame, `stride` bytes apart.
    pub fn first_damaged(&self, frames: Range<usize>, band: usize, rows: &[u8], row_bytes: usize, stride: usize) -> Option<usize> {
        frames
            .enumerate()
            .find(|&(index, frame)| row_checksum(&rows[index * stride..][..row_bytes]) != self.get(frame, band))
            .map(|(_, f)| f)
    }
}

/// The bytes of band `band` within a frame of the stack.
pub(crate) fn columns(partition: &Partition, band: usize) -> Range<usize> {
    let (pixels, item) = (partition.band(band), partition.stack.dtype.size());
    pixels.start * item..pixels.end * item
}

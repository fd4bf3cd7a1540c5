//! The digests of a job's frames that a server knows: of its own frames, of frames whose rows it pulled, and of frames that an earlier start
//! of this server loaded, which the loop sends.

use api::digest::{BLANK, FrameDigest, SourceChanged};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The known digests.
#[derive(Debug)]
pub struct FrameDigests {
    /// One digest for each frame of the job; 0 if unknown.
    known: Vec<AtomicU64>,
    /// The frames that this server loaded, in that order.
    loaded: Mutex<Vec<FrameDigest>>,
}

impl FrameDigests {
    /// No digest of a job of `frames` frames.
    pub fn new(frames: usize) -> Self {
        Self { known: (0..frames).map(|_| AtomicU64::new(0)).collect(), loaded: Mutex::default() }
    }

    /// The digest of `bytes`, which is neither 0 nor [`BLANK`].
    pub fn of(bytes: &[u8]) -> u64 {
        kernels::checksum::frame_digest(bytes).clamp(1, BLANK - 1)
    }

    /// The digest of a frame; `None` if it is unknown.
    pub fn get(&self, frame: usize) -> Option<u64> {
        self.known.get(frame).map(|known| known.load(Ordering::Relaxed)).filter(|&digest| digest != 0)
    }

    /// Adds the digest of a frame.
    ///
    /// # Errors
    /// When another digest of the frame is known.
    pub fn learn(&self, FrameDigest { frame, digest }: FrameDigest) -> Result<(), SourceChanged> {
        let Some(known) = self.known.get(frame) else { return Ok(()) };
        match known.compare_exchange(0, digest, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(before) if before == digest => Ok(()),
            Err(_) => Err(SourceChanged { frame }),
        }
    }

    /// Adds the digest of a frame that this server loaded.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn load(&self, digest: FrameDigest) -> Result<(), SourceChanged> {
        self.learn(digest)?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
        Ok(())
    }

    /// Number of frames that this server loaded.
    pub fn loaded(&self) -> usize {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The digests of the frames that this server loaded, without the first `after`.
    pub fn loaded_after(&self, after: usize) -> Vec<FrameDigest> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(after..).unwrap_or_default().to_vec()
    }

    /// All known digests, in the order of frames.
    pub fn all(&self) -> Vec<FrameDigest> {
        (0..self.known.len()).filter_map(|frame| Some(FrameDigest { frame, digest: self.get(frame)? })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_digest_of_a_known_frame_is_a_changed_source() {
        let digests = FrameDigests::new(3);
        let of = |frame, digest| FrameDigest { frame, digest };
        digests.learn(of(1, 5)).unwrap();
        digests.load(of(1, 5)).unwrap();
        digests.load(of(0, BLANK)).unwrap();
        assert_eq!(digests.load(of(0, 7)), Err(SourceChanged { frame: 0 }));
        assert_eq!(digests.get(0), Some(BLANK), "the first digest stays");
        assert_eq!((digests.loaded(), digests.loaded_after(1)), (2, vec![of(0, BLANK)]));
        assert_eq!(digests.loaded_after(9), []);
        assert_eq!(digests.all(), [of(0, BLANK), of(1, 5)]);
        digests.learn(of(3, 1)).unwrap();
        assert_eq!(digests.get(3), None, "a frame beyond the job is ignored");
    }
}

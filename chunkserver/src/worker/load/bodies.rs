//! Memory for the bodies of responses, and for the scratch of their decoders: at most what the plan counts.

use crate::share::Share;
use api::job::Images;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

/// Unit of the memory, in bytes.
const UNIT: u64 = 1 << 10;
/// Expected bytes of a body beyond its pixels: headers and metadata.
const HEADER: u64 = 4 << 10;
/// Most memory for [`HEADER`]s, in bytes; a part of the plan's base.
const HEADERS: u64 = 4 << 20;
/// One part of this number is expected beyond the pixels: data that does not compress.
const INCOMPRESSIBLE: u64 = 64;

/// The memory of one share. Responses are admitted together and release their memory together, and no response waits for memory while it
/// holds memory: one part of a group always proceeds.
#[derive(Debug)]
pub(super) struct Bodies {
    free: Arc<Semaphore>,
    total: u64,
    /// Bytes for which a response is admitted. Grows when a body is larger.
    expected: AtomicU64,
    /// Bytes of a body without colour.
    usual: u64,
    /// Largest body that the source may send.
    largest: u64,
    /// Held by a decoder whose scratch exceeds the memory of its responses.
    oversized: Mutex<()>,
}

/// Memory of responses that are fetched and decoded together.
#[derive(Debug)]
pub(super) struct Admitted {
    _permit: OwnedSemaphorePermit,
    /// Number of responses.
    pub(super) responses: usize,
    /// Largest body of each response.
    pub(super) each: u64,
}

impl Bodies {
    /// The memory that the plan counts for the fetched frames of `share`.
    pub(super) fn new(share: &Share, images: &Images, largest: u64) -> Self {
        let frames = share.frames().len();
        let pixels = (images.depth.min(frames.max(1)) * share.plan.partition.frame.bytes()) as u64;
        let planned = share.plan.pace.bytes(&share.plan.partition, &share.job, frames as u64);
        Self::of(planned, pixels, largest)
    }

    fn of(planned: u64, pixels: u64, largest: u64) -> Self {
        let expected = pixels + pixels / INCOMPRESSIBLE + HEADER;
        let headers = (planned / pixels.max(1) + 1).saturating_mul(HEADER).min(HEADERS);
        let total = (planned + planned / INCOMPRESSIBLE + headers).max(expected);
        Self {
            free: Arc::new(Semaphore::new((total / UNIT) as usize)),
            total,
            expected: AtomicU64::new(expected),
            usual: expected,
            largest: largest.min(total),
            oversized: Mutex::default(),
        }
    }

    /// Waits for the memory of at least one and at most `responses` responses.
    pub(super) async fn admit(&self, responses: usize) -> Admitted {
        let each = self.expected.load(Ordering::Relaxed).min(self.total);
        let fit = usize::try_from(self.total / each).unwrap_or(usize::MAX);
        let responses = responses.min(fit).max(1);
        let units = u32::try_from((responses as u64 * each / UNIT).min(self.total / UNIT)).unwrap_or(u32::MAX);
        match Arc::clone(&self.free).acquire_many_owned(units).await {
            Ok(permit) => Admitted { _permit: permit, responses, each },
            // The semaphore is never closed, so this arm is not reached.
            Err(_) => std::future::pending().await,
        }
    }

    /// Expects larger bodies, after a body exceeded `each` bytes. `false` if no larger body is allowed.
    pub(super) fn expect_larger(&self, each: u64) -> bool {
        self.expected.fetch_max((each * 2).min(self.largest), Ordering::Relaxed);
        each < self.largest
    }

    /// The most bytes of a body.
    pub(super) const fn largest(&self) -> u64 {
        self.largest
    }

    /// Whether a buffer of `bytes` bytes is kept for later responses. Buffers of larger bodies are freed, because idle buffers have no permit.
    pub(super) const fn keeps(&self, bytes: usize) -> bool {
        bytes as u64 <= self.usual
    }

    /// Waits until a decoder may allocate `scratch` bytes beside `bodies` bytes of admitted responses. Usually the bodies are smaller than
    /// their memory. Otherwise one decoder at a time exceeds the memory.
    pub(super) async fn decoder(&self, admitted: &Admitted, bodies: u64, scratch: u64) -> Option<MutexGuard<'_, ()>> {
        if bodies + scratch <= admitted.responses as u64 * admitted.each { None } else { Some(self.oversized.lock().await) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const MIB: u64 = 1 << 20;

    /// Memory for 32 frames of 1 MiB; bodies of at most 9 MiB.
    fn bodies() -> Bodies {
        Bodies::of(32 * MIB, MIB, 9 * MIB)
    }

    #[test]
    fn usual_bodies_are_admitted_as_planned() {
        let bodies = bodies();
        let admitted: Vec<Admitted> = (0..4).map(|_| bodies.admit(8).now_or_never().expect("the plan holds 32 frames")).collect();
        assert!(admitted.iter().all(|admitted| admitted.responses == 8 && admitted.each > MIB));
        let waiting = bodies.admit(8);
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none(), "the plan holds no further group");
        drop(admitted);
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn large_bodies_are_admitted_in_smaller_parts_and_never_beyond_the_plan() {
        let bodies = bodies();
        let mut each = bodies.admit(8).now_or_never().unwrap().each;
        while bodies.expect_larger(each) {
            each = bodies.admit(8).now_or_never().expect("nothing is admitted").each;
            let mut admitted = Vec::new();
            while let Some(part) = bodies.admit(8).now_or_never() {
                admitted.push(part);
            }
            let memory: u64 = admitted.iter().map(|part| part.responses as u64 * part.each).sum();
            assert!(!admitted.is_empty() && memory <= bodies.total, "{memory} of {}", bodies.total);
        }
        assert_eq!(each, 9 * MIB);
        assert_eq!(bodies.admit(8).now_or_never().unwrap().responses, 3);
        assert!(bodies.keeps(MIB as usize) && !bodies.keeps(2 * MIB as usize));
    }

    #[test]
    fn a_body_beyond_the_memory_is_never_allowed() {
        let bodies = Bodies::of(4 * MIB, MIB, 100 * MIB);
        assert!(bodies.largest() < 9 * MIB);
        let largest = bodies.largest();
        assert!(bodies.expect_larger(largest - 1) && !bodies.expect_larger(largest));
        let admitted = bodies.admit(8).now_or_never().unwrap();
        assert_eq!((admitted.responses, admitted.each), (1, largest));
    }

    #[tokio::test]
    async fn one_decoder_at_a_time_exceeds_the_memory_of_its_bodies() {
        let bodies = bodies();
        let admitted = bodies.admit(8).await;
        assert!(bodies.decoder(&admitted, MIB, 7 * MIB).await.is_none());
        let first = bodies.decoder(&admitted, 8 * MIB, 2 * MIB).await;
        assert!(first.is_some());
        assert!(bodies.decoder(&admitted, 8 * MIB, 2 * MIB).now_or_never().is_none());
        drop(first);
        assert!(bodies.decoder(&admitted, 8 * MIB, 2 * MIB).now_or_never().is_some());
    }
}

//! Small arrays: centroids, offsets and reductions, computed from the notes and sums of all servers.

use super::Error;
use super::deadline::unless_failed;
use crate::share::{FrameNotes, Share, with_permit};
use api::arrays::{Array, Base, Holder};
use api::geometry::FrameSpec;
use bytes::Bytes;
use kernels::reduce::{FrameStat, FrameSums};
use kernels::spectrum::BandSums;
use std::sync::PoisonError;

/// The values that a server sends for a small array, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumsKind {
    /// Centroids of the server's frames, (y, x), two float64 each.
    Centroids,
    /// Top-left corners of the server's crops, (y, x), two int32 each.
    Offsets,
    /// Sums over axis 0 of the server's frames.
    FrameSums,
    /// Sums over axes 1 and 2, frame by frame.
    FrameStats,
    /// Sums of the server's spectra.
    BandSums,
}

/// Copies of a server's values while a small array is computed.
const COPIES: u64 = 4;

/// The sums from which an array is computed.
pub(super) const fn source(holder: Holder) -> (Base, SumsKind) {
    match holder {
        Holder::Centroids => (Base::Raw, SumsKind::Centroids),
        Holder::Offsets => (Base::Raw, SumsKind::Offsets),
        Holder::Frame(Base::Spectrum, _) | Holder::Trace(Base::Spectrum, _) => (Base::Spectrum, SumsKind::BandSums),
        Holder::Frame(base, _) | Holder::Frames(base) | Holder::Tiles(base) => (base, SumsKind::FrameSums),
        Holder::Trace(base, _) => (base, SumsKind::FrameStats),
    }
}

/// This server's sums; waits until all frames or bands of the server are summed.
///
/// # Errors
/// When the job has failed before that.
pub(super) async fn own_sums(share: &Share, base: Base, kind: SumsKind) -> Result<Vec<u8>, Error> {
    unless_failed(share, sums(share, base, kind)).await
}

/// As [`own_sums`], for the reader of a peer: the bytes hold memory for parts until they are sent.
///
/// # Errors
/// As [`own_sums`].
pub async fn sums_for_peer(share: &Share, array: &Array) -> Result<Bytes, Error> {
    let (base, kind) = source(array.holder);
    let summed = async { if kind == SumsKind::BandSums { until_bands_summed(share).await } else { until_summed(share).await } };
    unless_failed(share, summed).await?;
    let permit = share.memory_budget.acquire_part(gathered_bytes(share, array.holder) / COPIES).await;
    Ok(with_permit(own_sums(share, base, kind).await?, permit))
}

async fn sums(share: &Share, base: Base, kind: SumsKind) -> Vec<u8> {
    match kind {
        SumsKind::FrameSums => {
            until_summed(share).await;
            let Some((raw, crops)) = share.sums.get() else { return Vec::new() };
            match (base, crops) {
                (Base::Recentered, Some(crops)) => crops.to_bytes(),
                _ => raw.to_bytes(),
            }
        }
        SumsKind::Centroids => notes(share, |note, to| note.centroid.iter().for_each(|c| to.extend(c.to_le_bytes()))).await,
        SumsKind::Offsets => notes(share, |note, to| note.offset.iter().for_each(|o| to.extend(o.to_le_bytes()))).await,
        SumsKind::FrameStats => {
            notes(share, |note, to| match (base, &note.crop) {
                (Base::Recentered, Some(crop)) => to.extend(crop.to_bytes()),
                _ => to.extend(note.raw.to_bytes()),
            })
            .await
        }
        SumsKind::BandSums => {
            until_bands_summed(share).await;
            share.band_sums.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(BandSums::to_bytes).unwrap_or_default()
        }
    }
}

/// The sums are set shortly after the last frame is ready, so this waits for both.
async fn until_summed(share: &Share) {
    share.stack.until_ready(0..share.stack.count()).await;
    let mut summed = share.summed.subscribe();
    // The sender is part of the share, which the caller holds.
    let _ = summed.wait_for(|summed| summed.frames).await;
}

async fn until_bands_summed(share: &Share) {
    if let Some(store) = &share.spectrum {
        store.until_ready(0..store.count()).await;
    }
    let bands = share.bands().len();
    let mut summed = share.summed.subscribe();
    let _ = summed.wait_for(|summed| summed.bands == bands).await;
}

async fn notes(share: &Share, write: impl Fn(&FrameNotes, &mut Vec<u8>)) -> Vec<u8> {
    until_summed(share).await;
    let mut bytes = Vec::new();
    let notes = share.notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.iter().flatten().for_each(|note| write(note, &mut bytes));
    bytes
}

/// Most bytes that a server holds while it computes a small array: its own values, those of one other server as received and as parsed, and
/// the merged values.
pub(super) fn gathered_bytes(share: &Share, holder: Holder) -> u64 {
    let partition = &share.plan.partition;
    let (frames, pixels) = (partition.frames as u64, |spec: FrameSpec| spec.pixels() as u64);
    let of = |wanted: bool, bytes: u64| if wanted { bytes } else { 0 };
    let sums = of(share.ops.sum, 8) + of(share.ops.squares, 16) + of(share.ops.min, 8) + of(share.ops.max, 8);
    COPIES
        * match holder {
            Holder::Centroids | Holder::Offsets => frames * 16,
            Holder::Trace(Base::Spectrum, _) | Holder::Frame(Base::Spectrum, _) => {
                sums * pixels(partition.stack) + 2 * sums * share.plan.bins as u64
            }
            Holder::Frame(Base::Recentered, _) => sums * pixels(partition.stack),
            Holder::Frame(..) => sums * pixels(partition.frame),
            Holder::Trace(..) => frames * FrameStat::BYTES as u64,
            Holder::Frames(_) | Holder::Tiles(_) => 0,
        }
}

/// The values of some servers, merged in the order of servers.
#[derive(Debug)]
pub(super) struct Merged {
    holder: Holder,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Frames(Option<FrameSums>),
    Bands(Option<BandSums>),
    /// The array's elements so far.
    Elements(Vec<u8>),
}

impl Merged {
    /// No values yet.
    pub(super) fn new(share: &Share, holder: Holder) -> Self {
        let values = match holder {
            Holder::Frame(Base::Spectrum, _) | Holder::Trace(Base::Spectrum, _) => Values::Bands(None),
            Holder::Frame(..) => Values::Frames(None),
            Holder::Trace(..) => Values::Elements(Vec::with_capacity(share.plan.partition.frames * 8)),
            Holder::Centroids | Holder::Offsets | Holder::Frames(_) | Holder::Tiles(_) => Values::Elements(Vec::new()),
        };
        Self { holder, values }
    }

    /// Adds the bytes of the next server.
    pub(super) fn add(mut self, server: usize, part: &[u8]) -> Result<Self, Error> {
        let malformed = || Error::Malformed(server);
        match &mut self.values {
            // A server without frames or bands has no sums.
            Values::Frames(_) | Values::Bands(_) if part.is_empty() => {}
            Values::Frames(all) => {
                let sums = FrameSums::from_bytes(part).map_err(|_| malformed())?;
                match all {
                    None => *all = Some(sums),
                    Some(all) => all.merge(&sums),
                }
            }
            Values::Bands(all) => {
                let sums = BandSums::from_bytes(part).map_err(|_| malformed())?;
                match all {
                    None => *all = Some(sums),
                    Some(all) => all.merge(&sums),
                }
            }
            Values::Elements(elements) => match self.holder {
                Holder::Trace(_, op) => {
                    for stat in part.chunks(FrameStat::BYTES) {
                        FrameStat::from_bytes(stat).map_err(|_| malformed())?.finish(op, elements);
                    }
                }
                _ => elements.extend_from_slice(part),
            },
        }
        Ok(self)
    }

    /// The array's elements.
    pub(super) fn finish(self) -> Vec<u8> {
        match (self.values, self.holder) {
            (Values::Elements(elements), _) => elements,
            (Values::Frames(Some(sums)), Holder::Frame(_, op)) => sums.finish(op).1,
            (Values::Bands(Some(sums)), Holder::Frame(_, op)) => sums.finish_pixels(op).1,
            (Values::Bands(Some(sums)), Holder::Trace(_, op)) => sums.finish_bins(op).1,
            (Values::Frames(_) | Values::Bands(_), _) => Vec::new(),
        }
    }
}

//! Small arrays: centroids, offsets and reductions, computed from the notes and sums of all servers.

use super::Error;
use super::deadline::unless_failed;
use crate::share::{FrameNotes, Share};
use api::arrays::{Base, Holder};
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
pub async fn own_sums(share: &Share, base: Base, kind: SumsKind) -> Result<Vec<u8>, Error> {
    unless_failed(share, sums(share, base, kind)).await
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
            if let Some(store) = &share.spectrum {
                store.until_ready(0..store.count()).await;
            }
            until_band_sums(share).await
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

async fn until_band_sums(share: &Share) -> Vec<u8> {
    let bands = share.bands().len();
    let mut summed = share.summed.subscribe();
    let _ = summed.wait_for(|summed| summed.bands == bands).await;
    share.band_sums.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(BandSums::to_bytes).unwrap_or_default()
}

async fn notes(share: &Share, write: impl Fn(&FrameNotes, &mut Vec<u8>)) -> Vec<u8> {
    until_summed(share).await;
    let mut bytes = Vec::new();
    let notes = share.notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.iter().flatten().for_each(|note| write(note, &mut bytes));
    bytes
}

/// Computes the array from the bytes of all servers, in the order of servers.
pub(super) fn finish(share: &Share, holder: Holder, parts: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    match holder {
        Holder::Frame(Base::Spectrum, op) => {
            Ok(merged(parts, BandSums::from_bytes, BandSums::merge)?.map_or_else(Vec::new, |sums| sums.finish_pixels(op).1))
        }
        Holder::Trace(Base::Spectrum, op) => {
            Ok(merged(parts, BandSums::from_bytes, BandSums::merge)?.map_or_else(Vec::new, |sums| sums.finish_bins(op).1))
        }
        Holder::Frame(_, op) => Ok(merged(parts, FrameSums::from_bytes, FrameSums::merge)?.map_or_else(Vec::new, |sums| sums.finish(op).1)),
        Holder::Trace(_, op) => {
            let mut trace = Vec::with_capacity(share.plan.partition.frames * 8);
            for (server, part) in parts.iter().enumerate() {
                for stat in part.chunks(FrameStat::BYTES) {
                    FrameStat::from_bytes(stat).map_err(|_| Error::Malformed(server))?.finish(op, &mut trace);
                }
            }
            Ok(trace)
        }
        Holder::Centroids | Holder::Offsets | Holder::Frames(_) | Holder::Tiles(_) => Ok(parts.concat()),
    }
}

/// Merges the sums of all servers in order; skips servers without sums.
fn merged<T, E>(parts: &[Vec<u8>], read: impl Fn(&[u8]) -> Result<T, E>, merge: impl Fn(&mut T, &T)) -> Result<Option<T>, Error> {
    let mut all = None;
    for (server, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let sums = read(part).map_err(|_| Error::Malformed(server))?;
        match &mut all {
            None => all = Some(sums),
            Some(all) => merge(all, &sums),
        }
    }
    Ok(all)
}

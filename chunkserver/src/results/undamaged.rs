//! Compares tiles on the scratch disk with their checksums shortly before a reader gets them.

use super::region::Cube;
use super::{Error, on_blocking_thread};
use crate::share::{LineChecksums, Share};
use api::arrays::{Base, Holder};
use api::geometry::intersect;
use api::phase::PhaseProgress;
use std::ops::Range;
use std::sync::Arc;
use store::Slots;

/// Bytes that the disk reads ahead of the comparison.
const AHEAD_BYTES: usize = 64 << 20;

/// Checks this server's part of `cube`, all of whose slots are ready, if they are tiles on disk. Frames on disk are compared while they are read
/// ([`super::stored_frames`]).
///
/// # Errors
/// When an element was damaged.
pub(super) async fn undamaged(share: &Arc<Share>, holder: Holder, cube: &Cube) -> Result<(), Error> {
    let Holder::Tiles(base) = holder else { return Ok(()) };
    if share.stored_checksums.of_tiles(base).is_none() {
        return Ok(());
    }
    let (owner, cube) = (Arc::clone(share), *cube);
    let damage = on_blocking_thread(move || damaged_tile(&owner, base, &cube)).await;
    damage.map_or(Ok(()), |band| Err(damaged(share, format!("{band} was damaged on the scratch disk of this server"))))
}

/// The error of a reader that found a damage. While the job works, a damaged share is loaded again, which ends reads of the share. After the end
/// of the work, only the damaged elements are refused: the source may be gone, and other elements stay readable.
pub(super) fn damaged(share: &Share, damage: String) -> Error {
    if share.counters.phases().iter().all(PhaseProgress::complete) || share.counters.failure().is_some() {
        share.counters.add_checksum_mismatch();
        tracing::warn!(damage, "elements are not readable any more");
        return Error::Unreadable(damage);
    }
    share.damage.send_replace(Some(damage.clone()));
    Error::Damaged(damage)
}

/// The first damaged band, in words.
fn damaged_tile(share: &Share, base: Base, cube: &Cube) -> Option<String> {
    let stored = StoredTiles { share, base, cube, checksums: share.stored_checksums.of_tiles(base)?, store: share.tile_store(base)? };
    // Two passes, and no list of all bands: a selection may have millions of lines.
    let (mut begun, mut ahead) = (stored.bands(), 0);
    for band in stored.bands() {
        // The disk reads the lines of later bands while this thread compares.
        while ahead < AHEAD_BYTES
            && let Some(next) = begun.next()
        {
            ahead += stored.prefetch(&next);
        }
        if stored.is_damaged(&band) {
            return Some(format!("band {}", band.band));
        }
        ahead = ahead.saturating_sub(stored.bytes(&band));
    }
    None
}

/// Tiles of this server on the scratch disk, of which a reader selects `cube`.
struct StoredTiles<'a> {
    share: &'a Share,
    base: Base,
    cube: &'a Cube,
    checksums: &'a LineChecksums,
    store: &'a Slots,
}

/// The selected lines of one band: spectra of pixels, or frames.
struct BandLines {
    band: usize,
    slot: usize,
    lines: Vec<Range<usize>>,
    line_bytes: usize,
}

impl StoredTiles<'_> {
    /// The bands of this server that contain selected pixels, in order.
    fn bands(&self) -> impl Iterator<Item = BandLines> {
        let (plan, width) = (&self.share.plan, self.share.plan.partition.stack.width);
        let own = self.cube.pixels_of(plan, self.share.id);
        let mut q = own.start;
        std::iter::from_fn(move || {
            if q >= own.end {
                return None;
            }
            let band = self.cube.pixel(q, width) / plan.partition.band_pixels;
            let pixels = plan.band(band);
            let in_band = intersect(&own, &self.cube.pixels_in(&pixels, width));
            q = in_band.end;
            let (lines, line_bytes) = if self.base == Base::Spectrum {
                (runs(in_band.map(|q| self.cube.pixel(q, width) - pixels.start)), plan.spectrum_bytes())
            } else {
                (runs((0..self.cube.t.count).map(|time| self.cube.t.at(time))), pixels.len() * plan.partition.stack.dtype.size())
            };
            Some(BandLines { band, slot: band - self.share.bands().start, lines, line_bytes })
        })
    }

    fn bytes(&self, band: &BandLines) -> usize {
        band.lines.iter().map(Range::len).sum::<usize>() * band.line_bytes
    }

    /// Begins to read the lines of a band. Returns their bytes.
    fn prefetch(&self, band: &BandLines) -> usize {
        for lines in &band.lines {
            self.store.prefetch(band.slot, lines.start * band.line_bytes..lines.end * band.line_bytes);
        }
        self.bytes(band)
    }

    fn is_damaged(&self, band: &BandLines) -> bool {
        let tile = self.store.read(band.slot..band.slot + 1).unwrap_or_default();
        let of_line = |line: usize| tile.get(line * band.line_bytes..(line + 1) * band.line_bytes);
        let mut lines = band.lines.iter().cloned().flatten();
        lines.any(|line| of_line(line).is_some_and(|bytes| self.checksums.is_damaged(band.slot, line, bytes)))
    }
}

/// Ascending numbers as ranges of consecutive numbers.
fn runs(numbers: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn consecutive_numbers_are_one_run() {
        assert_eq!(runs([2, 3, 4, 7, 9, 10].into_iter()), [2..5, 7..8, 9..11]);
        assert!(runs(std::iter::empty()).is_empty());
    }
}

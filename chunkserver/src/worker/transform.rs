//! Transforms the bands in order. Pulls the blocks of a few bands ahead.

mod tile;

use super::{Worker, store_reason};
use crate::compute::Pool;
use crate::exchange::pull_block;
use crate::share::Share;
use api::arrays::Base;
use api::digest::SourceChanged;
use api::geometry::cut;
use api::phase::{Phase, reason};
use api::plan::SECTOR_BYTES;
use api::words::chain;
use futures_util::StreamExt as _;
use journal::Kind;
use kernels::cut::paste_block;
use kernels::spectrum::{BandSums, Overwritten, Scratch, Segment, Spectrum};
use std::sync::{Arc, PoisonError};
use store::{Mapping, ReadBuffer, SlotStream};
use thiserror::Error;
use tile::SpectraTile;

/// Why a band cannot be transformed.
#[derive(Debug, Error)]
enum BandError {
    #[error("cannot store a band")]
    Store(#[from] store::Error),
    #[error(transparent)]
    Changed(#[from] SourceChanged),
    /// The share is loaded again.
    #[error("frame {frame} was damaged on the scratch disk of this server")]
    Damaged { frame: usize },
    /// The transform panicked. The panic is already printed.
    #[error("a bug of ArrayJob: the transform of band {band} panicked; please report it with the server's log")]
    Panicked { band: usize },
    #[error("a bug of ArrayJob: the slot of band {band} is written a second time; please report it with the server's log")]
    SlotRefused { band: usize },
}

impl BandError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => store_reason(error),
            Self::Damaged { .. } => reason::STORE_FAILED,
            Self::Changed(_) => reason::SOURCE_CHANGED,
            Self::Panicked { .. } | Self::SlotRefused { .. } => reason::INTERNAL_ERROR,
        }
    }
}

/// State shared by all bands.
struct Bands {
    worker: Arc<Worker>,
    share: Arc<Share>,
    spectrum: Option<Spectrum>,
    scratch: Pool<Scratch>,
    /// Memory for spectra that are not stored.
    unstored: Pool<Overwritten>,
    buffers: Pool<Mapping>,
    /// Memory for this server's frames that are on disk.
    own: Pool<ReadBuffer>,
}

/// This server's frames of a band, read from disk: the position of the rows of each block of frames, and the number of its frames.
struct OwnRows {
    buffer: ReadBuffer,
    blocks: Vec<(usize, usize)>,
}

/// Pulls and transforms all bands of the share.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>) {
    if share.bands().is_empty() {
        return;
    }
    let mut directions = share.directions.subscribe();
    // The channel closes only with the share, which also cancels this task.
    if directions.wait_for(|directions| directions.goal >= Phase::Rechunk).await.is_err() {
        return;
    }
    drop(directions);
    let plan = &share.plan;
    let spectrum =
        plan.fft.map(|fft| Spectrum::new(plan.partition.frames, plan.partition.stack.dtype, fft.window, fft.detrend, fft.output));
    let in_flight = plan.bands_in_flight.max(1);
    let (scratch, unstored, buffers, own) = (Pool::default(), Pool::default(), Pool::default(), Pool::default());
    let bands = Arc::new(Bands { worker, share: Arc::clone(&share), spectrum, scratch, unstored, buffers, own });
    let work = futures_util::stream::iter(share.bands()).map(|band| Arc::clone(&bands).band(band)).buffer_unordered(in_flight);
    let mut work = std::pin::pin!(work);
    while let Some(done) = work.next().await {
        if let Err(error) = done {
            if let BandError::Damaged { .. } | BandError::Store(store::Error::Read(_)) = error {
                return bands.worker.load_again(&share, &chain(&error));
            }
            bands.worker.fail(&share, error.reason(), chain(&error));
            return;
        }
    }
    bands.worker.notify();
}

impl Bands {
    /// One band: pull, then transform.
    async fn band(self: Arc<Self>, band: usize) -> Result<(), BandError> {
        let share = &self.share;
        let row = share.plan.band(band).len() * share.plan.partition.stack.dtype.size();
        let remote = share.plan.partition.frames - share.frames().len();
        if let Some(counter) = &share.counters.rechunk {
            counter.start();
        }
        let full_row = share.plan.partition.band_pixels * share.plan.partition.stack.dtype.size();
        let mut buffer = match self.buffers.take() {
            Some(buffer) => buffer,
            None => Mapping::new(remote * full_row, None)?,
        };
        self.pull(band, row, &mut buffer.as_mut_slice()[..remote * row]).await?;
        share.stack.until_ready(0..share.stack.count()).await;
        let rechunked = || share.counters.rechunk.as_ref().is_some_and(|counter| counter.done(1, (remote * row) as u64));
        if self.spectrum.is_some() {
            rechunked();
        }
        let own = Arc::clone(&self).own_rows(band).await?;
        let this = Arc::clone(&self);
        let done = self.worker.compute.run(move || {
            let done = this.transform(band, row, &buffer.as_slice()[..remote * row], own.as_ref());
            this.buffers.put(buffer);
            if let Some(own) = own {
                this.own.put(own.buffer);
            }
            done
        });
        done.await.unwrap_or(Err(BandError::Panicked { band }))?;
        // On disk, a band is complete after the last write of its tiles.
        let slot = band - share.bands().start;
        for store in [&share.rechunked, &share.spectrum].into_iter().flatten() {
            store.until_written(slot).await?;
        }
        let transformed = share.plan.band(band).len() * share.plan.spectrum_bytes();
        let is_last = match &share.counters.fft {
            Some(counter) => counter.done(1, transformed as u64),
            None => rechunked(),
        };
        if is_last {
            self.worker.notify();
        }
        Ok(())
    }

    /// Pulls the blocks of all other servers into `buffer`, in the order of frames.
    async fn pull(&self, band: usize, row: usize, buffer: &mut [u8]) -> Result<(), SourceChanged> {
        let share = &self.share;
        let mut rest = buffer;
        let mut pulls = Vec::new();
        for id in share.plan.ids().filter(|&id| id != share.id) {
            let (block, behind) = rest.split_at_mut(share.plan.frames_of(id).len() * row);
            rest = behind;
            if !block.is_empty() {
                pulls.push(pull_block(&self.worker.client, share, id, band, block));
            }
        }
        let retries: u64 = futures_util::future::try_join_all(pulls).await?.into_iter().sum();
        if let Some(counter) = &share.counters.rechunk {
            counter.retried(retries);
        }
        Ok(())
    }

    /// Reads this server's frames of a band, if they are on disk. The disk reads one band while others are transformed.
    async fn own_rows(self: Arc<Self>, band: usize) -> Result<Option<OwnRows>, BandError> {
        if self.share.stack.disk().is_none() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let Some(blocks) = self.share.stack.disk() else { return Ok(None) };
            let mut buffer = self.own.take().map_or_else(|| ReadBuffer::new(blocks.band_buffer_bytes()), Ok)?;
            let blocks = blocks.read_band(band, &mut buffer)?;
            Ok(Some(OwnRows { buffer, blocks }))
        });
        read.await.unwrap_or(Err(BandError::Panicked { band }))
    }

    /// The band's frames as segments of memory: this server's frames in the store or read from disk, the other frames in the buffer.
    fn segments<'a>(&'a self, band: usize, row: usize, buffer: &'a [u8], own_rows: Option<&'a OwnRows>) -> Vec<Segment<'a>> {
        let share = &self.share;
        let stride = share.plan.partition.stack.bytes();
        let first = share.plan.band(band).start * share.plan.partition.stack.dtype.size();
        let mut at = 0;
        let mut segments = Vec::with_capacity(share.plan.partition.servers);
        for id in share.plan.ids() {
            let frames = share.plan.frames_of(id).len();
            if frames == 0 {
                continue;
            }
            if let Some(OwnRows { buffer, blocks }) = own_rows.filter(|_| id == share.id) {
                let segment = |&(at, frames)| Segment { bytes: &buffer.as_slice()[at..], frames, stride: row };
                segments.extend(blocks.iter().map(segment));
            } else if id == share.id {
                let own = share.stack.memory().and_then(|stack| stack.read(0..frames)).unwrap_or_default();
                segments.push(Segment { bytes: &own[first..], frames, stride });
            } else {
                segments.push(Segment { bytes: &buffer[at..at + frames * row], frames, stride: row });
                at += frames * row;
            }
        }
        segments
    }

    /// Compares this server's own rows with their checksums after they were on the scratch disk. The rows of peers are compared when they
    /// arrive.
    fn compare_own(&self, band: usize, row: usize, own: &OwnRows) -> Result<(), BandError> {
        let share = &self.share;
        let Some(checksums) = &share.row_checksums else { return Ok(()) };
        let mut first = 0;
        for &(at, frames) in &own.blocks {
            let rows = &own.buffer.as_slice()[at..][..frames * row];
            if let Some(frame) = checksums.first_damaged(first..first + frames, band, rows, row, row) {
                return Err(BandError::Damaged { frame: share.frames().start + frame });
            }
            first += frames;
        }
        Ok(())
    }

    /// Pastes and transforms one band, on a compute thread.
    fn transform(&self, band: usize, row: usize, buffer: &[u8], own: Option<&OwnRows>) -> Result<(), BandError> {
        let share = &self.share;
        let slot = band - share.bands().start;
        let segments = self.segments(band, row, buffer, own);
        own.map_or(Ok(()), |own| self.compare_own(band, row, own))?;
        if let Some(slots) = &share.rechunked {
            let task = share.journal.begin(Kind::Gather, band);
            self.paste(slot, row, &segments, slots.stream(slot).ok_or(BandError::SlotRefused { band })?)?;
            task.done((share.plan.partition.frames * row) as u64);
        }
        let Some(spectrum) = &self.spectrum else { return Ok(()) };
        if let Some(counter) = &share.counters.fft {
            counter.start();
        }
        let task = share.journal.begin(Kind::Fft, band);
        let mut scratch = self.scratch.take().unwrap_or_else(|| spectrum.scratch());
        let pixels = share.plan.band(band).len();
        let mut sums = (!share.ops.is_empty()).then(|| BandSums::new(share.plan.partition.frames, share.ops, share.plan.band(band).start));
        if let Some(slots) = &share.spectrum {
            let mut tile = SpectraTile::new(share, slot, slots.stream(slot).ok_or(BandError::SlotRefused { band })?);
            spectrum.band_into(&segments, pixels, &mut tile, &mut scratch, sums.as_mut())?;
            tile.finish();
        } else {
            let mut group = self.unstored.take().unwrap_or_default();
            let Ok(()) = spectrum.band_into(&segments, pixels, &mut group, &mut scratch, sums.as_mut());
            self.unstored.put(group);
        }
        self.scratch.put(scratch);
        self.add_up(sums);
        task.done((pixels * share.plan.spectrum_bytes()) as u64);
        Ok(())
    }

    /// Pastes the frames of a band into its tile, as many at once as a buffer of the tile holds.
    fn paste(&self, slot: usize, row: usize, segments: &[Segment<'_>], mut tile: SlotStream<'_>) -> Result<(), BandError> {
        let checksums = self.share.stored_checksums.of_tiles(Base::Rechunked);
        let (_, buffer_bytes) = self.share.plan.tile_buffers();
        let at_once = (buffer_bytes - SECTOR_BYTES) / row;
        let mut first = 0;
        for segment in segments {
            for frames in cut(segment.frames, at_once) {
                let piece = tile.next(frames.len() * row)?;
                paste_block(&segment.bytes[frames.start * segment.stride..], segment.stride, piece, row);
                if let Some(checksums) = checksums {
                    checksums.set(slot, first, piece, row);
                }
                first += frames.len();
            }
        }
        tile.finish();
        Ok(())
    }
}

impl Bands {
    /// Adds a band's sums to the share's.
    fn add_up(&self, sums: Option<BandSums>) {
        if let Some(sums) = sums {
            let mut all = self.share.band_sums.lock().unwrap_or_else(PoisonError::into_inner);
            match all.as_mut() {
                None => *all = Some(sums),
                Some(all) => all.merge(&sums),
            }
        }
        self.share.summed.send_modify(|summed| summed.bands += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Slots;

    #[test]
    fn a_panic_and_a_refused_slot_are_bugs_and_not_failures_of_the_store() {
        for error in [BandError::Panicked { band: 7 }, BandError::SlotRefused { band: 7 }] {
            assert_eq!(error.reason(), reason::INTERNAL_ERROR);
            assert!(error.to_string().contains("a bug of ArrayJob") && error.to_string().contains("band 7"), "{error}");
        }
        assert_eq!(BandError::Store(Slots::new(usize::MAX, 2, None).unwrap_err()).reason(), reason::STORE_FAILED);
    }
}

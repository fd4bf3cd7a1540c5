//! Up to eight frames on one compute thread: decoded into their slots, recentered, summed and made ready while they are in cache.

use super::error::FrameError;
use super::frame_source::{Decoded, Delivery, FrameSource};
use super::tasks::BatchTasks;
use crate::share::{FrameNotes, Share, ThreadSums};
use api::arrays::Base;
use api::digest::{BLANK, FrameDigest};
use api::job::{GROUP, Method, OnError, Recenter};
use api::words::chain;
use formats::decode::Decoder;
use journal::{Event, Kind};
use kernels::recenter::{self, Total};
use kernels::reduce::FrameStat;
use std::ops::DerefMut;
use std::sync::PoisonError;
use store::{Frames, SlotWriter, Slots};

/// Scratch of one compute thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    decoder: Decoder,
    centroid: recenter::Scratch,
    /// Decoded frames that are not kept in memory.
    frames: Vec<u8>,
    /// Crops that are not kept in memory.
    crops: Vec<u8>,
}

/// A frame's number in the job, and the delivery that contains the frame.
pub(super) type Delivered<'a> = (usize, &'a Delivery);

/// Computes the frames of one batch, at most [`GROUP`].
pub(super) fn compute(
    share: &Share,
    source: &FrameSource,
    frames: &[Delivered<'_>],
    scratch: &mut Scratch,
    sums: &mut ThreadSums,
) -> Result<(), FrameError> {
    let Scratch { decoder, centroid, frames: unkept, crops } = scratch;
    let mut tasks = BatchTasks::new(share, frames[0].0, frames.len());
    // Decoded frames go to their slots, if they are kept in memory.
    let kept = raw_store(share);
    let mut slots = claim(kept.and_then(Frames::memory), share.frames().start, frames.iter().map(|(frame, _)| *frame))?;
    let mut targets = targets(&mut slots, unkept, share.plan.partition.frame.bytes(), frames.len());
    let fetched = decode(share, source, decoder, frames, &mut targets, &mut tasks)?;
    let decoded: Vec<&[u8]> = targets.iter().map(|target| &**target).collect();
    let notes = match &share.job.recenter {
        Some(recenter) => recentered(share, recenter, frames, &decoded, (centroid, crops), sums, &mut tasks)?,
        None => decoded.iter().map(|image| notes_of_raw(share, image)).collect(),
    };
    if !share.ops.is_empty() {
        sums.raw.add(&decoded);
    }
    if share.job.recenter.is_none() {
        seal(share, frames, &decoded);
    } else if kept.is_some() {
        seal_lines(share, Base::Raw, frames, &decoded);
    }
    // The task of the last frame contains the sums of the batch.
    tasks.end();
    if let Some(store) = kept {
        put(share, store, frames, &decoded)?;
    }
    slots.into_iter().for_each(SlotWriter::finish);
    record(share, frames[0].0, notes);
    if let Some(counter) = &share.counters.recenter {
        counter.done(frames.len(), (frames.len() * share.plan.partition.stack.bytes()) as u64);
    }
    if share.stack.disk().is_some() {
        // The frames are counted after the write of their block.
        share.counters.load.received(fetched);
    } else {
        share.counters.load.done(frames.len(), fetched);
    }
    Ok(())
}

/// The store of decoded frames; `None` if the job keeps only crops.
fn raw_store(share: &Share) -> Option<&Frames> {
    if share.job.recenter.is_some() { share.raw.as_ref() } else { Some(&share.stack) }
}

/// One slot for each frame, in order, if the frames are in memory; `first` is the frame of slot 0. A refused slot is an error: with one slot
/// fewer, later frames would move to the slots of other frames.
fn claim(store: Option<&Slots>, first: usize, frames: impl Iterator<Item = usize>) -> Result<Vec<SlotWriter<'_>>, FrameError> {
    let Some(store) = store else { return Ok(Vec::new()) };
    frames.map(|frame| store.write(frame - first).ok_or(FrameError::SlotRefused { frame })).collect()
}

/// Memory for `count` frames of `bytes` bytes: their slots, or `scratch` if they have none.
fn targets<'a>(slots: &'a mut [SlotWriter<'_>], scratch: &'a mut Vec<u8>, bytes: usize, count: usize) -> Vec<&'a mut [u8]> {
    if slots.is_empty() {
        scratch.resize(GROUP * bytes, 0);
        scratch.chunks_exact_mut(bytes).take(count).collect()
    } else {
        slots.iter_mut().map(DerefMut::deref_mut).collect()
    }
}

/// Copies frames to their blocks, if the store is on disk. Their checksums are known before.
fn put(share: &Share, store: &Frames, frames: &[Delivered<'_>], images: &[&[u8]]) -> Result<(), FrameError> {
    if let Some(blocks) = store.disk() {
        for (&(frame, _), image) in frames.iter().zip(images) {
            blocks.put(frame - share.frames().start, image)?;
        }
    }
    Ok(())
}

/// Decodes each frame into its target. A missing frame becomes blank or fails the job. Returns the fetched bytes.
fn decode(
    share: &Share,
    source: &FrameSource,
    decoder: &mut Decoder,
    frames: &[Delivered<'_>],
    targets: &mut [&mut [u8]],
    tasks: &mut BatchTasks<'_>,
) -> Result<u64, FrameError> {
    let mut bytes = 0;
    for (&(frame, delivery), target) in frames.iter().zip(targets) {
        tasks.begin(Kind::Decode, frame);
        let known = share.frame_digests.get(frame);
        let decoded = match decode_frame(share, source, decoder, (frame, delivery), target) {
            // The frame was blank before the loss of a server, and stays blank.
            Ok(_) if known == Some(BLANK) => Ok(blank(share, frame, target)),
            Ok(decoded) => Ok(decoded),
            Err(error) if share.job.on_error == OnError::Blank => match known {
                None | Some(BLANK) => {
                    tasks.fail();
                    tracing::warn!(frame, error = chain(&error), "the frame is blank");
                    share.journal.mark_as(Event::Blank, error.reason(), &format!("frame {frame} is blank: {}", chain(&error)));
                    Ok(blank(share, frame, target))
                }
                Some(_) => Err(FrameError::Vanished { frame, source: Box::new(error) }),
            },
            Err(error) => Err(error),
        };
        let decoded = decoded.inspect_err(|_| tasks.fail())?;
        bytes += decoded.fetched;
        let changed = |changed| FrameError::Changed { changed, url: source.url(delivery) };
        share.frame_digests.load(FrameDigest { frame, digest: decoded.digest }).map_err(changed)?;
    }
    Ok(bytes)
}

/// Decodes one frame. A damaged frame is fetched once more.
fn decode_frame(
    share: &Share,
    source: &FrameSource,
    decoder: &mut Decoder,
    (frame, delivery): Delivered<'_>,
    target: &mut [u8],
) -> Result<Decoded, FrameError> {
    let error = match source.decode(decoder, share, frame, delivery, target) {
        Err(error) if error.is_damage() => error,
        other => return other,
    };
    let Some(again) = source.fetch_again(share, delivery) else { return Err(error) };
    tracing::debug!(frame, error = chain(&error), "the frame is fetched once more");
    share.journal.mark(Event::Retry, &format!("frame {frame} is fetched once more: {}", chain(&error)));
    share.counters.load.retried(1);
    source.decode(decoder, share, frame, &again, target)
}

/// Makes a frame zero.
fn blank(share: &Share, frame: usize, target: &mut [u8]) -> Decoded {
    target.fill(0);
    share.counters.add_blank(frame);
    Decoded { fetched: 0, digest: BLANK }
}

/// Crops each frame around its centroid into the stack, and sums the crops.
fn recentered(
    share: &Share,
    recenter: &Recenter,
    frames: &[Delivered<'_>],
    decoded: &[&[u8]],
    (scratch, unkept): (&mut recenter::Scratch, &mut Vec<u8>),
    sums: &mut ThreadSums,
    tasks: &mut BatchTasks<'_>,
) -> Result<Vec<FrameNotes>, FrameError> {
    if let Some(counter) = &share.counters.recenter {
        counter.start();
    }
    let spec = share.plan.partition.frame;
    let mut notes = Vec::with_capacity(frames.len());
    let mut slots = claim(share.stack.memory(), share.frames().start, frames.iter().map(|(frame, _)| *frame))?;
    let mut crops = targets(&mut slots, unkept, share.plan.partition.stack.bytes(), frames.len());
    for ((image, crop), &(frame, _)) in decoded.iter().zip(&mut crops).zip(frames) {
        tasks.begin(Kind::Recenter, frame);
        let centre = match recenter.method {
            Method::Centroid => recenter::centroid(image, spec, recenter.threshold, scratch),
        };
        if !centre.exists() {
            share.counters.add_uncentered(frame);
        }
        let corner = recenter::corner([centre.y, centre.x], [spec.height, spec.width], recenter.crop);
        recenter::crop_into(image, spec, corner, recenter.crop, crop);
        notes.push(FrameNotes {
            centroid: [centre.y, centre.x],
            offset: corner.map(|c| c as i32),
            raw: frame_stat(share, image, recenter.threshold.is_none().then_some(centre.total)),
            crop: Some(FrameStat::of(spec.dtype, crop, share.ops)),
        });
    }
    let crops: Vec<&[u8]> = crops.iter().map(|crop| &**crop).collect();
    if let Some(summed) = &mut sums.crops {
        summed.add(&crops);
    }
    seal(share, frames, &crops);
    put(share, &share.stack, frames, &crops)?;
    slots.into_iter().for_each(SlotWriter::finish);
    Ok(notes)
}

/// Computes the checksums of the stack's frames.
fn seal(share: &Share, frames: &[Delivered<'_>], stack: &[&[u8]]) {
    if let Some(checksums) = &share.row_checksums {
        for (&(frame, _), bytes) in frames.iter().zip(stack) {
            checksums.set(frame - share.frames().start, bytes, &share.plan.partition);
        }
    }
    seal_lines(share, Base::Recentered, frames, stack);
}

/// Computes the checksums of the rows of frames of `base`, if they are on the scratch disk.
fn seal_lines(share: &Share, base: Base, frames: &[Delivered<'_>], images: &[&[u8]]) {
    let Some(checksums) = share.stored_checksums.of_frames(base) else { return };
    let (_, spec) = share.frame_store(base);
    for (&(frame, _), bytes) in frames.iter().zip(images) {
        checksums.set(frame - share.frames().start, 0, bytes, spec.width * spec.dtype.size());
    }
}

fn notes_of_raw(share: &Share, image: &[u8]) -> FrameNotes {
    FrameNotes { centroid: [0.0; 2], offset: [0; 2], raw: frame_stat(share, image, None), crop: None }
}

/// Sums over one raw frame. The centroid computes the sum of an integer frame, which is reused if no other sum is needed.
fn frame_stat(share: &Share, image: &[u8], total: Option<Total>) -> FrameStat {
    let (spec, ops) = (share.plan.partition.frame, share.ops);
    match total {
        Some(Total::Whole(sum)) if !ops.squares && !ops.min && !ops.max => FrameStat::of_sum(spec.dtype, spec.pixels(), sum),
        Some(Total::Whole(_) | Total::Real(_)) | None => FrameStat::of(spec.dtype, image, ops),
    }
}

/// Keeps the notes of consecutive frames from `first` on.
fn record(share: &Share, first: usize, notes: Vec<FrameNotes>) {
    let first = first - share.frames().start;
    let mut all = share.notes.lock().unwrap_or_else(PoisonError::into_inner);
    for (kept, note) in all[first..].iter_mut().zip(notes) {
        *kept = Some(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_slot_is_an_error_and_moves_no_frame() {
        let slots = Slots::new(12, 4, None).unwrap();
        let taken = slots.write(1).unwrap();
        let error = claim(Some(&slots), 40, 40..43).unwrap_err();
        assert!(matches!(error, FrameError::SlotRefused { frame: 41 }), "{error}");
        assert_eq!(error.reason(), api::phase::reason::INTERNAL_ERROR);
        drop(taken);
        assert_eq!(claim(Some(&slots), 40, 40..43).unwrap().len(), 3, "the failed claim released its slots");
    }
}

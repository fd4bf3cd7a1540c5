//! The progress of a whole job: the sum of the progress of its servers.

use super::{Failure, Phase, PhaseProgress, Progress};
use crate::job::Job;
use crate::partition::{Partition, ServerId};
use std::collections::BTreeSet;

/// The progress of a job over all servers that respond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The phases Load to Fft that the job has, in order. `total` is the work of the whole job, also while servers are missing.
    pub phases: Vec<PhaseProgress>,
    /// The phase Write. Only servers that write know the number of objects, so that `total` is 0 before the first server writes.
    pub writing: PhaseProgress,
    /// Outputs that are completely written, by their number in the manifest.
    pub written: BTreeSet<usize>,
    /// Frames that are zero because they could not be fetched or decoded, in order.
    pub blank: Vec<usize>,
    /// Frames without a centroid, in order.
    pub uncentered: Vec<usize>,
    /// Sum of the largest resident memory of each server, in bytes.
    pub peak_rss_bytes: u64,
    /// Start of the first unit of work, in milliseconds of Unix time; `None` before.
    pub started_ms: Option<u64>,
    /// End of the last completed unit of work, in milliseconds of Unix time; `None` before.
    pub ended_ms: Option<u64>,
    /// The failure of the first server that failed.
    pub failure: Option<(ServerId, Failure)>,
    /// The error of the first server that retries.
    pub last_error: Option<(ServerId, Failure)>,
}

impl Total {
    /// Seconds from the start of the first unit to the end of the last completed unit, by the clocks of the servers; `None` before.
    pub fn seconds(&self) -> Option<f64> {
        Some(self.ended_ms?.saturating_sub(self.started_ms?) as f64 / 1000.0)
    }

    /// Adds up the progress of `servers`. The caller leaves out servers whose progress belongs to another assignment.
    pub fn of<'a>(job: &Job, partition: &Partition, servers: impl IntoIterator<Item = (ServerId, &'a Progress)>) -> Self {
        let servers: Vec<(ServerId, &Progress)> = servers.into_iter().collect();
        let all = || servers.iter().map(|&(_, progress)| progress);
        let units = || all().flat_map(|progress| &progress.phases);
        let (frames, bands) = (partition.frames as u64, partition.bands() as u64);
        let work = [
            (Phase::Load, frames),
            (Phase::Recenter, if job.recenter.is_some() { frames } else { 0 }),
            (Phase::Rechunk, bands),
            (Phase::Fft, if job.fft.is_some() { bands } else { 0 }),
        ];
        let phases = work.into_iter().filter(|&(_, total)| total > 0).map(|(phase, total)| sum(phase, Some(total), all())).collect();
        let sorted = |of: fn(&Progress) -> &Vec<usize>| {
            let mut frames: Vec<usize> = all().flat_map(|progress| of(progress).iter().copied()).collect();
            frames.sort_unstable();
            frames
        };
        let first = |of: fn(&Progress) -> Option<&Failure>| servers.iter().find_map(|&(id, progress)| Some((id, of(progress).cloned()?)));
        Self {
            phases,
            writing: sum(Phase::Write, None, all()),
            written: all().flat_map(|progress| &progress.written).filter(|of| of.stage.is_last()).map(|of| of.output).collect(),
            blank: sorted(|progress| &progress.blank),
            uncentered: sorted(|progress| &progress.uncentered),
            peak_rss_bytes: all().map(|progress| progress.peak_rss_bytes).sum(),
            started_ms: units().map(|phase| phase.started_ms).filter(|&ms| ms > 0).min(),
            ended_ms: units().map(|phase| phase.ended_ms).filter(|&ms| ms > 0).max(),
            failure: first(|progress| progress.failure.as_ref()),
            last_error: first(|progress| progress.last_error.as_ref()),
        }
    }
}

/// One phase over all servers; without `total`, the sum of the servers' totals.
fn sum<'a>(phase: Phase, total: Option<u64>, servers: impl Iterator<Item = &'a Progress>) -> PhaseProgress {
    let parts: Vec<&PhaseProgress> = servers.flat_map(|server| &server.phases).filter(|part| part.phase == phase).collect();
    let add = |of: fn(&PhaseProgress) -> u64| parts.iter().map(|part| of(part)).sum::<u64>();
    PhaseProgress {
        phase,
        done: add(|part| part.done),
        total: total.unwrap_or_else(|| add(|part| part.total)),
        bytes: add(|part| part.bytes),
        retries: add(|part| part.retries),
        started_ms: parts.iter().map(|part| part.started_ms).filter(|&ms| ms > 0).min().unwrap_or(0),
        ended_ms: parts.iter().map(|part| part.ended_ms).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{job, progress};
    use crate::job::{Method, Recenter};
    use crate::phase::{Stage, Writing};

    fn part(phase: Phase, done: u64, started_ms: u64, ended_ms: u64) -> PhaseProgress {
        PhaseProgress { phase, done, total: done + 1, bytes: 10 * done, retries: 1, started_ms, ended_ms }
    }

    fn total(job: &Job, servers: &[Progress]) -> Total {
        Total::of(job, &Partition::new(job, 3), servers.iter().enumerate().map(|(id, progress)| (ServerId(id), progress)))
    }

    #[test]
    fn a_phase_is_the_sum_of_the_servers_and_its_total_is_that_of_the_job() {
        let one = Progress { phases: vec![part(Phase::Load, 3, 200, 900), part(Phase::Fft, 1, 0, 0)], ..progress("a") };
        let two = Progress { phases: vec![part(Phase::Load, 4, 100, 700)], ..progress("b") };
        let total = total(&job(100, 30, 20), &[one, two]);
        let phases: Vec<Phase> = total.phases.iter().map(|phase| phase.phase).collect();
        assert_eq!(phases, [Phase::Load, Phase::Rechunk, Phase::Fft], "the job has no Recenter");
        let expected = PhaseProgress { phase: Phase::Load, done: 7, total: 100, bytes: 70, retries: 2, started_ms: 100, ended_ms: 900 };
        assert_eq!((&total.phases[0], total.phases[0].seconds()), (&expected, 0.8));
        assert_eq!((total.phases[2].started_ms, total.phases[2].seconds()), (0, 0.0), "no unit of Fft has started");
        assert_eq!((total.started_ms, total.ended_ms, total.seconds()), (Some(100), Some(900), Some(0.8)));
    }

    #[test]
    fn without_servers_all_work_of_the_job_is_left() {
        let recenter = Some(Recenter { crop: [8, 8], method: Method::Centroid, threshold: None });
        let total = total(&Job { recenter, fft: None, ..job(100, 30, 20) }, &[]);
        let left: Vec<(Phase, u64, u64)> = total.phases.iter().map(|phase| (phase.phase, phase.done, phase.total)).collect();
        assert_eq!(left, [(Phase::Load, 0, 100), (Phase::Recenter, 0, 100)]);
        assert_eq!((total.started_ms, total.seconds(), total.writing.total, total.failure), (None, None, 0, None));
    }

    #[test]
    fn an_output_is_written_once_its_last_stage_is_complete() {
        let writing = |output, stage| Writing { output, stage };
        let one = Progress {
            phases: vec![part(Phase::Write, 2, 5, 6)],
            written: vec![writing(0, Stage::Open), writing(0, Stage::Part), writing(1, Stage::Whole)],
            ..progress("a")
        };
        // A restarted server may repeat a stage.
        let two = Progress { phases: vec![part(Phase::Write, 4, 5, 6)], written: vec![writing(1, Stage::Whole)], ..progress("b") };
        let total = total(&job(100, 30, 20), &[one, two]);
        assert_eq!(total.written, BTreeSet::from([1]));
        assert_eq!((total.writing.done, total.writing.total), (6, 8));
    }

    #[test]
    fn failures_blank_frames_and_frames_without_a_centroid_are_collected() {
        let failure = |message: &str| Some(Failure { reason: "R".into(), message: message.into() });
        let one = Progress { blank: vec![7, 9], uncentered: vec![3], peak_rss_bytes: 5, last_error: failure("slow"), ..progress("a") };
        let two = Progress { blank: vec![2], uncentered: vec![1], peak_rss_bytes: 6, failure: failure("broken"), ..progress("b") };
        let total = total(&job(100, 30, 20), &[one, two]);
        assert_eq!((total.blank.as_slice(), total.uncentered.as_slice(), total.peak_rss_bytes), (&[2, 7, 9][..], &[1, 3][..], 11));
        assert_eq!(total.failure.map(|(id, failure)| (id.0, failure.message)), Some((1, "broken".into())));
        assert_eq!(total.last_error.map(|(id, failure)| (id.0, failure.message)), Some((0, "slow".into())));
    }
}

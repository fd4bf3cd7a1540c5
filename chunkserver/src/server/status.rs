//! The whole job as seen from any of its servers: what each of them says, summed up.

use super::problem::Problem;
use crate::share::Share;
use crate::worker::Worker;
use api::phase::{Failure, Phase, PhaseProgress, Progress, Total};
use api::plan::ServerId;
use api::wire::route;
use axum::Json;
use axum::extract::State;
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A peer that has not answered by then is told as not answering: a page that waits for the slowest would be of no use.
const PEER_PATIENCE: Duration = Duration::from_secs(1);
/// Peers asked at a time.
const ASKED_AT_A_TIME: usize = 64;

/// The job as it stands, seen from the server that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Status {
    /// The job's name.
    job: String,
    /// Tells this run from any other of the same name.
    uid: String,
    /// The manifest's generation.
    generation: u64,
    /// How far it is, as one word.
    state: Standing,
    /// Number of the server that was asked.
    server: usize,
    /// Number of servers.
    servers: usize,
    /// Chunk grid (t, y, x) of the arrays that tiles hold.
    chunks: [usize; 3],
    /// What can be read.
    arrays: Vec<ArrayStatus>,
    /// Phases that the job has, in order, over all servers. What a server that does not answer has done is not counted.
    phases: Vec<PhaseStatus>,
    /// Frames that could not be had and are zero.
    blank: Vec<usize>,
    /// What is written of the manifest's outputs.
    outputs: Outputs,
    /// What ended the job, as far as its servers know.
    failure: Option<Told>,
    /// What a server has trouble with and still tries.
    trouble: Option<Told>,
    /// One entry for each server.
    fleet: Vec<Member>,
    /// How far the asked server itself is.
    #[schemars(schema_with = "super::openapi::progress")]
    progress: Progress,
}

/// How far a job is, as one word. What its controller decides, such as a deadline that has passed, servers do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
enum Standing {
    /// Frames are still fetched, or fetched again because a server was lost.
    Loading,
    /// All frames are there.
    Computing,
    /// All is computed, and outputs are written.
    Writing,
    /// All is computed and written.
    Finished,
    /// A server has said why the job cannot go on.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct ArrayStatus {
    name: String,
    shape: Vec<usize>,
    dtype: &'static str,
    axes: Vec<&'static str>,
    /// Chunk grid that readers see where they ask for none.
    chunks: Vec<usize>,
}

/// One phase over all servers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct PhaseStatus {
    /// Load, Recenter, Rechunk, Fft or Write.
    name: String,
    /// Units done: frames (Load, Recenter), bands of pixels (Rechunk, Fft), objects of outputs (Write).
    done: u64,
    /// Units in all.
    total: u64,
    /// Bytes fetched, cropped, pulled, made or written.
    bytes: u64,
    /// Attempts beyond the first.
    retries: u64,
    /// Start of the first unit, in milliseconds of Unix time; 0 before.
    started_ms: u64,
    /// End of the last unit so far, in milliseconds of Unix time; 0 before.
    ended_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Outputs {
    written: usize,
    total: usize,
}

/// A reason for programs, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Told {
    reason: String,
    message: String,
    /// Number of the server that says it.
    server: usize,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct Member {
    /// Its number.
    server: usize,
    /// Whether it answered within a second.
    answers: bool,
    /// What it says of itself; none when it does not answer.
    #[schemars(schema_with = "super::openapi::progress_or_null")]
    progress: Option<Progress>,
}

impl Status {
    /// It without what servers take, which is never the same.
    pub(super) fn without_vitals(&self) -> Self {
        let mut status = self.clone();
        let all = status.fleet.iter_mut().filter_map(|member| member.progress.as_mut()).chain([&mut status.progress]);
        all.for_each(|progress| (progress.vitals, progress.peak_rss_bytes) = (None, 0));
        status
    }

    /// Whether nothing more is to be done.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, Standing::Finished | Standing::Failed)
    }
}

/// The job as it stands.
pub(super) async fn status(State(worker): State<Arc<Worker>>) -> Result<Json<Status>, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    Ok(Json(look(&worker, &share).await))
}

/// Asks every server how far it is.
pub(super) async fn look(worker: &Worker, share: &Arc<Share>) -> Status {
    let asked = share.plan.ids().map(|id| async move {
        let progress = ask(worker, share, id).await;
        Member { server: id.0, answers: progress.is_some(), progress }
    });
    let fleet = futures_util::stream::iter(asked).buffered(ASKED_AT_A_TIME).collect().await;
    sum_up(share, worker.progress_and_vitals(), fleet)
}

async fn ask(worker: &Worker, share: &Share, id: ServerId) -> Option<Progress> {
    if id == share.id {
        return Some(worker.progress_and_vitals());
    }
    let peer = share.peer(id)?;
    let path = format!("{}?vitals=true", route::PROGRESS);
    let answer = async {
        let response = worker.client.get(share.job_ref(), &peer, &path).await.ok()?;
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    };
    tokio::time::timeout(PEER_PATIENCE, answer).await.ok().flatten()
}

fn sum_up(share: &Share, progress: Progress, fleet: Vec<Member>) -> Status {
    let (job, plan) = (&share.job, &share.plan);
    let current = |progress: &&Progress| progress.assignment.as_ref().is_some_and(|(uid, g)| *uid == job.uid && *g == job.generation);
    // A restarted server without a share has no part in this job yet.
    let at_work = fleet.iter().filter_map(|member| Some((ServerId(member.server), member.progress.as_ref().filter(current)?)));
    let total = Total::of(job, &plan.partition, at_work);
    let phases: Vec<PhaseStatus> =
        total.phases.iter().chain([&total.writing]).filter(|phase| phase.total > 0).map(PhaseStatus::from).collect();
    let told = |(server, Failure { reason, message }): (ServerId, Failure)| Told { reason, message, server: server.0 };
    let outputs = Outputs { written: total.written.len(), total: job.outputs.len() };
    let failure = total.failure.map(told);
    let arrays = share.arrays.iter().map(|array| ArrayStatus {
        name: array.name.clone(),
        shape: array.shape.clone(),
        dtype: array.element.name(),
        axes: array.axes.clone(),
        chunks: array.chunks(&plan.partition),
    });
    Status {
        job: job.name.clone(),
        uid: job.uid.clone(),
        generation: job.generation,
        state: standing(failure.is_some(), &phases, &outputs),
        server: share.id.0,
        servers: plan.partition.servers,
        chunks: plan.partition.chunks,
        arrays: arrays.collect(),
        phases,
        blank: total.blank,
        outputs,
        failure,
        trouble: total.last_error.map(told),
        fleet,
        progress,
    }
}

impl From<&PhaseProgress> for PhaseStatus {
    fn from(phase: &PhaseProgress) -> Self {
        let &PhaseProgress { phase: name, done, total, bytes, retries, started_ms, ended_ms } = phase;
        Self { name: name.to_string(), done, total, bytes, retries, started_ms, ended_ms }
    }
}

fn standing(failed: bool, phases: &[PhaseStatus], outputs: &Outputs) -> Standing {
    let open = |name: Phase| phases.iter().any(|phase| phase.name == name.to_string() && phase.done < phase.total);
    if failed {
        Standing::Failed
    } else if open(Phase::Load) {
        Standing::Loading
    } else if [Phase::Recenter, Phase::Rechunk, Phase::Fft].into_iter().any(open) {
        Standing::Computing
    } else if open(Phase::Write) || outputs.written < outputs.total {
        Standing::Writing
    } else {
        Standing::Finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_as_far_as_its_earliest_open_phase() {
        let check = |failed, counts: &[(Phase, u64, u64)], written, expected| {
            let phase = |&(phase, done, total): &(Phase, u64, u64)| PhaseStatus {
                name: phase.to_string(),
                done,
                total,
                bytes: 0,
                retries: 0,
                started_ms: 0,
                ended_ms: 0,
            };
            let phases: Vec<PhaseStatus> = counts.iter().map(phase).collect();
            assert_eq!(standing(failed, &phases, &Outputs { written, total: 2 }), expected, "{counts:?}");
        };
        check(false, &[(Phase::Load, 3, 4), (Phase::Fft, 0, 9)], 0, Standing::Loading);
        check(true, &[(Phase::Load, 3, 4)], 0, Standing::Failed);
        check(false, &[(Phase::Load, 4, 4), (Phase::Recenter, 3, 4)], 0, Standing::Computing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Fft, 8, 9)], 0, Standing::Computing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Fft, 9, 9)], 1, Standing::Writing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Write, 1, 2)], 2, Standing::Writing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Fft, 9, 9)], 2, Standing::Finished);
        // A lost server takes its frames with it.
        check(false, &[(Phase::Load, 2, 4), (Phase::Fft, 9, 9)], 2, Standing::Loading);
    }
}

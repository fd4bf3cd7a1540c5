//! The status of the whole job: any server requests the progress of all servers and summarizes it.

use super::problem::Problem;
use crate::share::Share;
use crate::worker::Worker;
use api::phase::{Failure, Phase, PhaseProgress, Progress, Total};
use api::plan::ServerId;
use api::wire::route;
use axum::Json;
use axum::extract::State;
use futures_util::StreamExt as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Timeout of a peer. A slower peer counts as unavailable, so that the page does not wait for the slowest server.
const PEER_TIMEOUT: Duration = Duration::from_secs(1);
/// Concurrent requests to peers.
const CONCURRENT_REQUESTS: usize = 64;

/// The status of the job, as the server that received the request sees it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Status {
    /// The job's name.
    job: String,
    /// Unique identifier of this run.
    uid: String,
    /// The manifest's generation.
    generation: u64,
    /// The state of the job.
    state: JobState,
    /// Number of the server that received the request.
    server: usize,
    /// Number of servers.
    servers: usize,
    /// Chunk shape (t, y, x) of arrays in tiles.
    chunks: [usize; 3],
    /// Arrays that readers can request.
    arrays: Vec<ArrayStatus>,
    /// The job's phases in order, summed over all servers. Excludes servers that do not respond.
    phases: Vec<PhaseStatus>,
    /// Frames that are zero because the fetch or the decoder failed.
    blank: Vec<usize>,
    /// Progress of the manifest's outputs.
    outputs: Outputs,
    /// The failure that ended the job, if a server has reported a failure.
    failure: Option<StatusProblem>,
    /// An error that a server is still retrying.
    #[serde(rename = "trouble")]
    last_error: Option<StatusProblem>,
    /// All servers, in order.
    fleet: Vec<Member>,
    /// Progress of the server that received the request.
    #[schemars(schema_with = "progress_schema")]
    progress: Progress,
}

/// The state of a job as its servers know it. Servers do not know the decisions of the controller, for example a deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
enum JobState {
    /// Frames are being fetched, for the first time or because a server was lost.
    Loading,
    /// All frames are loaded.
    Computing,
    /// All arrays are computed; outputs are being written.
    Writing,
    /// All arrays are computed and all outputs are written.
    Finished,
    /// A server has reported a failure.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct ArrayStatus {
    name: String,
    shape: Vec<usize>,
    dtype: &'static str,
    axes: Vec<&'static str>,
    /// Default chunk shape for readers.
    chunks: Vec<usize>,
}

/// One phase, summed over all servers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct PhaseStatus {
    /// Load, Recenter, Rechunk, Fft or Write.
    name: String,
    /// Finished units: frames (Load, Recenter), bands of pixels (Rechunk, Fft), objects of outputs (Write).
    done: u64,
    /// Total units.
    total: u64,
    /// Bytes fetched, cropped, pulled, computed or written.
    bytes: u64,
    /// Attempts beyond the first.
    retries: u64,
    /// Start of the first unit, in milliseconds of Unix time; 0 before the start.
    started_ms: u64,
    /// End of the last finished unit, in milliseconds of Unix time; 0 before the first.
    ended_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Outputs {
    written: usize,
    total: usize,
}

/// A reason for programs, and a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct StatusProblem {
    reason: String,
    message: String,
    /// Number of the server that reports the problem.
    server: usize,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct Member {
    /// Number of the server.
    server: usize,
    /// Whether the server responded within a second.
    #[serde(rename = "answers")]
    responds: bool,
    /// The server's progress; null if the server does not respond.
    #[schemars(schema_with = "progress_or_null_schema")]
    progress: Option<Progress>,
}

/// [`api::phase::Progress`]. The api crate has no schemas, so the OpenAPI document contains the schema by name.
fn progress_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"$ref": "#/components/schemas/Progress"})
}

fn progress_or_null_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [{"$ref": "#/components/schemas/Progress"}, {"type": "null"}]})
}

impl Status {
    /// The status without CPU time, memory and traffic, which differ in every sample.
    pub(super) fn without_vitals(&self) -> Self {
        let mut status = self.clone();
        let all = status.fleet.iter_mut().filter_map(|member| member.progress.as_mut()).chain([&mut status.progress]);
        all.for_each(|progress| (progress.vitals, progress.peak_rss_bytes) = (None, 0));
        status
    }

    /// Whether the job has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, JobState::Finished | JobState::Failed)
    }
}

/// The status of the job.
pub(super) async fn status(State(worker): State<Arc<Worker>>) -> Result<Json<Status>, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    Ok(Json(collect(&worker, &share).await))
}

/// Requests the progress of every server.
pub(super) async fn collect(worker: &Worker, share: &Arc<Share>) -> Status {
    let requests = share.plan.ids().map(|id| async move {
        let progress = progress_of(worker, share, id).await;
        Member { server: id.0, responds: progress.is_some(), progress }
    });
    let fleet = futures_util::stream::iter(requests).buffered(CONCURRENT_REQUESTS).collect().await;
    summarize(share, worker.progress_and_vitals(), fleet)
}

async fn progress_of(worker: &Worker, share: &Share, id: ServerId) -> Option<Progress> {
    if id == share.id {
        return Some(worker.progress_and_vitals());
    }
    let peer = share.peer(id)?;
    let path = format!("{}?vitals=true", route::PROGRESS);
    let body = async {
        let response = worker.client.get(share.job_ref(), &peer, &path).await.ok()?;
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    };
    tokio::time::timeout(PEER_TIMEOUT, body).await.ok().flatten()
}

fn summarize(share: &Share, progress: Progress, fleet: Vec<Member>) -> Status {
    let (job, plan) = (&share.job, &share.plan);
    let current = |progress: &&Progress| progress.assignment.as_ref().is_some_and(|(uid, g)| *uid == job.uid && *g == job.generation);
    // Excludes a restarted server that has no share yet.
    let at_work = fleet.iter().filter_map(|member| Some((ServerId(member.server), member.progress.as_ref().filter(current)?)));
    let total = Total::of(job, &plan.partition, at_work);
    let phases: Vec<PhaseStatus> =
        total.phases.iter().chain([&total.writing]).filter(|phase| phase.total > 0).map(PhaseStatus::from).collect();
    let problem = |(server, Failure { reason, message }): (ServerId, Failure)| StatusProblem { reason, message, server: server.0 };
    let outputs = Outputs { written: total.written.len(), total: job.outputs.len() };
    let failure = total.failure.map(problem);
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
        state: state(failure.is_some(), &phases, &outputs),
        server: share.id.0,
        servers: plan.partition.servers,
        chunks: plan.partition.chunks,
        arrays: arrays.collect(),
        phases,
        blank: total.blank,
        outputs,
        failure,
        last_error: total.last_error.map(problem),
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

fn state(failed: bool, phases: &[PhaseStatus], outputs: &Outputs) -> JobState {
    let open = |name: Phase| phases.iter().any(|phase| phase.name == name.to_string() && phase.done < phase.total);
    if failed {
        JobState::Failed
    } else if open(Phase::Load) {
        JobState::Loading
    } else if [Phase::Recenter, Phase::Rechunk, Phase::Fft].into_iter().any(open) {
        JobState::Computing
    } else if open(Phase::Write) || outputs.written < outputs.total {
        JobState::Writing
    } else {
        JobState::Finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_that_of_the_earliest_open_phase() {
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
            assert_eq!(state(failed, &phases, &Outputs { written, total: 2 }), expected, "{counts:?}");
        };
        check(false, &[(Phase::Load, 3, 4), (Phase::Fft, 0, 9)], 0, JobState::Loading);
        check(true, &[(Phase::Load, 3, 4)], 0, JobState::Failed);
        check(false, &[(Phase::Load, 4, 4), (Phase::Recenter, 3, 4)], 0, JobState::Computing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Fft, 8, 9)], 0, JobState::Computing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Fft, 9, 9)], 1, JobState::Writing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Write, 1, 2)], 2, JobState::Writing);
        check(false, &[(Phase::Load, 4, 4), (Phase::Fft, 9, 9)], 2, JobState::Finished);
        // The frames of a lost server are lost too.
        check(false, &[(Phase::Load, 2, 4), (Phase::Fft, 9, 9)], 2, JobState::Loading);
    }
}

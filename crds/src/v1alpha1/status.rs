//! The status of an ArrayJob. Only the operator writes the status, and only after a change.

use super::{Dtype, Frame};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// State of the job. The operator writes the status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArrayJobStatus {
    /// Generation of the manifest that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A summary of the conditions: Pending, Starting, Running, Recovering, Suspended, Complete or Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Time at which the work started, or continued after a suspension. The spec is immutable from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub start_time: Option<String>,
    /// Time at which the job completed or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub completion_time: Option<String>,
    /// Conditions: Complete, Failed, Suspended, Finished, Ready, Progressing and Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The plan: work, network traffic and memory. The operator plans before the first pod starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// Height, width and dtype of a frame, from the first frame; only if the manifest does not state them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// Shape and chunks of the array of source.zarr, from its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayStatus>,
    /// The chunk servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<ServersStatus>,
    /// Progress of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// Progress of each phase. Phases overlap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseStatus>,
    /// Lost servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// Frames that are zero because they could not be fetched or decoded (onError: Blank); the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames_blank: Vec<u64>,
    /// Number of frames that are zero because they could not be fetched or decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_blank_count: Option<u64>,
    /// Frames without a centroid, whose crops start at the first pixel; the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames_without_centroid: Vec<u64>,
    /// Number of frames without a centroid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_without_centroid_count: Option<u64>,
    /// Address of the results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// One aspect of the state of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Complete, Failed, Suspended, Finished, Ready, Progressing or Stalled.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// Reason for programs, one CamelCase word.
    pub reason: String,
    /// Message for users, one sentence: the cause, and what to change.
    pub message: String,
    /// Time at which the status of the condition last changed.
    #[schemars(schema_with = "date_time_required")]
    pub last_transition_time: String,
    /// Generation of the manifest that this condition describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanStatus {
    /// Generation of the manifest that was planned.
    pub generation: i64,
    /// Number of servers.
    pub servers: u64,
    /// Compute threads of each server.
    pub threads: u64,
    /// Memory limit of each server, in bytes.
    pub memory_limit_bytes: u64,
    /// The largest memory peak of any server, in bytes.
    pub peak_bytes: u64,
    /// Scratch disk of each server, in bytes; 0 if arrays are stored in memory.
    pub scratch_bytes: u64,
    /// Decoded bytes of all frames.
    pub frame_bytes: u64,
    /// Bytes that servers exchange.
    pub wire_bytes: u64,
    /// Storage of the arrays: Memory, TilesOnDisk (frames in memory, tiles on disk) or Disk.
    pub storage: String,
    /// Arrays that stay readable after the run.
    pub keep: Vec<String>,
    /// Identity of the plan.
    pub fingerprint: String,
    /// The plan in one line.
    pub summary: String,
}

/// Shape and chunks of an array in its store; axes (t, y, x).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArrayStatus {
    /// Shape of the array.
    pub shape: Vec<u64>,
    /// uint8, uint16 or float32.
    pub dtype: Dtype,
    /// Shape of a chunk.
    pub chunks: Vec<u64>,
    /// Shape of the smallest part of a chunk that can be read without the rest.
    pub parts: Vec<u64>,
}

/// The chunk servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServersStatus {
    /// Number of planned servers.
    pub desired: u64,
    /// Number of servers that respond.
    pub ready: u64,
    /// Number of servers that have been started at least once.
    pub launched: u64,
    /// Number of restarts of servers, for any cause.
    pub restarts: u64,
    /// Ready and planned servers, for example 8/8.
    pub summary: String,
}

/// Progress of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressStatus {
    /// Completed part of the work, for example 62%.
    pub percent: String,
    /// Current phase: Load, Recenter, Rechunk, Fft or Write.
    pub step: String,
    /// Bytes fetched and computed.
    pub bytes: u64,
    /// Bytes per second of the current step.
    pub bytes_per_second: u64,
    /// Estimated remaining time, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// Estimated remaining time for users, for example 4m10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
}

/// Progress of one phase, over all servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PhaseStatus {
    /// Load, Recenter, Rechunk or Fft.
    pub name: String,
    /// Waiting, Running or Complete.
    pub state: String,
    /// Completed units.
    pub done: u64,
    /// Total number of units.
    pub total: u64,
    /// Unit: frames or bands.
    pub unit: String,
    /// Bytes fetched, cropped, pulled or computed.
    pub bytes: u64,
    /// Seconds from the start of the first unit to the end of the last unit.
    pub seconds: f64,
    /// Attempts after the first.
    pub retries: u64,
}

/// Lost servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failures {
    /// Servers that ended by themselves. They count towards backoffLimit.
    pub counted: u32,
    /// Servers that were deleted, evicted, preempted or lost with their node. They do not count towards backoffLimit.
    pub uncounted: u32,
    /// The most recently lost server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastFailure>,
}

/// A lost server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastFailure {
    /// Pod of the server.
    pub server: String,
    /// Reason: OOMKilled, Evicted, Deleted, Error, …
    pub reason: String,
    /// Details.
    pub message: String,
    /// Exit code of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Node of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Time at which the operator noticed the loss.
    #[schemars(schema_with = "date_time_required")]
    pub at: String,
}

/// Address of the results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// URL of the results for programs in the cluster.
    pub url: String,
    /// Secret whose key `token` contains the token for the URL.
    pub token_secret: String,
}

fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

fn date_time_required(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

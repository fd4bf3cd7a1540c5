//! What an ArrayJob's status tells: written by the operator alone, and only when it changed.

use super::{Dtype, Frame};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// How the job stands. Written by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArrayJobStatus {
    /// Generation of the manifest that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A summary of the conditions: Pending, Starting, Running, Recovering, Suspended, Complete or Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// When work began, or went on after a suspension. From then on the spec is immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub start_time: Option<String>,
    /// When the job completed or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub completion_time: Option<String>,
    /// Complete, Failed, Suspended, Finished, Ready, Progressing and Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What was planned before the first pod: work, wire and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// Height, width and dtype of a frame, as the first one says; only where the manifest does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// How the array of source.zarr lies in its store, as its metadata say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayStatus>,
    /// The chunk servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<ServersStatus>,
    /// How far the job is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// How far each phase is. Phases overlap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseStatus>,
    /// Servers lost so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// Frames that are zero because they could not be had (onError: Blank); the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames_blank: Vec<u64>,
    /// Number of frames that are zero because they could not be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_blank_count: Option<u64>,
    /// Where results are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// One aspect of the job's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Complete, Failed, Suspended, Finished, Ready, Progressing or Stalled.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// Why, in one CamelCase word for programs.
    pub reason: String,
    /// Why, in a sentence for people, with what to change.
    pub message: String,
    /// When status last changed.
    #[schemars(schema_with = "date_time_required")]
    pub last_transition_time: String,
    /// Generation of the manifest that this condition is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What was planned.
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
    /// Scratch disk of each server, in bytes; 0 when arrays live in memory.
    pub scratch_bytes: u64,
    /// Decoded bytes of all frames.
    pub frame_bytes: u64,
    /// Bytes that cross the wire between servers.
    pub wire_bytes: u64,
    /// Memory or Disk.
    pub storage: String,
    /// Arrays that stay readable.
    pub keep: Vec<String>,
    /// Tells plans apart.
    pub fingerprint: String,
    /// The plan in one line.
    pub summary: String,
}

/// How an array lies in its store; axes (t, y, x).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArrayStatus {
    /// Its shape.
    pub shape: Vec<u64>,
    /// uint8, uint16 or float32.
    pub dtype: Dtype,
    /// The shape of a chunk.
    pub chunks: Vec<u64>,
    /// The shape of the smallest part of a chunk that can be read without the rest.
    pub parts: Vec<u64>,
}

/// The chunk servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServersStatus {
    /// How many there should be.
    pub desired: u64,
    /// How many answer.
    pub ready: u64,
    /// How many have been started for the first time.
    pub launched: u64,
    /// How often one was started again, whatever ended it.
    pub restarts: u64,
    /// Ready of desired, as in 8/8.
    pub summary: String,
}

/// How far the job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressStatus {
    /// Work done of all work, as in 62%.
    pub percent: String,
    /// The phase that is being worked on: Load, Recenter, Rechunk, Fft or Write.
    pub step: String,
    /// Bytes fetched and made so far.
    pub bytes: u64,
    /// Bytes per second of the current step.
    pub bytes_per_second: u64,
    /// Seconds that are left, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// Seconds that are left as people read them, as in 4m10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
}

/// How far one phase is, over all servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PhaseStatus {
    /// Load, Recenter, Rechunk or Fft.
    pub name: String,
    /// Waiting, Running or Complete.
    pub state: String,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What the units are: frames or bands.
    pub unit: String,
    /// Bytes fetched, cropped, pulled or made.
    pub bytes: u64,
    /// Seconds from the first unit's start to the last one's end.
    pub seconds: f64,
    /// Attempts beyond the first.
    pub retries: u64,
}

/// Servers lost so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failures {
    /// Servers that failed by themselves; they count towards backoffLimit.
    pub counted: u32,
    /// Servers that were deleted, evicted, preempted or lost with their node; they do not count.
    pub uncounted: u32,
    /// The latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastFailure>,
}

/// A lost server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastFailure {
    /// Its pod.
    pub server: String,
    /// OOMKilled, Evicted, Deleted, Error, …
    pub reason: String,
    /// What is known of it.
    pub message: String,
    /// Exit code of its container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The node it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When it was found lost.
    #[schemars(schema_with = "date_time_required")]
    pub at: String,
}

/// Where results are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// The front door, for programs in the cluster.
    pub url: String,
    /// Secret whose key `token` opens it.
    pub token_secret: String,
}

fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

fn date_time_required(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

//! The progress of each server, and the state of all servers that the loop observes.

mod total;

pub use total::Total;

use crate::partition::ServerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The phases of a job, in order. Phases overlap: a server recenters a frame as soon as the frame is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Fetches and decodes frames.
    Load,
    /// Crops frames around their centroids.
    Recenter,
    /// Pulls blocks from the servers that own them.
    Rechunk,
    /// Transforms every pixel over time.
    Fft,
    /// Writes outputs.
    Write,
}

impl Phase {
    /// The unit of the progress of this phase.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Load | Self::Recenter => "frames",
            Self::Rechunk | Self::Fft => "bands",
            Self::Write => "objects",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The id of one start of a server. A server refuses requests for another start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// The progress of one phase, on one server or on all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseProgress {
    /// The phase.
    pub phase: Phase,
    /// Completed units: frames (Load, Recenter), bands (Rechunk, Fft), objects of outputs (Write). See [`Phase::unit`].
    pub done: u64,
    /// Number of units.
    pub total: u64,
    /// Bytes fetched (Load), cropped (Recenter), pulled (Rechunk), computed (Fft) or written (Write).
    pub bytes: u64,
    /// Attempts after the first attempt.
    pub retries: u64,
    /// Start of the first unit, in milliseconds of Unix time; 0 if no unit has started.
    pub started_ms: u64,
    /// End of the last completed unit, in milliseconds of Unix time; 0 if no unit is complete.
    pub ended_ms: u64,
}

impl PhaseProgress {
    /// Whether all units are complete.
    pub const fn complete(&self) -> bool {
        self.done >= self.total
    }

    /// Seconds from the start of the first unit to the end of the last completed unit; 0 if no unit has started. Phases overlap, so that
    /// the seconds of all phases do not add up to the time of the job.
    pub fn seconds(&self) -> f64 {
        if self.started_ms == 0 { 0.0 } else { self.ended_ms.saturating_sub(self.started_ms) as f64 / 1000.0 }
    }
}

/// Why a job fails: a reason for programs and a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One of [`reason`], in CamelCase.
    pub reason: String,
    /// One sentence: what failed, and what to change.
    pub message: String,
}

/// Reasons of a failure, for programs. Their names are part of the public interface.
pub mod reason {
    /// A server cannot fetch a frame or the metadata of an array.
    pub const SOURCE_UNAVAILABLE: &str = "SourceUnavailable";
    /// A server cannot decode a frame, or the frame has another shape or element type than the job.
    pub const CHUNK_DECODE_FAILED: &str = "ChunkDecodeFailed";
    /// A server cannot write an output.
    pub const OUTPUT_WRITE_FAILED: &str = "OutputWriteFailed";
    /// The operating system refuses memory, a scratch file or a write to a scratch file.
    pub const STORE_FAILED: &str = "StoreFailed";
    /// A frame that is fetched again has other bytes than before.
    pub const SOURCE_CHANGED: &str = "SourceChanged";
    /// The scratch disk has less free space than the plan needs.
    pub const DISK_FULL: &str = "DiskFull";
    /// A scratch file or an output is larger than the system permits a file to be.
    pub const FILE_SIZE_LIMIT: &str = "FileSizeLimit";
    /// The limit on open files is too low for the plan.
    pub const TOO_MANY_OPEN_FILES: &str = "TooManyOpenFiles";
    /// A bug of ArrayJob: a panic, or a refused request that a correct program does not send.
    pub const INTERNAL_ERROR: &str = "InternalError";
    /// Servers ended by themselves more often than `backoffLimit` permits.
    pub const BACKOFF_LIMIT_EXCEEDED: &str = "BackoffLimitExceeded";
    /// The operator cannot start servers.
    pub const SERVER_START_FAILED: &str = "ServerStartFailed";
    /// The manifest violates a rule.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The plan needs more memory than the servers have.
    pub const INSUFFICIENT_MEMORY: &str = "InsufficientMemory";
    /// Not all servers were ready within `startDeadlineSeconds`.
    pub const START_DEADLINE_EXCEEDED: &str = "StartDeadlineExceeded";
    /// The job was not complete within `activeDeadlineSeconds`.
    pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
}

/// One stage of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Writing {
    /// Number of the output in the manifest.
    pub output: usize,
    /// The stage.
    pub stage: Stage,
}

/// A stage of writing an output. One server writes a file. One server opens a Zarr array, all servers write objects, and one server
/// closes the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Write a whole file.
    Whole,
    /// Delete the objects at the URL of a Zarr array.
    Open,
    /// Write the objects that the server owns.
    Part,
    /// Write the metadata. Readers do not see the array before.
    Close,
}

impl Stage {
    /// The name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Open => "open",
            Self::Part => "part",
            Self::Close => "close",
        }
    }

    /// Whether the output is complete after this stage.
    pub const fn is_last(self) -> bool {
        match self {
            Self::Whole | Self::Close => true,
            Self::Open | Self::Part => false,
        }
    }
}

/// The progress of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Id of this start of the server.
    pub boot: BootId,
    /// Uid and generation of the assigned job; `None` without an assignment.
    pub assignment: Option<(String, u64)>,
    /// [`crate::wire::Assignment::stamp`] of the assigned peers and goal.
    pub stamp: u64,
    /// Counter of the events that the loop may act on. A request can wait for the next value.
    pub milestone: u64,
    /// The phases, in order; empty without an assignment.
    pub phases: Vec<PhaseProgress>,
    /// Frames that are zero because they could not be fetched or decoded.
    pub blank: Vec<usize>,
    /// Frames without a centroid: the sum of their pixels is not above zero. Their crops start at the first pixel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncentered: Vec<usize>,
    /// Stages in progress.
    pub writing: Vec<Writing>,
    /// Completed stages.
    pub written: Vec<Writing>,
    /// Why the work of this server failed.
    pub failure: Option<Failure>,
    /// The last error of a fetch that failed at least twice and is retried; `None` after the next success.
    #[serde(rename = "trouble", default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Failure>,
    /// Frames whose digests the server can report.
    #[serde(default)]
    pub digests: usize,
    /// Blocks that the server requested again, shares that the server loaded again, and reads of a finished job that the server refused,
    /// because of another checksum.
    #[serde(default)]
    pub checksum_mismatches: u64,
    /// Peak resident memory, in bytes.
    pub peak_rss_bytes: u64,
    /// CPU, memory, traffic and waits; only if the request asks for vitals, because they change all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<Vitals>,
}

/// CPU, memory, traffic and waits of a server at one moment. A rate is the difference of two vitals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// The moment, in milliseconds of Unix time.
    pub at_ms: u64,
    /// Compute threads.
    pub cores: u64,
    /// CPU time of the process since its start, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Memory limit, in bytes; 0 without a limit.
    pub memory_limit_bytes: u64,
    /// Bytes received from the source and from peers since the start of the server.
    pub received_bytes: u64,
    /// Bytes sent to peers and to readers since the start of the server.
    pub sent_bytes: u64,
    /// What idle compute threads wait for; empty if no thread is idle.
    pub waits: Vec<Wait>,
}

/// What an idle compute thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// Frames from the source.
    Source,
    /// Blocks from peers.
    Peers,
    /// Memory that another output uses.
    Memory,
    /// The store of an output.
    Store,
}

impl Progress {
    /// The progress of a server without an assignment.
    pub const fn idle(boot: BootId) -> Self {
        Self {
            boot,
            assignment: None,
            stamp: 0,
            milestone: 0,
            phases: Vec::new(),
            blank: Vec::new(),
            uncentered: Vec::new(),
            writing: Vec::new(),
            written: Vec::new(),
            failure: None,
            last_error: None,
            digests: 0,
            checksum_mismatches: 0,
            peak_rss_bytes: 0,
            vitals: None,
        }
    }

    /// Whether every phase up to and including `phase` is complete.
    pub fn complete_through(&self, phase: Phase) -> bool {
        self.phases.iter().filter(|p| p.phase <= phase).all(PhaseProgress::complete)
    }
}

/// The state of one server that the loop observes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The server was never started, or its end left no trace.
    Absent,
    /// The server ended by itself, with the known reason. The end counts towards `backoffLimit`.
    Exited(String),
    /// The server was removed from outside (deleted, evicted, node lost), with the known reason. The loss does not count towards
    /// `backoffLimit`.
    Lost(String),
    /// The server exists and does not respond yet.
    Starting,
    /// The server responds.
    Up {
        /// `host:port` for its peers.
        address: String,
        /// Its progress.
        progress: Box<Progress>,
    },
}

/// The state that the loop observes in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Every server of the plan, in order.
    pub servers: Vec<Seen>,
    /// Number of restarts of servers that ended by themselves.
    pub restarts: u32,
    /// Most kills of one server for lack of memory; 0 if the fleet does not count them.
    pub oom_kills: u32,
    /// Number of servers whose certificates the loop does not trust. They are observed as [`Seen::Starting`].
    pub untrusted: usize,
}

impl Observed {
    /// The progress of every server that responds.
    pub fn progress(&self) -> impl Iterator<Item = (ServerId, &Progress)> {
        self.servers.iter().enumerate().filter_map(|(index, seen)| match seen {
            Seen::Up { progress, .. } => Some((ServerId(index), &**progress)),
            Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => None,
        })
    }
}

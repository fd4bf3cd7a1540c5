//! How far each server is, and what the loop sees of all of them.

use crate::plan::ServerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The phases, in order. They overlap: a frame is recentered as soon as it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Frames are fetched and decoded.
    Load,
    /// Frames are cropped around their centroids.
    Recenter,
    /// Blocks are pulled from the servers that hold them.
    Rechunk,
    /// Every pixel's spectrum over time.
    Fft,
    /// Outputs are written.
    Write,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One start of one server process: a receiver refuses what was meant for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// How far one server is with one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseProgress {
    /// Which.
    pub phase: Phase,
    /// Units done: frames (Load, Recenter), bands (Rechunk, Fft), objects of outputs (Write).
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// Bytes fetched, cropped, pulled, made or written.
    pub bytes: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Start of the first unit, in milliseconds of Unix time; 0 before.
    pub started_ms: u64,
    /// End of the last unit so far, in milliseconds of Unix time; 0 before.
    pub ended_ms: u64,
}

impl PhaseProgress {
    /// Whether nothing is left.
    pub const fn complete(&self) -> bool {
        self.done >= self.total
    }
}

/// Why a job fails: a reason in CamelCase for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// As in [`reason`].
    pub reason: String,
    /// What failed, which one, and what to change.
    pub message: String,
}

/// Reasons, as programs read them.
pub mod reason {
    /// A frame's URL does not answer.
    pub const SOURCE_UNAVAILABLE: &str = "SourceUnavailable";
    /// A frame cannot be decoded, or is not what the job says.
    pub const CHUNK_DECODE_FAILED: &str = "ChunkDecodeFailed";
    /// An output cannot be written.
    pub const OUTPUT_WRITE_FAILED: &str = "OutputWriteFailed";
    /// The system refuses memory or a scratch file.
    pub const STORE_FAILED: &str = "StoreFailed";
    /// The scratch disk has too little free space.
    pub const DISK_FULL: &str = "DiskFull";
    /// A bug of ArrayJob: a panic, or a refusal that a correct program never causes.
    pub const INTERNAL_ERROR: &str = "InternalError";
    /// Servers were lost more often than `backoffLimit` forgives.
    pub const BACKOFF_LIMIT_EXCEEDED: &str = "BackoffLimitExceeded";
    /// Servers cannot be started.
    pub const SERVER_START_FAILED: &str = "ServerStartFailed";
    /// The manifest breaks a rule.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The servers' memory does not suffice, by plan.
    pub const INSUFFICIENT_MEMORY: &str = "InsufficientMemory";
    /// `startDeadlineSeconds` has passed.
    pub const START_DEADLINE_EXCEEDED: &str = "StartDeadlineExceeded";
    /// `activeDeadlineSeconds` has passed.
    pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
}

/// One server's part in one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Writing {
    /// Number of the output in the manifest.
    pub output: usize,
    /// What of it.
    pub stage: Stage,
}

/// What is done of an output. A file is written by one server; a Zarr array is opened by one, written by all, and closed by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A file, whole.
    Whole,
    /// The place of a Zarr array is made free.
    Open,
    /// The objects that the server owns.
    Part,
    /// The metadata, without which nobody can read the rest.
    Close,
}

impl Stage {
    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Open => "open",
            Self::Part => "part",
            Self::Close => "close",
        }
    }

    /// Whether an output is there once this is done.
    pub const fn is_last(self) -> bool {
        matches!(self, Self::Whole | Self::Close)
    }
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// This start of the server.
    pub boot: BootId,
    /// Job uid and generation of the assignment it works on, if any.
    pub assignment: Option<(String, u64)>,
    /// [`crate::wire::Assignment::stamp`] of the peers and goal it works with.
    pub stamp: u64,
    /// Grows with every event that the loop may act on; lets an observer wait for the next.
    pub milestone: u64,
    /// Phase by phase, in order.
    pub phases: Vec<PhaseProgress>,
    /// Frames that could not be had and are zero.
    pub blank: Vec<usize>,
    /// What is being written.
    pub writing: Vec<Writing>,
    /// What is written.
    pub written: Vec<Writing>,
    /// What ended its work, if anything did.
    pub failure: Option<Failure>,
    /// What keeps it waiting, while it still tries: the latest failure of a fetch that has failed twice or more. `None` again
    /// once a fetch succeeds.
    #[serde(rename = "trouble", default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Failure>,
    /// Largest resident memory so far, in bytes.
    pub peak_rss_bytes: u64,
    /// What it takes and waits for; only for who asks for it, since it never stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<Vitals>,
}

/// What a server takes and waits for at a moment. Rates are differences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// When, in milliseconds of Unix time.
    pub at_ms: u64,
    /// Compute threads.
    pub cores: u64,
    /// CPU time of the process since its start, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Bytes of memory that it may take; 0 when nothing limits it.
    pub memory_limit_bytes: u64,
    /// Bytes from the source and from peers, since its start.
    pub received_bytes: u64,
    /// Bytes to peers and to readers, since its start.
    pub sent_bytes: u64,
    /// What there is more to do for, while there is nothing to compute with.
    pub waits: Vec<Wait>,
}

/// What a server waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// Frames.
    Source,
    /// Blocks.
    Peers,
    /// Another output to be out of memory.
    Memory,
    /// An output to be written.
    Store,
}

impl Progress {
    /// Whether every phase up to and including `phase` is complete.
    pub fn complete_through(&self, phase: Phase) -> bool {
        self.phases.iter().filter(|p| p.phase <= phase).all(PhaseProgress::complete)
    }
}

/// One server as the loop sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was never started, or is gone without a trace.
    Absent,
    /// It has ended; why, as far as is known.
    Exited(String),
    /// It was taken away (deleted, evicted, its machine gone), which is nobody's failure and never counts as one; what is known.
    Lost(String),
    /// It is there and does not answer yet.
    Starting,
    /// It answers.
    Up {
        /// `host:port` for its peers.
        address: String,
        /// What it says.
        progress: Box<Progress>,
    },
}

/// All that the loop sees in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Every server of the plan, in order.
    pub servers: Vec<Seen>,
    /// How often a server was started again.
    pub restarts: u32,
}

impl Observed {
    /// The progress of every server that answers.
    pub fn progress(&self) -> impl Iterator<Item = (ServerId, &Progress)> {
        self.servers.iter().enumerate().filter_map(|(index, seen)| match seen {
            Seen::Up { progress, .. } => Some((ServerId(index), &**progress)),
            _ => None,
        })
    }
}

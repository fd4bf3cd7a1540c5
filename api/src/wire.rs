//! What programs say to each other: routes, headers, and the bodies of commands. HTTP/1.1, JSON for commands, raw
//! little-endian pixels for blocks.

use crate::geometry::FrameSpec;
use crate::hash::Fnv1a;
use crate::job::{ArrayLayout, Job, Source};
use crate::phase::{BootId, Phase, Progress};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};

/// Version of this protocol; a server of another one refuses the assignment.
pub const VERSION: u32 = 2;
/// Header: the protocol version.
pub const VERSION_HEADER: &str = "x-arrayjob-version";
/// Header: uid of the job that the request is about.
pub const UID_HEADER: &str = "x-arrayjob-uid";
/// Header: generation of the job.
pub const GENERATION_HEADER: &str = "x-arrayjob-generation";
/// Header: the boot id that the caller expects of the receiver; any other answers 409.
pub const BOOT_HEADER: &str = "x-arrayjob-boot";
/// Cookie and query parameter that carry the run's key for people's browsers.
pub const TOKEN: &str = "token";

/// Routes between programs.
pub mod route {
    /// GET: [`super::Progress`]; `?milestone=&wait_ms=` waits for the next milestone, `?vitals=true` has them with it.
    pub const PROGRESS: &str = "/v1/progress";
    /// PUT: [`super::Assignment`].
    pub const ASSIGNMENT: &str = "/v1/assignment";
    /// GET `?band=`: the receiver's frames of that band, (t, pixel) in C order.
    pub const BLOCK: &str = "/v1/block";
    /// GET `?array=&t=&y=&x=&shape=&aspect=`: the receiver's part of a selection.
    pub const PART: &str = "/v1/part";
    /// GET `?array=`: the receiver's sums of which the array is made.
    pub const SUMS: &str = "/v1/sums";
    /// GET `?log=&after=&resolution=`: what the receiver has done.
    pub const TASKS: &str = "/v1/tasks";
    /// GET `?array=&stride=`: some pixels of the receiver's sums so far.
    pub const PREVIEW: &str = "/v1/preview";
    /// GET: what the receiver knows of its frames so far.
    pub const TRACES: &str = "/v1/traces";
    /// POST `?output=&stage=`: write that of an output.
    pub const WRITE: &str = "/v1/write";
    /// POST [`super::ProbeRequest`]: what frames are, as [`super::Probed`].
    pub const PROBE: &str = "/v1/probe";
    /// GET `/slice/{array}?sel=&format=`: for readers.
    pub const SLICE: &str = "/slice";
    /// GET: the root of the arrays as Zarr.
    pub const ZARR: &str = "/arrays.zarr";
    /// GET: the job as readers see it.
    pub const STATUS: &str = "/api/v1/status";
    /// GET `/api/v1/peek/{index}?format=`: one frame as the source has it now.
    pub const PEEK: &str = "/api/v1/peek";
}

/// Where a peer is, and which start of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// `host:port`.
    pub address: String,
    /// The start that the sender of the assignment saw.
    pub boot: BootId,
}

/// What a server has to do: the whole plan, its peers, and the phase up to which it may go. The receiver's number
/// travels beside it, in the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The job.
    pub job: Job,
    /// The plan.
    pub plan: Plan,
    /// Every server of the plan, in order; `None` for one that is not up.
    pub peers: Vec<Option<Peer>>,
    /// The last phase that may be worked on now.
    pub goal: Phase,
}

impl Assignment {
    /// A number that changes when the peers or the goal change.
    pub fn stamp(&self) -> u64 {
        let mut hash = Fnv1a::default();
        hash.write(format!("{:?}", self.goal).as_bytes());
        for peer in &self.peers {
            if let Some(peer) = peer {
                hash.write(format!("{} {}", peer.address, peer.boot.0).as_bytes());
            }
            hash.write(b";");
        }
        hash.finish()
    }

    /// Whether the server that says `progress` works on just this.
    pub fn is_known_to(&self, progress: &Progress) -> bool {
        progress.assignment.as_ref() == Some(&(self.job.uid.clone(), self.job.generation)) && progress.stamp == self.stamp()
    }
}

/// Asks a server to look at a source's first frame, or at an array's metadata, with its own network and its own secrets, before
/// there is a plan. The answer is [`Probed`], or a [`Problem`] with status 422 when that cannot be had or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// Where frames come from.
    pub source: Source,
    /// Number of frames of the job; at least 1. Of a Zarr array it does not matter.
    pub frames: usize,
}

/// What a source says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// What a frame is.
    #[serde(flatten)]
    pub frame: FrameSpec,
    /// How the array lies in its store; of a Zarr array only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayLayout>,
}

/// The body of an error response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// One sentence.
    pub error: String,
    /// For programs, as in [`crate::phase::reason`], where one fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a server prints, as one line of JSON, once it listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// `host:port` it listens on.
    pub address: String,
    /// This start of it.
    pub boot: BootId,
}

/// What a server reads, as one line of JSON, before it listens. The end of that stream is its parent's end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Startup {
    /// The run's key; a request without it is refused.
    pub key: String,
    /// Compute threads.
    pub threads: usize,
    /// Folder for scratch files, when the plan stores on disk.
    pub scratch: Option<String>,
    /// What became of the server in whose place this one is started; none for the first.
    pub after: Option<String>,
}

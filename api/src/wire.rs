//! The protocol between programs: routes, headers, and bodies. HTTP/1.1, with JSON for commands and raw little-endian pixels for blocks.
//!
//! A body keeps its JSON field names within one [`VERSION`]. A new field has a serde default, so that servers of an earlier build can read
//! the body, and their bodies stay readable.

mod check;

pub use check::Invalid;

use crate::geometry::FrameSpec;
use crate::hash::Fnv1a;
use crate::job::{ArrayLayout, Job, Source};
use crate::phase::{BootId, Phase, Progress};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};

/// Version of this protocol. A server with another version refuses an assignment.
pub const VERSION: u32 = 2;
/// Header: the protocol version.
pub const VERSION_HEADER: &str = "x-arrayjob-version";
/// Header: uid of the job of the request.
pub const UID_HEADER: &str = "x-arrayjob-uid";
/// Header: generation of the job of the request.
pub const GENERATION_HEADER: &str = "x-arrayjob-generation";
/// Header: the boot id that the client expects of the server. A server with another boot id responds with 409.
pub const BOOT_HEADER: &str = "x-arrayjob-boot";
/// Header of a block: present if checksums and digests follow the rows of each piece.
pub const BLOCK_CHECKS_HEADER: &str = "x-arrayjob-checks";
/// Header of a block: the most bytes of the rows of a piece. Servers of earlier versions send none, and pieces of [`EARLIER_PIECE_BYTES`].
pub const BLOCK_PIECE_HEADER: &str = "x-arrayjob-piece";
/// The most bytes of the rows of a piece of a server that does not state them.
pub const EARLIER_PIECE_BYTES: usize = 1 << 20;
/// Name of the query that contains the read key of the run.
pub const TOKEN: &str = "token";

/// Routes of a server. The documentation of each route lists the names of its query.
pub mod route {
    /// GET `?milestone=&wait_ms=&vitals=`: [`super::Progress`]. With `wait_ms`, the response waits at most that time for a milestone after
    /// `milestone`. With `vitals=true`, the progress includes [`crate::phase::Vitals`].
    pub const PROGRESS: &str = "/v1/progress";
    /// PUT `?server=` with an [`super::Assignment`]: assigns the work of server number `server`. The response is [`super::Progress`].
    pub const ASSIGNMENT: &str = "/v1/assignment";
    /// GET `?band=&checks=&piece=`: the block of the server's frames and the band, in pieces of consecutive frames of at most `piece` bytes, or of
    /// [`super::EARLIER_PIECE_BYTES`]; [`super::BLOCK_PIECE_HEADER`] states which. A piece holds the rows of its frames, (t, pixel) in C order. With `checks=send`, the checksums of the rows and the digests of the frames follow,
    /// 4 and 8 bytes a frame, and the response has [`super::BLOCK_CHECKS_HEADER`]. With `checks=compare`, the server first compares its
    /// rows with the checksums; a server whose frames are damaged ends the response, and loads its frames again.
    pub const BLOCK: &str = "/v1/block";
    /// GET `?array=&t=&y=&x=&shape=&aspect=`: the server's elements of a selection. `t`, `y` and `x` are `start:step:count`; `shape` is
    /// `ct,cy,cx`, to which the response is padded.
    pub const PART: &str = "/v1/part";
    /// GET `?array=`: the server's partial sums of the array.
    pub const SUMS: &str = "/v1/sums";
    /// GET `?log=&after=&resolution=`: tasks of the server after record `after` of journal `log`. Neighbours within `resolution`
    /// microseconds are merged.
    pub const TASKS: &str = "/v1/tasks";
    /// GET `?array=&stride=`: every `stride`th pixel of the server's current sums.
    pub const PREVIEW: &str = "/v1/preview";
    /// GET: the values that the server has computed of its own frames.
    pub const TRACES: &str = "/v1/traces";
    /// GET `?after=&all=`: [`crate::digest`] of the frames that the server loaded, in the order of loading, without the first `after`;
    /// with `all=true`, of all frames that the server knows, in the order of frames. PUT: digests that the server must find when it loads
    /// frames of the job, from the loop; precedes the assignment.
    pub const DIGESTS: &str = "/v1/digests";
    /// POST `?output=&stage=`: starts a stage of an output. The response is [`super::Progress`].
    pub const WRITE: &str = "/v1/write";
    /// POST with a [`super::ProbeRequest`]: shape and element type of the frames, as [`super::Probed`].
    pub const PROBE: &str = "/v1/probe";
    /// GET `/slice/{array}?sel=&format=`: a selection of an array, for readers.
    pub const SLICE: &str = "/slice";
    /// GET: the root of a Zarr hierarchy of all arrays, for readers.
    pub const ZARR: &str = "/arrays.zarr";
    /// GET: the state of the job, for readers.
    pub const STATUS: &str = "/api/v1/status";
    /// GET `/api/v1/peek/{index}?format=`: one frame, fetched from the source at the time of the request, for readers.
    pub const PEEK: &str = "/api/v1/peek";
}

/// The address of a peer, and the id of its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// `host:port`.
    pub address: String,
    /// The start that the operator observed.
    pub boot: BootId,
}

/// The work of all servers: the job, the plan, the peers, and the last phase that servers may begin. The query of the request contains the
/// number of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The job.
    pub job: Job,
    /// The plan.
    pub plan: Plan,
    /// Every server of the plan, in order; `None` for a server that does not respond.
    pub peers: Vec<Option<Peer>>,
    /// The last phase that servers may begin.
    pub goal: Phase,
}

impl Assignment {
    /// A hash of the peers and the goal. Servers compare it across versions, so that the same input must keep the same value.
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

    /// Whether the server with this progress already works on this assignment.
    pub fn is_known_to(&self, progress: &Progress) -> bool {
        progress.assignment.as_ref() == Some(&(self.job.uid.clone(), self.job.generation)) && progress.stamp == self.stamp()
    }
}

/// A request to read the first frame of a source, or the metadata of an array, before the job has a plan. The server has the network and
/// the secrets of the job. The response is [`Probed`], or a [`Problem`] with status 422 if the server cannot fetch or decode the frame or
/// the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// The source of the frames.
    pub source: Source,
    /// Number of frames of the job; at least 1. Not used for a Zarr array.
    pub frames: usize,
}

/// What a server found in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Shape and element type of a frame.
    #[serde(flatten)]
    pub frame: FrameSpec,
    /// Shape and chunks of the array; `None` if the source is not a Zarr array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayLayout>,
}

/// The body of an error response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// One sentence: what failed, and what to do.
    pub error: String,
    /// One of [`crate::phase::reason`], for programs; `None` if none of them applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The line of JSON that a server prints as soon as it listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// `host:port` of the listener.
    pub address: String,
    /// Id of this start of the server.
    pub boot: BootId,
}

/// The line of JSON that a server reads from standard input before it listens. The server exits at the end of standard input, which is
/// the end of its parent process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Startup {
    /// Read key of the run: it opens the routes for readers. URLs, browsers and the registry contain this key.
    pub key: String,
    /// Command key of the run: it opens all routes. Only the loop and the servers have this key. An empty key opens nothing.
    #[serde(default)]
    pub command_key: String,
    /// Compute threads.
    pub threads: usize,
    /// Folder for scratch files; `None` if the plan stores arrays in memory.
    pub scratch: Option<String>,
    /// Why the previous server with this number ended; `None` for the first start.
    pub after: Option<String>,
    /// The time of the command, in milliseconds of Unix time. All servers continue this clock, so that a step of the system's clock does
    /// not change a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::job;
    use crate::plan::{Allowance, Budget};

    #[test]
    fn the_stamp_of_an_assignment_stays_the_same_in_later_versions() {
        let job = job(40, 30, 20);
        let plan = Plan::new(&job, Some(2), &Budget { memory: Allowance::PerServer(1 << 30), cores: 1 }).unwrap();
        let peers = vec![Some(Peer { address: "10.0.0.1:8080".into(), boot: BootId("b1".into()) }), None];
        let assignment = Assignment { job, plan, peers, goal: Phase::Fft };
        let mut hash = Fnv1a::default();
        hash.write(b"Fft10.0.0.1:8080 b1;;");
        assert_eq!(assignment.stamp(), hash.finish());
        let other = Assignment { goal: Phase::Recenter, ..assignment.clone() };
        assert_ne!(other.stamp(), assignment.stamp());
    }
}

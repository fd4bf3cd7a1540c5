//! What the loop keeps about the servers of one job between its turns. All of it can be lost at any time.

use crate::frame_digests::FrameDigests;
use crate::server_client::ServerClient;

/// The servers of one job, as the loop sees them.
#[derive(Debug)]
pub struct Servers {
    /// Sends requests.
    pub client: ServerClient,
    /// The digests of the job's frames. An empty one fills again from the servers that are up.
    pub digests: FrameDigests,
}

impl Servers {
    /// The servers that `client` reaches.
    pub fn new(client: ServerClient) -> Self {
        Self { client, digests: FrameDigests::default() }
    }
}

//! The connection to a job's servers, on this machine or in a cluster: a URL, and the port-forward behind it.

use super::target::{Target, is_plugin, target_of};
#[cfg(not(feature = "kubernetes"))]
use super::without::{Forward, connect, forward};
#[cfg(feature = "kubernetes")]
use super::{access::connect, array_job::forward, forward::Forward};
use crate::args::ClusterOptions;
use crate::error::Error;
use crate::reader::Reader;
use crate::registry;
use std::time::Duration;

/// Time during which readers retry while a server is being replaced or computes.
const RETRY_FOR: Duration = Duration::from_secs(120);

/// A URL of a job's servers, valid until drop.
pub(crate) struct Connection {
    pub(crate) url: String,
    pub(super) _forward: Option<Forward>,
}

impl Connection {
    /// A reader that retries while the servers are not ready.
    ///
    /// # Errors
    /// The URL is invalid.
    pub(crate) fn reader(&self) -> Result<Reader, Error> {
        Ok(Reader::new(&self.url)?.with_retries(RETRY_FOR))
    }
}

/// Finds a job by URL or name, on this machine or in the cluster.
///
/// # Errors
/// No such job exists, or the job is not readable.
pub(crate) async fn find(name: &str, options: &ClusterOptions) -> Result<Connection, Error> {
    match target_of(name, is_plugin(), options, |name| registry::find(name).ok()) {
        Target::Url(url) => Ok(Connection { url, _forward: None }),
        Target::ArrayJob => forward(&connect(options).await?, name, 0).await,
        Target::ArrayJobIfCluster => {
            // This error lists the jobs of this machine, or states that the name is invalid.
            let Some(not_here) = registry::find(name).err() else { return Err(Error::Target(name.to_owned())) };
            if matches!(not_here, Error::Target(_)) {
                return Err(not_here);
            }
            match connect(options).await {
                Ok(cluster) => forward(&cluster, name, 0).await.map_err(|error| match error {
                    Error::Refused(text) => Error::Refused(format!("{text} (and no job '{name}' is served on this machine)")),
                    other => other,
                }),
                Err(_) => Err(not_here),
            }
        }
    }
}

//! The connection to a job's servers, on this machine or in a cluster: a URL, and the port-forward behind it.

use super::access::{Cluster, connect};
use super::forward::{Forward, JobPods};
use super::target::{Target, is_plugin, target_of};
use super::{job, pods};
use crate::args::ClusterOptions;
use crate::error::Error;
use crate::reader::Reader;
use crate::registry;
use api::wire::TOKEN;
use std::time::Duration;

/// Time during which readers retry while a server is being replaced or computes.
const RETRY_FOR: Duration = Duration::from_secs(120);

/// A URL of a job's servers, valid until drop.
pub(crate) struct Connection {
    pub(crate) url: String,
    _forward: Option<Forward>,
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

/// Forwards a port of this machine to the servers of an ArrayJob. Port 0 selects any free port.
///
/// # Errors
/// The job is missing, no server is ready, or the token is not readable.
pub(crate) async fn forward(cluster: &Cluster, name: &str, port: u16) -> Result<Connection, Error> {
    let found = job::find(cluster, name).await?;
    let endpoint = job::endpoint(&found)?;
    let token = job::token(cluster, endpoint).await?;
    let listed = pods::list(cluster, name).await?;
    // After the first start, a server that is not ready is being replaced: readers wait for it.
    let replaced = !listed.is_empty() && found.status.as_ref().is_some_and(job::has_run);
    if pods::ready_names(&listed, None).is_empty() && !replaced {
        return Err(Error::Refused(format!(
            "no server of ArrayJob '{name}' is ready ({} pods); state: {}",
            listed.len(),
            job::state(found.status.as_ref())
        )));
    }
    let forward = Forward::start(JobPods::new(cluster.clone(), name, pods::HTTP_PORT), port).await?;
    Ok(Connection { url: format!("http://{}/?{TOKEN}={token}", forward.address), _forward: Some(forward) })
}

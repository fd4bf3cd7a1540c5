//! The connection to an ArrayJob's servers, by a port-forward of the API server.

use super::access::Cluster;
use super::connection::Connection;
use super::forward::{Forward, JobPods};
use super::{job, pods};
use crate::error::Error;
use api::wire::TOKEN;

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

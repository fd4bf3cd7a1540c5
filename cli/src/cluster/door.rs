//! The way to a job's servers, wherever it is: a URL, and what has to live as long as it is used.

use super::forward::{Forward, JobPods};
use super::place::{Choice, Cluster, choose, connect, is_plugin};
use super::{job, pods};
use crate::args::Where;
use crate::error::Error;
use crate::reader::Reader;
use crate::registry;
use api::wire::TOKEN;
use std::time::Duration;

/// How long a server that is being replaced, or is not done yet, is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A job's front door; the way to it lasts as long as this.
pub(crate) struct Door {
    pub(crate) url: String,
    _forward: Option<Forward>,
}

impl Door {
    /// Reads through it; servers that cannot answer just now are waited for.
    ///
    /// # Errors
    /// When the URL is none.
    pub(crate) fn reader(&self) -> Result<Reader, Error> {
        Ok(Reader::new(&self.url)?.patient(PATIENCE))
    }
}

/// Finds a job by URL or name.
///
/// # Errors
/// When there is no such job, here or in the cluster, or it cannot be read.
pub(crate) async fn find(name: &str, place: &Where) -> Result<Door, Error> {
    match choose(name, is_plugin(), place, |name| registry::find(name).ok()) {
        Choice::Url(url) => Ok(Door { url, _forward: None }),
        Choice::Cluster => through(&connect(place).await?, name, 0).await,
        Choice::ClusterIfAny => {
            // Says which jobs there are on this machine, or that this can be no name.
            let Some(here) = registry::find(name).err() else { return Err(Error::Target(name.to_owned())) };
            if matches!(here, Error::Target(_)) {
                return Err(here);
            }
            match connect(place).await {
                Ok(cluster) => through(&cluster, name, 0).await.map_err(|error| match error {
                    Error::Refused(text) => Error::Refused(format!("{text} (nor is a job '{name}' being served on this machine)")),
                    other => other,
                }),
                Err(_) => Err(here),
            }
        }
    }
}

/// A door to an ArrayJob at a port of this machine, 0 for any.
///
/// # Errors
/// When the job is not there, has no server that answers, or its token may not be read.
pub(crate) async fn through(cluster: &Cluster, name: &str, port: u16) -> Result<Door, Error> {
    let found = job::find(cluster, name).await?;
    let endpoint = job::endpoint(&found)?;
    let token = job::token(cluster, endpoint).await?;
    let listed = pods::list(cluster, name).await?;
    // A server that was lost is on its way back.
    let replaced = !listed.is_empty() && found.status.as_ref().is_some_and(job::has_run);
    if pods::order(&listed, None).is_empty() && !replaced {
        return Err(Error::Refused(format!(
            "no server of ArrayJob '{name}' is ready ({} of them there): it is {}",
            listed.len(),
            job::standing(found.status.as_ref())
        )));
    }
    let forward = Forward::start(JobPods::new(cluster.clone(), name, pods::HTTP_PORT), port).await?;
    Ok(Door { url: format!("http://{}/?{TOKEN}={token}", forward.address), _forward: Some(forward) })
}

//! Finds a job by URL or by name.

use super::connection::Connection;
use super::target::{Target, is_plugin, target_of};
#[cfg(not(feature = "kubernetes"))]
use super::without::{connect, forward};
#[cfg(feature = "kubernetes")]
use super::{access::connect, array_job::forward};
use crate::args::ClusterOptions;
use crate::error::Error;
use crate::registry;

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

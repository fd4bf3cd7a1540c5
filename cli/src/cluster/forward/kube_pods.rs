//! Pods of a cluster, reached through the port-forward of the API server.

use super::dial::{Dial, DialError, PodStream};
use crate::cluster::access::Cluster;
use crate::cluster::pods;
use crate::error::Error;
use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::client::UpgradeConnectionError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Age up to which a list of pods is used again: browsers open connections in bursts.
const LIST_MAX_AGE: Duration = Duration::from_secs(1);

/// The ready pods of a job.
pub(crate) struct JobPods {
    cluster: Cluster,
    job: String,
    port: u16,
    /// The pod that responded last.
    last: Mutex<Option<String>>,
    listed: tokio::sync::Mutex<Option<(Instant, Vec<Pod>)>>,
}

impl JobPods {
    pub(crate) fn new(cluster: Cluster, job: &str, port: u16) -> Self {
        Self { cluster, job: job.to_owned(), port, last: Mutex::default(), listed: tokio::sync::Mutex::default() }
    }
}

impl Dial for JobPods {
    async fn pods(&self) -> Result<Vec<String>, DialError> {
        let mut listed = self.listed.lock().await;
        if listed.as_ref().is_none_or(|(at, _)| at.elapsed() > LIST_MAX_AGE) {
            let pods = pods::list(&self.cluster, &self.job).await.map_err(|error| match error {
                Error::Refused(reason) => DialError::forbidden(reason),
                other => DialError::unavailable(other.sentence()),
            })?;
            *listed = Some((Instant::now(), pods));
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(listed.as_ref().map(|(_, pods)| pods::ready_names(pods, last.as_deref())).unwrap_or_default())
    }

    async fn dial(&self, pod: &str) -> Result<PodStream, DialError> {
        dial(&self.cluster, pod, self.port).await
    }

    fn responded(&self, pod: &str) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(pod.to_owned());
    }
}

/// One pod, ready or not.
pub(crate) struct OnePod {
    pub(crate) cluster: Cluster,
    pub(crate) pod: String,
    pub(crate) port: u16,
}

impl Dial for OnePod {
    async fn pods(&self) -> Result<Vec<String>, DialError> {
        Ok(vec![self.pod.clone()])
    }

    async fn dial(&self, pod: &str) -> Result<PodStream, DialError> {
        dial(&self.cluster, pod, self.port).await
    }

    fn responded(&self, _pod: &str) {}
}

/// A stream to a pod's port through the API server.
async fn dial(cluster: &Cluster, pod: &str, port: u16) -> Result<PodStream, DialError> {
    let mut forwarder = pods::api(cluster).portforward(pod, &[port]).await.map_err(|error| match error {
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) if status.as_u16() == 403 => DialError::forbidden(
            "no permission to forward ports; a Role needs apiGroups [\"\"], resources [pods/portforward], verbs [get, create]",
        ),
        kube::Error::Api(status) => DialError::unavailable(status.message),
        other => DialError::unavailable(api::words::chain(&other)),
    })?;
    let stream = forwarder.take_stream(port).ok_or_else(|| DialError::unavailable("the pod has no such port"))?;
    let error = match forwarder.take_error(port) {
        Some(error) => error.boxed(),
        None => std::future::pending().boxed(),
    };
    Ok(PodStream { stream, error })
}

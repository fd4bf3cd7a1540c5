//! The data that all reconciliations share, and the data of one job that is kept between its reconciliations. The latter can be lost at any
//! time: it covers the delay of the watches' caches, and keeps connections to servers open.

use crate::fleet::kubernetes::pod::Options;
use crate::fleet::kubernetes::{Caches, RecentWrites};
use crate::identity::{self, Identities, MasterKey};
use crate::metrics::Metrics;
use crate::server_client::{self, ServerClient};
use crate::servers::Servers;
use crds::{ArrayJob, ArrayJobStatus};
use kube::runtime::events::Recorder;
use kube::{Client, ResourceExt as _};
use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::time::Instant;

/// Settings of the installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Pods of the servers.
    pub servers: Options,
    /// Whether the operator creates a NetworkPolicy for each job.
    pub network_policies: bool,
    /// The operator's own namespace.
    pub namespace: String,
}

/// Reason why the operator cannot connect to the servers of a job.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message states it")]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error("cannot configure mutual TLS")]
    Tls(#[from] transport::tls::Error),
    #[error(transparent)]
    Client(#[from] server_client::Error),
}

/// Shared by all reconciliations.
pub struct Context {
    /// Client of the API server.
    pub client: Client,
    /// Settings of the installation.
    pub settings: Settings,
    /// Caches of the watches.
    pub caches: Caches,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
    pub(super) recorder: Recorder,
    key: MasterKey,
    /// By the uid of the job.
    job_caches: Mutex<HashMap<String, Arc<JobCache>>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("settings", &self.settings).field("caches", &self.caches).finish_non_exhaustive()
    }
}

/// The data of one job that is kept between its reconciliations.
pub(super) struct JobCache {
    pub(super) recent: Arc<RecentWrites>,
    pub(super) identities: Identities,
    pub(super) servers: Servers,
    /// When this operator last ensured Secret, Service and NetworkPolicy; `None` before the first time.
    pub(super) children_ensured: Mutex<Option<Instant>>,
    /// Consecutive reconciliations that ended in an error.
    pub(super) errors: AtomicU32,
    pub(super) written: Mutex<Option<WrittenStatus>>,
}

/// The last written status.
#[derive(Clone)]
pub(super) struct WrittenStatus {
    pub(super) status: ArrayJobStatus,
    pub(super) at: Instant,
}

impl Context {
    /// A context; the watches that fill `caches` run elsewhere.
    pub fn new(client: Client, settings: Settings, caches: Caches, metrics: Arc<Metrics>, key: MasterKey, recorder: Recorder) -> Self {
        Self { client, settings, caches, metrics, recorder, key, job_caches: Mutex::default() }
    }

    /// The cache of a job. A new cache starts with the counts of the job's status.
    pub(super) fn job_cache(&self, job: &ArrayJob) -> Result<Arc<JobCache>, Error> {
        let uid = job.uid().unwrap_or_default();
        let mut caches = self.job_caches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = caches.get(&uid) {
            return Ok(Arc::clone(cache));
        }
        // Caches of deleted jobs are freed when a new job arrives.
        let exists = |uid: &String| self.caches.jobs.find(|job| job.uid().as_ref() == Some(uid)).is_some();
        caches.retain(|uid, _| exists(uid));
        let identities = self.key.identities(&uid)?;
        let servers = Servers::new(ServerClient::with_tls(transport::tls::client_config(&identities.operator)?)?);
        let recent = Arc::new(RecentWrites::from_status(job.status.as_ref().unwrap_or(&ArrayJobStatus::default())));
        let cache = Arc::new(JobCache {
            recent,
            identities,
            servers,
            children_ensured: Mutex::new(None),
            errors: AtomicU32::new(0),
            written: Mutex::new(None),
        });
        caches.insert(uid, Arc::clone(&cache));
        Ok(cache)
    }
}

impl JobCache {
    /// The last written status. The watch's cache may show an older one.
    pub(super) fn last_status(&self) -> Option<ArrayJobStatus> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|written| written.status.clone())
    }
}

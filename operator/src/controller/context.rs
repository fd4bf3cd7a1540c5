//! What every reconciliation shares, and what is remembered of a job between two of them. All of the latter can be lost: it
//! bridges the time until caches show the operator's own writes, and saves making connections anew.

use crate::fleet::kubernetes::pod::Options;
use crate::fleet::kubernetes::{Caches, Recent};
use crate::identity::{self, Identities, MasterKey};
use crate::metrics::Metrics;
use crate::servers::{self, Servers};
use crds::{ArrayJob, ArrayJobStatus};
use kube::runtime::events::Recorder;
use kube::{Client, ResourceExt as _};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::time::Instant;

/// What the installer decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The servers' pods.
    pub servers: Options,
    /// Whether every job gets a NetworkPolicy.
    pub network_policies: bool,
    /// The operator's own namespace.
    pub namespace: String,
}

/// Why a job's servers cannot be spoken to.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error("cannot set up mutual TLS")]
    Tls(#[from] transport::tls::Error),
    #[error(transparent)]
    Servers(#[from] servers::Error),
}

/// Shared by all reconciliations.
pub struct Context {
    /// Speaks to the API server.
    pub client: Client,
    /// What the installer decides.
    pub settings: Settings,
    /// What the watches have seen.
    pub caches: Caches,
    /// The operator's numbers.
    pub metrics: Arc<Metrics>,
    pub(super) recorder: Recorder,
    key: MasterKey,
    memories: Mutex<HashMap<String, Arc<Memory>>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("settings", &self.settings).field("caches", &self.caches).finish_non_exhaustive()
    }
}

/// What is remembered of one job.
pub(super) struct Memory {
    pub(super) recent: Arc<Recent>,
    pub(super) identities: Identities,
    pub(super) servers: Servers,
    /// Whether Secret, Service and NetworkPolicy were applied by this operator.
    pub(super) furnished: AtomicBool,
    /// Reconciliations in a row that ended in an error.
    pub(super) errors: AtomicU32,
    pub(super) written: Mutex<Option<Written>>,
}

/// The last status that was written.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) status: ArrayJobStatus,
    pub(super) at: Instant,
}

impl Context {
    /// A context whose caches are filled by watches elsewhere.
    pub fn new(client: Client, settings: Settings, caches: Caches, metrics: Arc<Metrics>, key: MasterKey, recorder: Recorder) -> Self {
        Self { client, settings, caches, metrics, recorder, key, memories: Mutex::default() }
    }

    /// What is remembered of a job; for a job not seen before, what its status says.
    pub(super) fn memory(&self, job: &ArrayJob) -> Result<Arc<Memory>, Error> {
        let uid = job.uid().unwrap_or_default();
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = memories.get(&uid) {
            return Ok(Arc::clone(memory));
        }
        // Jobs that are gone from the cache are forgotten when a new one comes.
        let known = |uid: &String| self.caches.jobs.find(|job| job.uid().as_ref() == Some(uid)).is_some();
        memories.retain(|uid, _| known(uid));
        let identities = self.key.identities(&uid)?;
        let servers = Servers::secured(transport::tls::client_config(&identities.operator)?)?;
        let recent = Arc::new(Recent::from_status(job.status.as_ref().unwrap_or(&ArrayJobStatus::default())));
        let memory = Arc::new(Memory {
            recent,
            identities,
            servers,
            furnished: AtomicBool::new(false),
            errors: AtomicU32::new(0),
            written: Mutex::new(None),
        });
        memories.insert(uid, Arc::clone(&memory));
        Ok(memory)
    }
}

impl Memory {
    /// The status as last written; the cache may be behind.
    pub(super) fn status(&self) -> Option<ArrayJobStatus> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|written| written.status.clone())
    }
}

//! One server's work on one job: the worker takes assignments, loads, exchanges, transforms, and reports its progress.

mod damage;
mod load;
mod outputs;
mod touch;
mod transform;
mod vitals;

pub use outputs::{discard, write_whole};

use crate::compute::Compute;
use crate::objects::Access;
use crate::share::{self, Directions, Share};
use crate::source::{self, Secret, Source};
use api::digest::FrameDigest;
use api::egress::EgressPolicy;
use api::geometry::human_bytes;
use api::job;
use api::phase::{BootId, Failure, Progress, Writing, reason};
use api::plan::{Placement, Plan, ServerId};
use api::template::{Template, TemplateError};
use api::wire::Assignment;
use journal::system::{memory_bytes, peak_rss_bytes};
use journal::{Event, Journal};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use transport::client::Client;

/// Memory for pieces of blocks that wait to be sent to peers, in units of [`crate::exchange::PIECE_BYTES`]. They are a part of the plan's base.
pub(crate) const PIECES: usize = 32;
/// Concurrent peeks at single frames. A peek takes memory for readers.
const PEEKS: usize = 2;

/// The reason of a failure of the scratch disk. File systems that copy on write need space in spite of the reservation.
fn store_reason(error: &store::Error) -> &'static str {
    match error {
        store::Error::Write(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => reason::DISK_FULL,
        store::Error::FrameRefused { .. } => reason::INTERNAL_ERROR,
        _ => reason::STORE_FAILED,
    }
}

/// Why an assignment is refused.
#[derive(Debug, Error)]
pub enum Error {
    /// The assignment is older than the current one.
    #[error("generation {found} is older than {current}, which this server works on")]
    Stale {
        /// Generation of the refused assignment.
        found: u64,
        /// Generation of the current assignment.
        current: u64,
    },
    /// The plan does not contain this server.
    #[error("server {0} is not part of the plan")]
    NoSuchServer(usize),
    /// The assignment is not valid.
    #[error(transparent)]
    Invalid(#[from] api::wire::Invalid),
    /// The work needs more memory than the machine has.
    #[error("the work of server {server} needs {}, and this machine or its control group has {}", human_bytes(*needed), human_bytes(*available))]
    Memory {
        /// Number of the server.
        server: usize,
        /// Bytes of the server's work.
        needed: u64,
        /// Bytes of the machine.
        available: u64,
    },
    /// The plan stores arrays on disk, and the server has no scratch folder.
    #[error("the plan stores on disk, and this server has no scratch folder")]
    NoScratch,
    /// The system refuses memory or disk space.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The source cannot be set up.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The URL template cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// The environment of a worker: folders, secrets and permissions.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Folder for scratch files.
    pub scratch: Option<PathBuf>,
    /// Whether `file://` may be read and written: on the user's own machine, not on a cluster.
    pub local_files: bool,
    /// Folder of the job's secret, as [`source::secret`] reads it.
    pub secret: Option<PathBuf>,
    /// Why the previous start of this server ended; `None` for the first start.
    pub restart_reason: Option<String>,
    /// The addresses that sources and outputs may reach; `None` on one machine, where all are reachable.
    pub egress: Option<Arc<EgressPolicy>>,
}

impl Environment {
    /// The job's secret; empty without one.
    fn secret(&self) -> Result<Secret, source::Error> {
        self.secret.as_deref().map_or_else(|| Ok(Secret::default()), source::secret)
    }

    /// The access to object stores in this environment.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub fn access(&self) -> Result<Access, source::Error> {
        Ok(Access::new(self.secret()?.keys, self.local_files).with_egress(self.egress.clone()))
    }
}

/// A server's worker. Each process has one.
#[derive(Debug)]
pub struct Worker {
    /// This start of the server.
    pub boot: BootId,
    pub(crate) compute: Compute,
    pub(crate) client: Client,
    pub(crate) environment: Environment,
    current: Mutex<Option<Current>>,
    /// Digests that the loop sent before the assignment of their job: its uid and generation, and the digests.
    expected: Mutex<Option<(String, u64, Vec<FrameDigest>)>>,
    /// How often stored frames were damaged.
    damages: AtomicU32,
    /// Held while an output is written.
    writing: Semaphore,
    /// Pieces of blocks that are cut for peers and not sent yet.
    pub(crate) pieces: Arc<Semaphore>,
    /// Held while a reader peeks at a frame of the source.
    pub(crate) peeking: Semaphore,
    /// Incremented by each event on which the loop may act.
    milestone: watch::Sender<u64>,
    usage: vitals::UsageCache,
}

/// What a share needs in addition to its assignment.
struct Prepared {
    source: Source,
    /// Folder for scratch files, when the plan stores on disk.
    scratch: Option<PathBuf>,
}

#[derive(Debug)]
struct Current {
    share: Arc<Share>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Current {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Worker {
    /// A worker without work.
    pub fn new(boot: BootId, compute: Compute, client: Client, environment: Environment) -> Self {
        Self {
            boot,
            compute,
            client,
            environment,
            current: Mutex::new(None),
            expected: Mutex::default(),
            damages: AtomicU32::new(0),
            writing: Semaphore::new(1),
            pieces: Arc::new(Semaphore::new(PIECES)),
            peeking: Semaphore::new(PEEKS),
            milestone: watch::Sender::new(0),
            usage: vitals::UsageCache::default(),
        }
    }

    /// The current share; `None` without an assignment.
    pub fn share(&self) -> Option<Arc<Share>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|current| Arc::clone(&current.share))
    }

    /// Ends all work, as the end of the process does.
    #[cfg(feature = "simulation")]
    pub fn stop(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs `reading` while `share` is the current share. `None` if another share replaces it, because the read would keep the old memory.
    pub(crate) async fn unless_replaced<T>(&self, share: &Arc<Share>, reading: impl Future<Output = T>) -> Option<T> {
        let mut milestones = self.milestone.subscribe();
        let replaced = async {
            // The replacement of a share is a milestone. The channel closes only with the worker, which `self` keeps alive.
            while self.share().is_some_and(|now| Arc::ptr_eq(&now, share)) && milestones.changed().await.is_ok() {}
        };
        tokio::select! {
            biased;
            done = reading => Some(done),
            () = replaced => None,
        }
    }

    /// Accepts an assignment. Starts a new job or generation, or updates the peers and the goal of the current one.
    ///
    /// # Errors
    /// When the assignment is stale or is not usable here. Only a lack of memory or disk space ends the current share.
    pub fn assign(self: &Arc<Self>, id: ServerId, assignment: Assignment) -> Result<(), Error> {
        assignment.check()?;
        let stamp = assignment.stamp();
        let Assignment { job, plan, peers, goal } = assignment;
        let directions = Directions { stamp, peers, goal };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at_work) = current.as_ref().filter(|at_work| at_work.share.job.uid == job.uid) {
            let generation = at_work.share.job.generation;
            if job.generation < generation {
                return Err(Error::Stale { found: job.generation, current: generation });
            }
            if job.generation == generation {
                let before = at_work.share.directions.send_replace(directions);
                at_work.share.record_peers(&before.peers);
                self.notify();
                return Ok(());
            }
        }
        // A refused assignment leaves the share at work as it is.
        let prepared = self.prepare(id, &job, &plan)?;
        let first = current.is_none();
        let journal = Arc::new(Journal::new(self.compute.threads()));
        if first && let Some(reason) = &self.environment.restart_reason {
            share::record_restart(&journal, id, reason);
        }
        // The old share's memory and disk space are freed before the new share reserves its own.
        *current = None;
        let share = Arc::new(Share::new(job, plan, id, prepared.source, directions, journal, prepared.scratch.as_deref())?);
        self.expect_known_digests(&share);
        let (job, own) = (&share.job, share.frames());
        tracing::info!(job = job.name, uid = job.uid, generation = job.generation, server = id.0, frames = ?own, "the assignment is accepted");
        let tasks = vec![
            tokio::spawn(load::run(Arc::clone(self), Arc::clone(&share))),
            tokio::spawn(transform::run(Arc::clone(self), Arc::clone(&share))),
            tokio::spawn(touch::run(Arc::clone(self), Arc::clone(&share))),
            tokio::spawn(vitals::watch(Arc::downgrade(self), Arc::downgrade(&share))),
            tokio::spawn(damage::load_again(Arc::downgrade(self), Arc::downgrade(&share), share.damage.subscribe())),
        ];
        *current = Some(Current { share, tasks });
        drop(current);
        self.notify();
        Ok(())
    }

    /// Keeps digests of frames that the source must still have, for the current share or for a later assignment of the same job.
    pub(crate) fn expect_digests(&self, uid: &str, generation: u64, digests: Vec<FrameDigest>) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some((uid.to_owned(), generation, digests));
        if let Some(share) = self.share() {
            self.expect_known_digests(&share);
        }
    }

    fn expect_known_digests(&self, share: &Share) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let of_share =
            |(uid, generation, _): &mut (String, u64, Vec<FrameDigest>)| *uid == share.job.uid && *generation == share.job.generation;
        if let Some((.., digests)) = expected.take_if(of_share)
            && let Err(changed) = digests.into_iter().try_for_each(|digest| share.frame_digests.learn(digest))
        {
            self.fail(share, reason::SOURCE_CHANGED, changed.to_string());
        }
    }

    /// Checks everything that can refuse an assignment, except for memory and disk space.
    fn prepare(&self, id: ServerId, job: &job::Job, plan: &Plan) -> Result<Prepared, Error> {
        if id.0 >= plan.partition.servers {
            return Err(Error::NoSuchServer(id.0));
        }
        let needed = plan.needed_memory(job, id).peak().saturating_add(plan.notes_bytes(job, id));
        // The needs are an estimate, and pages of arrays are taken when they are written.
        if let Some(available) = memory_bytes().filter(|&available| needed / 2 > available) {
            return Err(Error::Memory { server: id.0, needed, available });
        }
        let scratch = match plan.storage {
            Placement::Memory => None,
            Placement::TilesOnDisk | Placement::Disk => Some(self.environment.scratch.clone().ok_or(Error::NoScratch)?),
        };
        if let job::Source::Images(images) = &job.source {
            Template::parse(&images.url_template)?;
        }
        let options = source::Options { connections: plan.pace.requests, max_bytes: load::largest_body(job), ..Default::default() };
        Ok(Prepared { source: self.source(&job.source, options)?, scratch })
    }

    /// A source for `wanted` that sends this server's secrets and reads only what this environment permits.
    ///
    /// # Errors
    /// When the secrets are not readable or not valid headers.
    pub fn source(&self, wanted: &job::Source, options: source::Options) -> Result<Source, source::Error> {
        let mut headers = wanted.headers().to_vec();
        let secret = self.environment.secret()?.headers;
        // A header of the secret replaces a header of the same name in the manifest.
        headers.retain(|(name, _)| !secret.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        headers.extend(secret);
        let traffic = Arc::clone(&self.client.traffic);
        let egress = self.environment.egress.clone();
        Source::new(source::Options {
            headers,
            allow_local_files: self.environment.local_files,
            min_bytes_per_second: wanted.min_bytes_per_second(),
            egress,
            traffic,
            ..options
        })
    }

    /// Starts one stage of an output, once.
    pub fn write(self: &Arc<Self>, share: &Arc<Share>, writing: Writing) {
        if !share.counters.start_writing(writing) {
            return;
        }
        let task = tokio::spawn(outputs::run(Arc::clone(self), Arc::clone(share), writing));
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            current.tasks.push(task);
        }
        self.notify();
    }

    /// Progress of the current share.
    pub fn progress(&self) -> Progress {
        let share = self.share();
        let milestone = *self.milestone.borrow();
        let peak_rss_bytes = peak_rss_bytes();
        match share {
            None => Progress { milestone, peak_rss_bytes, ..Progress::idle(self.boot.clone()) },
            Some(share) => {
                let (writing, written) = share.counters.outputs();
                let phases = share.counters.phases();
                // After loading, the source has no effect on the job.
                let loading = phases.first().is_some_and(|load| !load.complete());
                let last_error = share.source.last_error().filter(|_| loading);
                Progress {
                    boot: self.boot.clone(),
                    assignment: Some((share.job.uid.clone(), share.job.generation)),
                    stamp: share.directions.borrow().stamp,
                    milestone,
                    phases,
                    blank: share.counters.blank(),
                    uncentered: share.counters.uncentered(),
                    writing,
                    written,
                    failure: share.counters.failure(),
                    last_error: last_error.map(|message| Failure { reason: reason::SOURCE_UNAVAILABLE.into(), message }),
                    digests: share.frame_digests.loaded(),
                    checksum_mismatches: share.counters.checksum_mismatches() + u64::from(self.damages.load(Ordering::Relaxed)),
                    peak_rss_bytes,
                    vitals: None,
                }
            }
        }
    }

    /// Progress with CPU time, memory, traffic and waits.
    pub fn progress_and_vitals(&self) -> Progress {
        Progress { vitals: Some(self.vitals()), ..self.progress() }
    }

    /// A receiver of milestones.
    pub fn milestones(&self) -> watch::Receiver<u64> {
        self.milestone.subscribe()
    }

    /// Notifies the loop of an event.
    pub(crate) fn notify(&self) {
        self.milestone.send_modify(|milestone| *milestone += 1);
    }

    /// Fails the job. The first failure is kept.
    pub(crate) fn fail(&self, share: &Share, reason: &str, message: String) {
        tracing::warn!(reason, message, "the job failed");
        share.journal.mark(Event::Failure, &message);
        share.counters.fail(Failure { reason: reason.to_owned(), message });
        self.notify();
    }
}

//! One server's work on one job: takes assignments, loads, exchanges, transforms, and says how far it is.

mod load;
mod outputs;
mod transform;
mod vitals;

pub use outputs::{discard, write_whole};
pub(crate) use transform::own_block;

use crate::compute::Compute;
use crate::objects::Access;
use crate::share::{self, Directions, Share};
use crate::source::{self, Secret, Source};
use api::job::{self, Storage};
use api::phase::{BootId, Failure, Progress, Writing, reason};
use api::plan::ServerId;
use api::template::{Template, TemplateError};
use api::wire::Assignment;
use journal::system::peak_rss_bytes;
use journal::{Event, Journal};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use transport::client::Client;

/// Frames that people look at, at a time: the plan has no memory for them.
const PEEKS: usize = 2;

/// Why an assignment is refused.
#[derive(Debug, Error)]
pub enum Error {
    /// It is older than the one at work.
    #[error("generation {found} is older than {current}, which this server works on")]
    Stale {
        /// The generation of the refused one.
        found: u64,
        /// The generation at work.
        current: u64,
    },
    /// It has no place for this server.
    #[error("server {0} is not part of the plan")]
    NoSuchServer(usize),
    /// Pixels are to lie on disk, and there is none.
    #[error("the plan stores on disk, and this server has no scratch folder")]
    NoScratch,
    /// Pixels have no place.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The source cannot be set up.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The URL template cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// What a worker finds where it runs.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Folder for scratch files.
    pub scratch: Option<PathBuf>,
    /// Whether `file://` may be read and written: on the user's own machine, not on a cluster.
    pub local_files: bool,
    /// Folder of the job's secret, as [`source::secret`] reads it.
    pub secret: Option<PathBuf>,
    /// What became of the server in whose place this one was started; none for the first.
    pub after: Option<String>,
}

impl Surroundings {
    /// The job's secret; empty without one.
    fn secret(&self) -> Result<Secret, source::Error> {
        self.secret.as_deref().map_or_else(|| Ok(Secret::default()), source::secret)
    }

    /// How object stores are opened from here.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub fn access(&self) -> Result<Access, source::Error> {
        Ok(Access::new(self.secret()?.keys, self.local_files))
    }
}

/// A server's worker. One for each process.
#[derive(Debug)]
pub struct Worker {
    /// This start of the server.
    pub boot: BootId,
    pub(crate) compute: Compute,
    pub(crate) client: Client,
    pub(crate) surroundings: Surroundings,
    current: Mutex<Option<Current>>,
    /// The right to write an output.
    writing: Semaphore,
    /// The right to look at a frame beside the work.
    pub(crate) peeking: Semaphore,
    /// Grows with each event that the loop may act on.
    milestone: watch::Sender<u64>,
    gauge: vitals::Gauge,
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
    pub fn new(boot: BootId, compute: Compute, client: Client, surroundings: Surroundings) -> Self {
        Self {
            boot,
            compute,
            client,
            surroundings,
            current: Mutex::new(None),
            writing: Semaphore::new(1),
            peeking: Semaphore::new(PEEKS),
            milestone: watch::Sender::new(0),
            gauge: vitals::Gauge::default(),
        }
    }

    /// The share at work, if any.
    pub fn share(&self) -> Option<Arc<Share>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|current| Arc::clone(&current.share))
    }

    /// Does `reading` for as long as `share` is at work; `None` when another one takes its place, whose memory this would hold up.
    pub(crate) async fn unless_replaced<T>(&self, share: &Arc<Share>, reading: impl Future<Output = T>) -> Option<T> {
        let mut milestones = self.milestone.subscribe();
        let replaced = async {
            // A share that is replaced is a milestone. It fails only when the worker is gone, and we hold it.
            while self.share().is_some_and(|now| Arc::ptr_eq(&now, share)) && milestones.changed().await.is_ok() {}
        };
        tokio::select! {
            biased;
            done = reading => Some(done),
            () = replaced => None,
        }
    }

    /// Takes an assignment: a new job starts, a known one learns its peers and its goal.
    ///
    /// # Errors
    /// When it is stale, or cannot be started.
    pub fn assign(self: &Arc<Self>, id: ServerId, assignment: Assignment) -> Result<(), Error> {
        let directions = Directions { stamp: assignment.stamp(), peers: assignment.peers, goal: assignment.goal };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at_work) = current.as_ref().filter(|at_work| at_work.share.job.uid == assignment.job.uid) {
            let generation = at_work.share.job.generation;
            if assignment.job.generation < generation {
                return Err(Error::Stale { found: assignment.job.generation, current: generation });
            }
            if assignment.job.generation == generation {
                let before = at_work.share.directions.send_replace(directions);
                at_work.share.note_peers(&before.peers);
                self.tell();
                return Ok(());
            }
        }
        if id.0 >= assignment.plan.servers {
            return Err(Error::NoSuchServer(id.0));
        }
        let first = current.is_none();
        // The old share's memory is let go before the new one takes its own.
        *current = None;
        let Assignment { job, plan, .. } = assignment;
        let scratch = self.surroundings.scratch.as_deref();
        if plan.storage == Storage::Disk && scratch.is_none() {
            return Err(Error::NoScratch);
        }
        if let job::Source::Images(images) = &job.source {
            Template::parse(&images.url_template)?;
        }
        let connections = plan.pace.requests;
        let source =
            self.source(&job.source, source::Options { connections, max_bytes: load::largest_body(&job), ..Default::default() })?;
        let journal = Arc::new(Journal::new(self.compute.threads()));
        if first && let Some(fate) = &self.surroundings.after {
            share::note_start(&journal, id, fate);
        }
        let share = Arc::new(Share::new(job, plan, id, source, directions, journal, scratch)?);
        let (job, own) = (&share.job, share.frames());
        tracing::info!(job = job.name, uid = job.uid, generation = job.generation, server = id.0, frames = ?own, "assignment taken");
        let tasks = vec![
            tokio::spawn(load::run(Arc::clone(self), Arc::clone(&share))),
            tokio::spawn(transform::run(Arc::clone(self), Arc::clone(&share))),
            tokio::spawn(vitals::watch(Arc::downgrade(self), Arc::downgrade(&share))),
        ];
        *current = Some(Current { share, tasks });
        drop(current);
        self.tell();
        Ok(())
    }

    /// What fetches `wanted`, with this server's secrets and within what it may read.
    ///
    /// # Errors
    /// When the secrets cannot be read or sent.
    pub fn source(&self, wanted: &job::Source, options: source::Options) -> Result<Source, source::Error> {
        let mut headers = wanted.headers().to_vec();
        let secret = self.surroundings.secret()?.headers;
        // A secret stands for any header of its name in the manifest.
        headers.retain(|(name, _)| !secret.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        headers.extend(secret);
        let traffic = Arc::clone(&self.client.traffic);
        Source::new(source::Options { headers, allow_local_files: self.surroundings.local_files, traffic, ..options })
    }

    /// Starts writing, once.
    pub fn write(self: &Arc<Self>, share: &Arc<Share>, writing: Writing) {
        if !share.counters.start_writing(writing) {
            return;
        }
        let task = tokio::spawn(outputs::run(Arc::clone(self), Arc::clone(share), writing));
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            current.tasks.push(task);
        }
        self.tell();
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let share = self.share();
        let milestone = *self.milestone.borrow();
        let peak_rss_bytes = peak_rss_bytes();
        match share {
            None => Progress {
                boot: self.boot.clone(),
                assignment: None,
                stamp: 0,
                milestone,
                phases: vec![],
                blank: vec![],
                writing: vec![],
                written: vec![],
                failure: None,
                last_error: None,
                peak_rss_bytes,
                vitals: None,
            },
            Some(share) => {
                let (writing, written) = share.counters.outputs();
                let phases = share.counters.phases();
                // Once all is loaded nothing waits for the source any more.
                let loading = phases.first().is_some_and(|load| !load.complete());
                let last_error = share.source.last_error().filter(|_| loading);
                Progress {
                    boot: self.boot.clone(),
                    assignment: Some((share.job.uid.clone(), share.job.generation)),
                    stamp: share.directions.borrow().stamp,
                    milestone,
                    phases,
                    blank: share.counters.blank(),
                    writing,
                    written,
                    failure: share.counters.failure(),
                    last_error: last_error.map(|message| Failure { reason: reason::SOURCE_UNAVAILABLE.into(), message }),
                    peak_rss_bytes,
                    vitals: None,
                }
            }
        }
    }

    /// The same with what the server takes and waits for.
    pub fn progress_and_vitals(&self) -> Progress {
        Progress { vitals: Some(self.vitals()), ..self.progress() }
    }

    /// Follows milestones.
    pub fn milestones(&self) -> watch::Receiver<u64> {
        self.milestone.subscribe()
    }

    /// Something happened that the loop may act on.
    pub(crate) fn tell(&self) {
        self.milestone.send_modify(|milestone| *milestone += 1);
    }

    /// The job cannot go on; the first reason given is kept.
    pub(crate) fn fail(&self, share: &Share, reason: &str, message: String) {
        tracing::warn!(reason, message, "the job cannot go on");
        share.journal.mark(Event::Failure, &message);
        share.counters.fail(Failure { reason: reason.to_owned(), message });
        self.tell();
    }
}

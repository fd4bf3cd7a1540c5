//! One server's work on one job: takes assignments, loads, exchanges, transforms, and says how far it is.

mod counters;
mod load;
mod outputs;
mod share;
mod transform;

pub use counters::Counters;
pub use outputs::{partial_path, write_whole};
pub use share::{Directions, FrameNotes, Share};
pub(crate) use transform::own_block;

use crate::compute::Compute;
use crate::exchange::Client;
use crate::source::{self, Source};
use api::phase::{BootId, Failure, Progress};
use api::plan::ServerId;
use api::wire::Assignment;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

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
    /// Pixels have no place.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The source cannot be set up.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The URL template cannot be read.
    #[error(transparent)]
    Template(#[from] api::template::TemplateError),
}

/// A server's worker. One for each process.
#[derive(Debug)]
pub struct Worker {
    /// This start of the server.
    pub boot: BootId,
    pub(crate) compute: Compute,
    pub(crate) client: Client,
    scratch: Option<PathBuf>,
    /// Whether `file://` may be read and written: on the user's own machine, not on a cluster.
    local_files: bool,
    current: Mutex<Option<Current>>,
    /// The right to write an output.
    writing: Semaphore,
    /// Grows with each event that the loop may act on.
    milestone: watch::Sender<u64>,
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
    pub fn new(boot: BootId, compute: Compute, client: Client, scratch: Option<PathBuf>, local_files: bool) -> Self {
        Self {
            boot,
            compute,
            client,
            scratch,
            local_files,
            current: Mutex::new(None),
            writing: Semaphore::new(1),
            milestone: watch::Sender::new(0),
        }
    }

    /// The share at work, if any.
    pub fn share(&self) -> Option<Arc<Share>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|current| Arc::clone(&current.share))
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
                at_work.share.directions.send_replace(directions);
                self.tell();
                return Ok(());
            }
        }
        if id.0 >= assignment.plan.servers {
            return Err(Error::NoSuchServer(id.0));
        }
        // The old share's memory is let go before the new one takes its own.
        *current = None;
        let source = Source::new(source::Options {
            headers: assignment.job.source.headers.clone(),
            connections: assignment.job.concurrency,
            allow_local_files: self.local_files,
            max_bytes: load::largest_body(&assignment.job),
            ..source::Options::default()
        })?;
        let share = Arc::new(Share::new(assignment.job, assignment.plan, id, directions, self.scratch.as_deref())?);
        let loading = load::Loader::new(Arc::clone(self), Arc::clone(&share), source)?;
        let tasks = vec![tokio::spawn(loading.run()), tokio::spawn(transform::run(Arc::clone(self), Arc::clone(&share)))];
        *current = Some(Current { share, tasks });
        drop(current);
        self.tell();
        Ok(())
    }

    /// Starts writing output `output`, once.
    pub fn write(self: &Arc<Self>, share: &Arc<Share>, output: usize) {
        if !share.counters.start_writing(output) {
            return;
        }
        let task = tokio::spawn(outputs::run(Arc::clone(self), Arc::clone(share), output));
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
                peak_rss_bytes,
            },
            Some(share) => {
                let (writing, written) = share.counters.outputs();
                Progress {
                    boot: self.boot.clone(),
                    assignment: Some((share.job.uid.clone(), share.job.generation)),
                    stamp: share.directions.borrow().stamp,
                    milestone,
                    phases: share.counters.phases(),
                    blank: share.counters.blank(),
                    writing,
                    written,
                    failure: share.counters.failure(),
                    peak_rss_bytes,
                }
            }
        }
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
        share.counters.fail(Failure { reason: reason.to_owned(), message });
        self.tell();
    }
}

/// Largest resident memory of this process so far, in bytes; 0 where the system does not say.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().map_or(0, |kib| kib * 1024)
}

/// An error and its causes, as one sentence.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

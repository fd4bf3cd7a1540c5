//! The digests of a job's frames, as its servers report them. A server that replaces a lost one gets the digests of its frames before its
//! assignment, so that a source that changed in between is found. The loop keeps the digests, because the lost server cannot. A new loop
//! reads them from the servers that are up: each also knows the digests of the frames whose rows it pulled.

use crate::server_client::{DigestsOf, ServerClient};
use api::Job;
use api::digest::{FrameDigest, SourceChanged};
use api::phase::{BootId, Failure, Observed, Progress, Seen, reason};
use api::plan::{Plan, ServerId};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The digests of one job.
#[derive(Debug, Default)]
pub struct FrameDigests {
    inner: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Uid and generation of the job.
    job: (String, u64),
    /// One digest for each frame; 0 if unknown.
    digests: Vec<u64>,
    /// Digests that each start of a server has reported.
    read: HashMap<BootId, usize>,
}

impl Known {
    fn merge(&mut self, FrameDigest { frame, digest }: FrameDigest) -> Result<(), SourceChanged> {
        match self.digests.get_mut(frame) {
            // A frame beyond the job: nothing depends on it.
            None => Ok(()),
            Some(known) if *known == 0 || *known == digest => {
                *known = digest;
                Ok(())
            }
            Some(_) => Err(SourceChanged { frame }),
        }
    }
}

/// Whether the server works on the job.
fn is_current(job: &Job, progress: &Progress) -> bool {
    progress.assignment.as_ref().is_some_and(|(uid, generation)| *uid == job.uid && *generation == job.generation)
}

impl FrameDigests {
    /// Reads the digests that servers have learned since the last call. A server that does not respond is read by a later call.
    ///
    /// # Errors
    /// When two starts of a server loaded different bytes of one frame: the job fails.
    pub async fn collect(&self, servers: &ServerClient, job: &Job, plan: &Plan, observed: &Observed) -> Result<(), Failure> {
        let requests = observed.servers.iter().filter_map(|seen| match seen {
            Seen::Up { address, progress } if is_current(job, progress) => {
                let which = self.unread(job, plan, progress)?;
                Some(async move { (progress, which, servers.digests(address, progress, which).await) })
            }
            Seen::Up { .. } | Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => None,
        });
        let responses = join_all(requests.collect::<Vec<_>>()).await;
        let mut known = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for (progress, which, response) in responses {
            match response {
                Ok(digests) => {
                    let read = match which {
                        DigestsOf::AllFrames => 0,
                        DigestsOf::LoadedAfter(after) => after + digests.len(),
                    };
                    known.read.insert(progress.boot.clone(), read);
                    digests.into_iter().try_for_each(|digest| known.merge(digest)).map_err(failure)?;
                }
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "digests are read later"),
            }
        }
        Ok(())
    }

    /// The digests that a server has and this loop has not read; `None` if there are no such digests.
    fn unread(&self, job: &Job, plan: &Plan, progress: &Progress) -> Option<DigestsOf> {
        let mut known = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (job.uid.clone(), job.generation);
        if known.job != of {
            *known = Known { job: of, digests: vec![0; plan.partition.frames], read: HashMap::new() };
        }
        match known.read.get(&progress.boot) {
            None => Some(DigestsOf::AllFrames),
            Some(&read) => (progress.digests > read).then_some(DigestsOf::LoadedAfter(read)),
        }
    }

    /// The known digests of the frames of server `id`.
    pub fn of_server(&self, job: &Job, plan: &Plan, id: ServerId) -> Vec<FrameDigest> {
        let known = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if (known.job.0.as_str(), known.job.1) != (job.uid.as_str(), job.generation) {
            return Vec::new();
        }
        let digest = |frame| known.digests.get(frame).copied().filter(|&digest| digest != 0);
        plan.frames_of(id).filter_map(|frame| Some(FrameDigest { frame, digest: digest(frame)? })).collect()
    }
}

fn failure(changed: SourceChanged) -> Failure {
    Failure { reason: reason::SOURCE_CHANGED.into(), message: changed.to_string() }
}

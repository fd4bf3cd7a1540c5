//! Outputs: a selection is gathered, encoded and written, all or nothing. A file is made whole by one server. A Zarr array is
//! written by all, each the objects that it owns; nobody can read it before its metadata, which is written last.

mod array;
mod file;
mod fill;
mod sink;

pub use file::write_whole;

use super::Worker;
use crate::objects::{self, Access};
use crate::results;
use crate::share::Share;
use crate::source;
use api::job::Output;
use api::output_grid;
use api::phase::{Stage, Writing, reason};
use api::words::chain;
use formats::encode::{self, Format};
use journal::{Kind, Task};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why an output is not there.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("cannot read the selection")]
    Read(#[from] results::Error),
    #[error(transparent)]
    Selection(#[from] api::selection::Error),
    #[error(transparent)]
    Grid(#[from] output_grid::Error),
    #[error("it cannot be written in that format")]
    Encode(#[from] encode::Error),
    #[error(transparent)]
    Secret(#[from] source::Error),
    #[error(transparent)]
    Open(#[from] objects::Error),
    #[error("{0} holds something that is no Zarr array; name another place, or remove it")]
    Foreign(String),
    #[error("{0} is a Zarr group, whose arrays would be lost; name an array in it, as in {0}/power")]
    Group(String),
    #[error("{key} of {place}, which the servers have written, is gone; somebody else has removed it, or writes there too")]
    Gone { place: String, key: String },
    #[error("cannot write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {key}: {said}")]
    Store { key: String, said: String },
    #[error("the store refuses {key}; check its keys, in the secret or the environment (AWS_…, GOOGLE_…, AZURE_…): {said}")]
    Refused { key: String, said: String },
    #[error("no keys for {key}, neither in the secret nor in the environment (AWS_…, GOOGLE_…, AZURE_…) nor the machine's own: {said}")]
    Keyless { key: String, said: String },
    #[error("the thread that wrote has ended")]
    Thread,
}

/// Writes a part of an output, or fails the job.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>, writing: Writing) {
    let Some(output) = share.job.outputs.get(writing.output) else { return };
    match write(&worker, &share, output, writing.output, writing.stage).await {
        Ok(()) => {
            share.counters.note_written(writing);
            worker.notify();
        }
        Err(error) => worker.fail(
            &share,
            reason::OUTPUT_WRITE_FAILED,
            format!("output {} of {} failed: {}", objects::redacted(&output.url), output.select, chain(&error)),
        ),
    }
}

async fn write(worker: &Worker, share: &Arc<Share>, output: &Output, number: usize, stage: Stage) -> Result<(), Error> {
    let access = worker.environment.access()?;
    let task = || share.journal.begin(Kind::Write, number);
    match stage {
        Stage::Open => noted(task(), array::open(&access, output, &share.job.uid).await.map(|()| 0)),
        Stage::Close => noted(task(), array::close(&access, share, output).await.map(|()| 0)),
        Stage::Part | Stage::Whole => {
            // One after another: the plan has memory for the largest, not for all. It fails only when closed, which nobody does.
            let _turn = worker.writing.acquire().await;
            if let Some(counter) = &share.counters.write {
                counter.start();
            }
            let task = task();
            let written = if stage == Stage::Part {
                array::write_part(&worker.client, share, &access, output).await
            } else {
                file::write(&worker.client, share, &access, output, Format::from_path(output.path())?).await
            };
            noted(task, written)
        }
    }
}

/// The end of a stage that has written so many bytes.
fn noted(task: Task<'_>, written: Result<u64, Error>) -> Result<(), Error> {
    match &written {
        Ok(bytes) => task.done(*bytes),
        Err(_) => task.failed(0),
    }
    written.map(drop)
}

/// Removes what a job that has ended has left of an output that is not there. What cannot be removed stays.
pub async fn discard(access: &Access, output: &Output, uid: &str) {
    let discarded = if output.is_zarr() { array::discard(access, output, uid).await } else { file::discard(output, uid) };
    if let Err(error) = discarded {
        tracing::debug!(error = chain(&error), "left as it is");
    }
}

/// Runs file work apart from the threads that answer HTTP.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    // It ends early only when it panics or the runtime ends.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Thread))
}

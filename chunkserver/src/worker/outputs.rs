//! Outputs: gathers, encodes and writes selections. An output is readable only when it is complete. One server writes a file. All servers write a
//! Zarr array, each the objects that it owns; the metadata, which make the array readable, are written last.

mod array;
mod file;
mod object;
mod sink;

pub use file::write_whole;

use super::Worker;
use crate::limits;
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

/// Why an output was not written.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("cannot read the selection")]
    Read(#[from] results::Error),
    #[error(transparent)]
    Selection(#[from] api::selection::Error),
    #[error(transparent)]
    Grid(#[from] output_grid::Error),
    #[error("cannot encode the selection")]
    Encode(#[from] encode::Error),
    #[error(transparent)]
    Secret(#[from] source::Error),
    #[error(transparent)]
    Open(#[from] objects::Error),
    #[error("{0} contains data other than a Zarr array; choose another URL, or remove the data")]
    Foreign(String),
    #[error("{0} is a Zarr group, and its arrays would be lost; name an array in the group, for example {0}/power")]
    Group(String),
    #[error("{key} of {url} is missing although the servers have written it; another program has removed it, or writes to the same URL")]
    Gone { url: String, key: String },
    #[error("cannot write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {key}: {message}")]
    Store { key: String, message: String },
    #[error("the store refuses {key}; check its keys, in the secret or the environment (AWS_…, GOOGLE_…, AZURE_…): {message}")]
    Refused { key: String, message: String },
    #[error("there are no keys for {key} in the secret, in the environment (AWS_…, GOOGLE_…, AZURE_…) or on the machine: {message}")]
    MissingKeys { key: String, message: String },
    #[error("the writing thread has ended early; see the server's log")]
    Thread,
}

/// Runs one stage of an output, or fails the job.
pub(super) async fn run(worker: Arc<Worker>, share: Arc<Share>, writing: Writing) {
    let Some(output) = share.job.outputs.get(writing.output) else { return };
    match write(&worker, &share, output, writing.output, writing.stage).await {
        Ok(()) => {
            share.counters.finish_writing(writing);
            worker.notify();
        }
        Err(error) => {
            let reason = if limits::is_file_size(&error) { reason::FILE_SIZE_LIMIT } else { reason::OUTPUT_WRITE_FAILED };
            let (url, select) = (objects::redacted(&output.url), &output.select);
            worker.fail(&share, reason, format!("output {url} of {select} failed: {}{}", chain(&error), limits::advice(&error)));
        }
    }
}

async fn write(worker: &Worker, share: &Arc<Share>, output: &Output, number: usize, stage: Stage) -> Result<(), Error> {
    let access = worker.environment.access()?;
    let task = || share.journal.begin(Kind::Write, number);
    match stage {
        Stage::Open => recorded(task(), array::open(&access, output, &share.job.uid).await.map(|()| 0)),
        Stage::Close => recorded(task(), array::close(&access, share, output).await.map(|()| 0)),
        Stage::Part | Stage::Whole => {
            // In sequence: the plan has memory for the largest output, not for all. Fails only if the semaphore is closed, which never happens.
            let _permit = worker.writing.acquire().await;
            if let Some(counter) = &share.counters.write {
                counter.start();
            }
            let task = task();
            let written = if stage == Stage::Part {
                array::write_part(&worker.client, share, &access, output).await
            } else {
                file::write(&worker.client, share, &access, output, Format::from_path(output.path())?).await
            };
            recorded(task, written)
        }
    }
}

/// Ends the journal's task of a stage, with the written bytes.
fn recorded(task: Task<'_>, written: Result<u64, Error>) -> Result<(), Error> {
    match &written {
        Ok(bytes) => task.done(*bytes),
        Err(_) => task.failed(0),
    }
    written.map(drop)
}

/// Removes the incomplete data of an output after the end of a job. Errors are ignored, and the data remain.
pub async fn discard(access: &Access, output: &Output, uid: &str) {
    let discarded = if output.is_zarr() { array::discard(access, output, uid).await } else { file::discard(output, uid) };
    if let Err(error) = discarded {
        tracing::debug!(error = chain(&error), "incomplete data of an output remain");
    }
}

/// Runs file operations on a blocking thread, so that the HTTP threads are not blocked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    // Fails only if the work panics or the runtime shuts down.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Thread))
}

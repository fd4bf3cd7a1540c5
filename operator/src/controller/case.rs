//! One job as a reconciliation has it in hand.

use super::context::{self, Context, Memory};
use crds::{ArrayJob, ArrayJobStatus};
use jiff::Timestamp;
use std::sync::Arc;
use thiserror::Error;

/// Why a reconciliation is tried again.
#[derive(Debug, Error)]
pub enum Error {
    #[error("the API server refuses or does not answer")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Context(#[from] context::Error),
    #[error("an object of the job's predecessor is still being deleted")]
    Predecessor,
    #[error("the job is gone, or another one has its name")]
    Gone,
}

/// One job, as it is now.
pub(super) struct Case<'a> {
    pub(super) context: &'a Context,
    pub(super) memory: Arc<Memory>,
    pub(super) job: Arc<ArrayJob>,
    pub(super) before: ArrayJobStatus,
    pub(super) now: Timestamp,
}

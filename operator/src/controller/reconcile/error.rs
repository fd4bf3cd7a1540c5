//! Two ways in which a step ends a reconciliation early: the job fails, or the reconciliation is retried.

use crate::controller::context;
use crate::validate::Invalid;
use api::phase::{Failure, reason};
use thiserror::Error;

/// Reason to retry a reconciliation.
#[derive(Debug, Error)]
pub enum Error {
    #[error("a request to the API server failed")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Context(#[from] context::Error),
    #[error("the Service of a deleted job of the same name still exists")]
    OldService,
    #[error("the job was deleted or replaced by another job of the same name")]
    JobReplaced,
}

/// Reason to end the steps of a reconciliation.
#[derive(Debug)]
pub(super) enum StepError {
    /// The job cannot succeed. The status gets the condition `Failed`.
    JobFailed(Failure),
    /// The same step may succeed later.
    Retry(Error),
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self::JobFailed(failure)
    }
}

impl From<Invalid> for StepError {
    fn from(invalid: Invalid) -> Self {
        Self::JobFailed(invalid_spec(&invalid))
    }
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        Self::Retry(error)
    }
}

impl From<kube::Error> for StepError {
    fn from(error: kube::Error) -> Self {
        Self::Retry(error.into())
    }
}

/// The failure `InvalidSpec` for a broken rule.
pub(super) fn invalid_spec(invalid: &Invalid) -> Failure {
    Failure { reason: reason::INVALID_SPEC.into(), message: invalid.to_string() }
}

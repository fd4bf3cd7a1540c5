//! Errors as responses: a status, one sentence as JSON, and `Retry-After` for temporary errors.

use super::body;
use crate::worker;
use crate::{probe, results, source};
use api::phase::reason;
use api::words::chain;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use formats::{encode, zarr};

/// An error response.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: String,
    /// A reason for programs.
    reason: Option<&'static str>,
}

impl Problem {
    /// A status and one sentence.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), reason: None }
    }

    /// A status, one sentence, and a reason for programs.
    pub(super) fn with_reason(status: StatusCode, error: impl Into<String>, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::new(status, error) }
    }

    /// Status 422, one sentence, and a reason for programs.
    pub(super) fn unprocessable(error: impl Into<String>, reason: &'static str) -> Self {
        Self::with_reason(StatusCode::UNPROCESSABLE_ENTITY, error, reason)
    }

    /// The server has no job.
    pub(super) fn idle() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "this server has no job yet; try again")
    }

    /// The job was replaced during the request.
    pub(super) fn replaced() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the job changed during the request; try again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(api::wire::Problem { error: self.error, reason: self.reason.map(str::to_owned) });
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            return (self.status, [(header::RETRY_AFTER, "1")], body).into_response();
        }
        (self.status, body).into_response()
    }
}

impl From<zarr::Error> for Problem {
    fn from(error: zarr::Error) -> Self {
        // Zarr readers test for keys and treat any other status as a failure.
        Self::new(StatusCode::NOT_FOUND, error.to_string())
    }
}

impl From<results::Error> for Problem {
    fn from(error: results::Error) -> Self {
        let status = match &error {
            results::Error::NoSuchArray { .. } => StatusCode::NOT_FOUND,
            results::Error::Selection(_) | results::Error::TooLarge { .. } => StatusCode::BAD_REQUEST,
            results::Error::OverBudget { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            results::Error::Malformed(_) | results::Error::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            results::Error::Failed(_) => StatusCode::CONFLICT,
            results::Error::Timeout
            | results::Error::MemoryTimeout
            | results::Error::Peer { .. }
            | results::Error::PeerAbsent(_)
            | results::Error::Damaged(_)
            | results::Error::PartLength { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, chain(&error))
    }
}

impl From<encode::Error> for Problem {
    fn from(error: encode::Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, chain(&error))
    }
}

impl From<body::Error> for Problem {
    fn from(error: body::Error) -> Self {
        match error {
            body::Error::Read(error) => error.into(),
            body::Error::Replaced => Self::replaced(),
            body::Error::Closed | body::Error::Panicked => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<worker::Error> for Problem {
    fn from(error: worker::Error) -> Self {
        let (status, reason) = match &error {
            worker::Error::Stale { .. } => (StatusCode::CONFLICT, None),
            // The operator's validation excludes these errors.
            worker::Error::NoSuchServer(_) | worker::Error::Template(_) | worker::Error::Invalid(_) | worker::Error::Memory { .. } => {
                (StatusCode::BAD_REQUEST, Some(reason::INTERNAL_ERROR))
            }
            worker::Error::Source(_) => (StatusCode::BAD_REQUEST, Some(reason::SOURCE_UNAVAILABLE)),
            worker::Error::Store(store::Error::DiskFull { .. }) => (StatusCode::INSUFFICIENT_STORAGE, Some(reason::DISK_FULL)),
            worker::Error::Store(store::Error::FileSizeLimit { .. }) => (StatusCode::INSUFFICIENT_STORAGE, Some(reason::FILE_SIZE_LIMIT)),
            worker::Error::Store(_) | worker::Error::NoScratch => (StatusCode::INSUFFICIENT_STORAGE, Some(reason::STORE_FAILED)),
        };
        Self { reason, ..Self::new(status, chain(&error)) }
    }
}

impl From<source::Error> for Problem {
    fn from(error: source::Error) -> Self {
        Self::unprocessable(chain(&error), reason::SOURCE_UNAVAILABLE)
    }
}

impl From<probe::Error> for Problem {
    fn from(error: probe::Error) -> Self {
        let message = chain(&error);
        match (&error, error.reason()) {
            (probe::Error::OutOfBounds { .. }, _) => Self::new(StatusCode::NOT_FOUND, message),
            (_, Some(reason)) => Self::unprocessable(message, reason),
            (_, None) => Self::new(StatusCode::BAD_REQUEST, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_errors_are_503_and_failures_are_409() {
        let check = |error: results::Error, status: u16| {
            let transient = error.is_transient();
            let response = Problem::from(error).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503);
            assert!(!transient || status == 503, "a transient error has a permanent status");
        };
        check(results::Error::Timeout, 503);
        check(results::Error::MemoryTimeout, 503);
        check(results::Error::PeerAbsent(1), 503);
        check(results::Error::PartLength { server: 1, found: 0, expected: 1 }, 503);
        check(results::Error::Failed("no".into()), 409);
        check(results::Error::TooLarge { bytes: 2, limit: 1 }, 400);
        check(results::Error::OverBudget { needed: 2, budget: 1, fits: vec![1] }, 413);
    }

    #[tokio::test]
    async fn a_refused_scratch_file_has_the_reason_of_the_refusal_and_states_the_sizes() {
        let full = store::Error::DiskFull { bytes: 4096, available: 12, folder: "/scratch".into() };
        let response = Problem::from(worker::Error::Store(full)).into_response();
        assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let problem: api::wire::Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.reason.as_deref(), Some(reason::DISK_FULL));
        assert!(problem.error.contains("4096 bytes are needed in /scratch, 12 are free"), "{}", problem.error);
        let limited = store::Error::FileSizeLimit { bytes: 4096, limit: 512, folder: "/scratch".into() };
        assert_eq!(Problem::from(worker::Error::Store(limited)).reason, Some(reason::FILE_SIZE_LIMIT));
    }
}

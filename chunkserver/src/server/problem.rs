//! Errors as responses: a status, one sentence of JSON, and when to come back.

use crate::results;
use crate::worker;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error response.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    /// A status and one sentence.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// What was asked of a server without work.
    pub(super) fn idle() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "this server has no job yet; try again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(api::wire::Problem { error: self.error });
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            return (self.status, [(header::RETRY_AFTER, "1")], body).into_response();
        }
        (self.status, body).into_response()
    }
}

impl From<results::Error> for Problem {
    fn from(error: results::Error) -> Self {
        let status = match &error {
            results::Error::NoSuchArray { .. } => StatusCode::NOT_FOUND,
            results::Error::Selection(_) | results::Error::TooLarge { .. } => StatusCode::BAD_REQUEST,
            results::Error::Malformed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            results::Error::Peer { .. } | results::Error::PeerAbsent(_) | results::Error::PartLength { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, worker::chain(&error))
    }
}

impl From<worker::Error> for Problem {
    fn from(error: worker::Error) -> Self {
        let status = match &error {
            worker::Error::Stale { .. } => StatusCode::CONFLICT,
            worker::Error::NoSuchServer(_) | worker::Error::Template(_) | worker::Error::Source(_) => StatusCode::BAD_REQUEST,
            worker::Error::Store(_) => StatusCode::INSUFFICIENT_STORAGE,
        };
        Self::new(status, worker::chain(&error))
    }
}

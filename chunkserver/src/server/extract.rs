//! Parameters and bodies of requests. As axum's extractors, except that an error is a problem in JSON, as every other error of a route.

use super::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The query.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

/// The parameters of the path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

fn refused(what: &str, message: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("cannot read the {what}: {message}"))
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(query)| Self(query)).map_err(|error| refused("query", &error.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(path)| Self(path)).map_err(|error| refused("path", &error.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = axum::Json::from_request(request, state).await;
        read.map(|axum::Json(body)| Self(body)).map_err(|error| {
            let status = if error.status() == StatusCode::PAYLOAD_TOO_LARGE { error.status() } else { StatusCode::BAD_REQUEST };
            Problem::new(status, format!("cannot read the body: {}", error.body_text()))
        })
    }
}

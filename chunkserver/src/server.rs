//! The HTTP interface of the worker: commands from the operator, blocks and parts for peers, selections for readers.

mod access;
mod auth;
mod blocks;
mod body;
mod conditional;
mod control;
mod cors;
mod dvid;
mod events;
mod extract;
mod keys;
mod login;
mod monitor;
mod openapi;
mod page;
mod prefix;
mod preview;
mod probe;
mod problem;
mod readers;
mod report;
mod request_cache;
mod routes;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod traces;
mod zarr;

pub use keys::{Key, Keys};

pub use openapi::document as openapi;

use crate::worker::Worker;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::routing::get;
use axum::{Extension, Router};
use std::sync::Arc;
use transport::traffic::Traffic;

/// The largest command, an assignment with its plan, in bytes.
const COMMAND_BYTES: usize = 16 << 20;

/// All routes of a server on loopback. Every request needs a key.
pub fn router(worker: Arc<Worker>, keys: Keys) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(guarded(peer_routes().merge(routes::router()).with_state(worker), keys), traffic)
}

/// Routes for the operator and for peers of a server of a cluster. The listener checks certificates.
pub fn peers(worker: Arc<Worker>) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(peer_routes().with_state(worker).layer(Extension(access::Access::Command)), traffic)
}

/// Routes for readers of a server of a cluster. Every request needs the token.
pub fn readers(worker: Arc<Worker>, keys: Keys) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(guarded(routes::router().with_state(worker), keys), traffic)
}

/// Probes and metrics.
pub fn monitor(worker: Arc<Worker>) -> Router {
    Router::new()
        .route("/livez", get(monitor::alive))
        .route("/readyz", get(monitor::alive))
        .route("/metrics", get(monitor::metrics))
        .with_state(worker)
}

fn peer_routes() -> Router<Arc<Worker>> {
    routes::commands().layer(DefaultBodyLimit::max(COMMAND_BYTES))
}

/// Counts the bytes of all responses.
fn counted(routes: Router, traffic: Arc<Traffic>) -> Router {
    let count = |State(traffic): State<Arc<Traffic>>, request: Request, next: Next| async move {
        next.run(request).await.map(|body| traffic.counted(body))
    };
    routes.layer(axum::middleware::from_fn_with_state(traffic, count))
}

/// Requires a key. The check precedes the routing, because a secret may be in front of the path.
fn guarded(routes: Router, keys: Keys) -> Router {
    Router::new()
        .fallback_service(routes)
        .layer(axum::middleware::from_fn_with_state(Arc::new(keys), auth::check))
        .layer(axum::middleware::from_fn(cors::allow))
}

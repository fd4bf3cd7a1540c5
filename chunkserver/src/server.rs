//! The HTTP interface of the worker: commands from the operator, blocks and parts for peers, selections for readers.

mod auth;
mod blocks;
mod body;
mod conditional;
mod control;
mod cors;
mod dvid;
mod events;
mod login;
mod monitor;
mod openapi;
mod page;
mod preview;
mod probe;
mod problem;
mod readers;
mod report;
mod request_cache;
mod routes;
mod status;
mod tasks;
mod traces;
mod zarr;

pub use auth::Key;

pub use openapi::document as openapi;

use crate::worker::Worker;
use api::wire::route;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use std::sync::Arc;
use transport::traffic::Traffic;

/// The largest command, an assignment with its plan, in bytes.
const COMMAND_BYTES: usize = 16 << 20;

/// All routes of a server on loopback. Every request needs the run's key.
pub fn router(worker: Arc<Worker>, key: Key) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(guarded(peer_routes().merge(routes::router()).with_state(worker), key), traffic)
}

/// Routes for the operator and for peers of a server of a cluster. The listener checks certificates.
pub fn peers(worker: Arc<Worker>) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(peer_routes().with_state(worker), traffic)
}

/// Routes for readers of a server of a cluster. Every request needs the token.
pub fn readers(worker: Arc<Worker>, token: Key) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(guarded(routes::router().with_state(worker), token), traffic)
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
    Router::new()
        .route(route::PROGRESS, get(control::progress))
        .route(route::ASSIGNMENT, put(control::assign))
        .route(route::DIGESTS, get(control::digests).put(control::expect))
        .route(route::WRITE, post(control::write))
        .route(route::PROBE, post(probe::probe))
        .route(route::BLOCK, get(blocks::block))
        .route(route::PART, get(blocks::part))
        .route(route::SUMS, get(blocks::sums))
        .route(route::TASKS, get(tasks::own))
        .route(route::PREVIEW, get(preview::own).layer(Extension(Arc::new(request_cache::RequestCache::default()))))
        .route(route::TRACES, get(traces::own))
        .layer(DefaultBodyLimit::max(COMMAND_BYTES))
}

/// Counts the bytes of all responses.
fn counted(routes: Router, traffic: Arc<Traffic>) -> Router {
    let count = |State(traffic): State<Arc<Traffic>>, request: Request, next: Next| async move {
        next.run(request).await.map(|body| traffic.counted(body))
    };
    routes.layer(axum::middleware::from_fn_with_state(traffic, count))
}

/// Requires the key. The check precedes the routing, because the key may be in front of the path.
fn guarded(routes: Router, key: Key) -> Router {
    Router::new()
        .fallback_service(routes)
        .layer(axum::middleware::from_fn_with_state(key, auth::check))
        .layer(axum::middleware::from_fn(cors::allow))
}

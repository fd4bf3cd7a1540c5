//! HTTP in front of the worker, and nothing else: commands from the operator, blocks and parts for peers, selections
//! for readers.

mod auth;
mod blocks;
mod conditional;
mod control;
mod cors;
mod dvid;
mod events;
mod gathered;
mod login;
mod monitor;
mod openapi;
mod page;
mod preview;
mod probe;
mod problem;
mod readers;
mod report;
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

/// The largest command: an assignment with its plan.
const COMMAND_BYTES: usize = 16 << 20;

/// All routes of a server on loopback, for whoever has the run's key.
pub fn router(worker: Arc<Worker>, key: Key) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(guarded(peer_routes().merge(reader_routes()).with_state(worker), key), traffic)
}

/// What the operator and the peers of a cluster's server ask for. Who may connect is the listener's to say.
pub fn peers(worker: Arc<Worker>) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(peer_routes().with_state(worker), traffic)
}

/// What readers of a cluster's server ask for, with their token.
pub fn readers(worker: Arc<Worker>, token: Key) -> Router {
    let traffic = Arc::clone(&worker.client.traffic);
    counted(guarded(reader_routes().with_state(worker), token), traffic)
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
        .route(route::WRITE, post(control::write))
        .route(route::PROBE, post(probe::probe))
        .route(route::BLOCK, get(blocks::block))
        .route(route::PART, get(blocks::part))
        .route(route::SUMS, get(blocks::sums))
        .route(route::TASKS, get(tasks::own))
        .route(route::PREVIEW, get(preview::own).layer(Extension(Arc::new(gathered::Gathered::default()))))
        .route(route::TRACES, get(traces::own))
        .layer(DefaultBodyLimit::max(COMMAND_BYTES))
}

/// Those of the table, which is also what is documented.
fn reader_routes() -> Router<Arc<Worker>> {
    routes::router()
}

/// Routes whose answers are counted.
fn counted(routes: Router, traffic: Arc<Traffic>) -> Router {
    let count = |State(traffic): State<Arc<Traffic>>, request: Request, next: Next| async move {
        next.run(request).await.map(|body| traffic.counted(body))
    };
    routes.layer(axum::middleware::from_fn_with_state(traffic, count))
}

/// Routes for those who have the key. It is checked before a route is looked for: it may stand in front of the path.
fn guarded(routes: Router, key: Key) -> Router {
    Router::new()
        .fallback_service(routes)
        .layer(axum::middleware::from_fn_with_state(key, auth::check))
        .layer(axum::middleware::from_fn(cors::allow))
}

//! HTTP in front of the worker, and nothing else: commands from the operator, blocks and parts for peers, selections
//! for readers.

mod auth;
mod blocks;
mod control;
mod listen;
mod problem;
mod readers;

pub use auth::Key;
pub use listen::serve;

use crate::worker::Worker;
use api::wire::route;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use std::sync::Arc;

/// The largest command: an assignment with its plan.
const COMMAND_BYTES: usize = 16 << 20;

/// All routes of a server.
pub fn router(worker: Arc<Worker>, key: Key) -> Router {
    Router::new()
        .route(route::PROGRESS, get(control::progress))
        .route(route::ASSIGNMENT, put(control::assign))
        .route(route::WRITE, post(control::write))
        .route(route::BLOCK, get(blocks::block))
        .route(route::PART, get(blocks::part))
        .route(route::SUMS, get(blocks::sums))
        .route(&format!("{}/{{array}}", route::SLICE), get(readers::slice))
        .route(route::STATUS, get(readers::status))
        .layer(DefaultBodyLimit::max(COMMAND_BYTES))
        .layer(axum::middleware::from_fn_with_state(key, auth::check))
        .with_state(worker)
}

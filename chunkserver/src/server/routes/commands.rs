//! Routes for the loop and for peers.

use super::{Access, CommandRoute};
use crate::server::{blocks, control, preview, probe, request_cache::RequestCache, tasks, traces};
use crate::worker::Worker;
use api::wire::route;
use axum::Extension;
use axum::routing::{MethodRouter, get, post, put};
use std::sync::Arc;

/// All routes for the loop and for peers.
pub(in crate::server) const COMMANDS: &[CommandRoute] = &[
    of(route::PROGRESS, || get(control::progress)),
    of(route::ASSIGNMENT, || put(control::assign)),
    of(route::DIGESTS, || get(control::digests).put(control::expect)),
    of(route::WRITE, || post(control::write)),
    of(route::PROBE, || post(probe::probe)),
    of(route::BLOCK, || get(blocks::block)),
    of(route::PART, || get(blocks::part)),
    of(route::SUMS, || get(blocks::sums)),
    of(route::TASKS, || get(tasks::own)),
    of(route::PREVIEW, || get(preview::own).layer(Extension(Arc::new(RequestCache::default())))),
    of(route::TRACES, || get(traces::own)),
];

const fn of(path: &'static str, handler: fn() -> MethodRouter<Arc<Worker>>) -> CommandRoute {
    CommandRoute { path, access: Access::Command, handler }
}

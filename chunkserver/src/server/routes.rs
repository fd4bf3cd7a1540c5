//! The tables of routes: for readers, and for the loop and peers. The routers and the OpenAPI document are built from these tables, and each
//! entry states the access that the route needs.

mod commands;
mod dvid;
mod job;
mod page;
mod previews;
mod route;
mod shared;
mod slices;
mod zarr;

pub(super) use super::access::Access;
pub(super) use commands::COMMANDS;
pub(super) use route::{CommandRoute, Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};

use super::access;
use crate::worker::Worker;
use axum::Router;
use axum::routing::MethodRouter;
use std::sync::Arc;

/// All routes.
pub(super) const READERS: &[Route] = &[
    page::INDEX,
    page::SCRIPT,
    page::STYLE,
    page::REPORT,
    slices::SLICE,
    zarr::ROOT,
    zarr::FOLDER,
    zarr::KEY,
    dvid::REGION,
    dvid::PICTURE,
    dvid::INFO,
    job::STATUS,
    job::EVENTS,
    job::TASKS,
    previews::PREVIEW,
    previews::TRACES,
    slices::PEEK,
];

/// A router of all routes for readers.
pub(super) fn router() -> Router<Arc<Worker>> {
    READERS.iter().fold(Router::new(), |router, route| router.route(route.path, needing(route.access, (route.handler)())))
}

/// A router of all routes for the loop and for peers.
pub(super) fn commands() -> Router<Arc<Worker>> {
    COMMANDS.iter().fold(Router::new(), |router, route| router.route(route.path, needing(route.access, (route.handler)())))
}

/// A handler behind the check of its access.
fn needing(access: Access, handler: MethodRouter<Arc<Worker>>) -> MethodRouter<Arc<Worker>> {
    handler.layer(axum::middleware::from_fn_with_state(access, access::enforce))
}

/// Whether a path needs no key.
pub(super) fn is_public(path: &str) -> bool {
    READERS.iter().any(|route| route.access == Access::Public && route.path == path)
}

//! The table of the readers' routes. The router and the OpenAPI document are built from this table.

mod dvid;
mod job;
mod page;
mod previews;
mod route;
mod shared;
mod slices;
mod zarr;

pub(super) use route::{Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};

use crate::worker::Worker;
use axum::Router;
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

/// A router of all routes.
pub(super) fn router() -> Router<Arc<Worker>> {
    READERS.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}

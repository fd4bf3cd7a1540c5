//! Routes of preliminary results while frames are loaded.

use super::shared::{NO_JOB, PROBLEM};
use super::{Access, Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};
use crate::server::request_cache::RequestCache;
use crate::server::{preview, traces};
use axum::Extension;
use axum::routing::get;
use std::sync::Arc;

pub(super) const PREVIEW: Route = Route {
    path: "/api/v1/preview/{array}",
    access: Access::Read,
    handler: || get(preview::preview).layer(Extension(Arc::new(RequestCache::default()))),
    summary: "The mean of the frames loaded so far, reduced in size",
    description: "A line of JSON, padded with spaces to a multiple of 8 bytes, then float32 in C order: every k-th pixel of the mean over \
                  all loaded frames of all servers; NaN before the first frame. Excludes frames of servers that do not respond, and \
                  frames that are lost with a server.",
    parameters: &[
        Parameter {
            name: "array",
            location: ParameterLocation::Path,
            kind: ParameterKind::Text { example: "raw" },
            description: "`raw` or `recentered`.",
        },
        Parameter {
            name: "edge",
            location: ParameterLocation::Query,
            kind: ParameterKind::Whole { example: 512 },
            description: "The most pixels of an edge, from 16 to 512. Default and largest value: 512.",
        },
    ],
    responses: &[
        RouteResponse { status: 200, description: "The mean.", body: ResponseBody::Bytes(&[preview::PREVIEW]) },
        RouteResponse { status: 404, description: "The array has no sums; the message states the reason.", body: PROBLEM },
        NO_JOB,
    ],
};

pub(super) const TRACES: Route = Route {
    path: "/api/v1/traces",
    access: Access::Read,
    handler: || get(traces::traces).layer(Extension(Arc::new(RequestCache::default()))),
    summary: "Values of each frame loaded so far",
    description: "A line of JSON, padded with spaces to a multiple of 8 bytes, then columns of float32, one value per frame: NaN where the \
                  value is not known yet, or is lost.",
    parameters: &[],
    responses: &[RouteResponse { status: 200, description: "The columns.", body: ResponseBody::Bytes(&[traces::TRACES]) }, NO_JOB],
};

//! Routes of the Zarr group.

use super::shared::{LATER, NO_JOB, OVER_BUDGET, PROBLEM, UNCHANGED, ZARR_LISTING};
use super::{Access, Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};
use crate::server::zarr;
use axum::routing::get;

pub(super) const ROOT: Route = Route {
    path: "/arrays.zarr",
    access: Access::Read,
    handler: || get(zarr::root),
    summary: "The arrays as one Zarr group: a listing",
    description: "Links relative to this address, for programs that list folders.",
    parameters: &[],
    responses: &[ZARR_LISTING, UNCHANGED, NO_JOB],
};

pub(super) const FOLDER: Route = Route {
    path: "/arrays.zarr/",
    access: Access::Read,
    handler: || get(zarr::folder),
    summary: "The same listing as a folder",
    description: "Links relative to this address, for programs that list folders.",
    parameters: &[],
    responses: &[ZARR_LISTING, UNCHANGED, NO_JOB],
};

pub(super) const KEY: Route = Route {
    path: "/arrays.zarr/{*key}",
    access: Access::Read,
    handler: || get(zarr::key),
    summary: "Metadata and chunks of the arrays, in Zarr v3 and v2",
    description: "The key may contain slashes. v3: `zarr.json`, `{array}/zarr.json`, `{array}/c/i/j/k`; the group's metadata contain the \
                  metadata of all arrays. v2: `.zgroup`, `.zattrs`, `.zmetadata`, `{array}/.zarray`, `{array}/.zattrs`, `{array}/i.j.k`. \
                  `{array}@ct,cy,cx` is the same array on any chunk grid; -1 is the whole axis. The magnitudes and angles of a complex \
                  array are `spectrum_abs` and `spectrum_phase`. `ome/{array}` is an OME-Zarr image. Chunks are not compressed; edge \
                  chunks are padded to full size. HEAD, `Range`, `If-Range` and `If-None-Match` work. A request waits for a chunk that \
                  is not computed yet, or is lost with a server.",
    parameters: &[Parameter {
        name: "key",
        location: ParameterLocation::Path,
        kind: ParameterKind::Text { example: "power@-1,16,16/c/0/1/1" },
        description: "The key below the root.",
    }],
    responses: &[
        RouteResponse {
            status: 200,
            description: "The document, the listing or the chunk, with an `ETag`.",
            body: ResponseBody::Bytes(&["application/json", "application/octet-stream", "text/html; charset=utf-8"]),
        },
        RouteResponse { status: 206, description: "The bytes of `Range`.", body: ResponseBody::Bytes(&["application/octet-stream"]) },
        UNCHANGED,
        RouteResponse { status: 404, description: "The key is unknown. A chunk that is lost or late is not a 404.", body: PROBLEM },
        RouteResponse { status: 409, description: "The job has failed; the chunk will not be computed.", body: PROBLEM },
        OVER_BUDGET,
        RouteResponse { status: 416, description: "`Range` begins beyond the end.", body: ResponseBody::Empty },
        RouteResponse { status: 500, description: "The scratch disk damaged the chunk after the end of the job.", body: PROBLEM },
        LATER,
    ],
};

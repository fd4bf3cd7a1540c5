//! Parameters and responses that several routes share.

use super::{Parameter, ParameterKind, ParameterLocation, ResponseBody, RouteResponse};

pub(super) const PICTURES_AND_BYTES: &[&str] =
    &["application/octet-stream", "image/png", "image/jpeg", "image/tiff", "text/csv; charset=utf-8", "application/json"];

pub(super) const PAGE: ResponseBody = ResponseBody::Bytes(&["text/html; charset=utf-8"]);

pub(super) const PROBLEM: ResponseBody = ResponseBody::Json("Problem");

pub(super) const NO_JOB: RouteResponse = RouteResponse { status: 503, description: "The server has no job yet.", body: PROBLEM };

pub(super) const FAILED: RouteResponse =
    RouteResponse { status: 409, description: "The job has failed; the elements will not be computed.", body: PROBLEM };

pub(super) const ZARR_LISTING: RouteResponse = RouteResponse {
    status: 200,
    description: "One link for each array, with an `ETag`.",
    body: ResponseBody::Bytes(&["text/html; charset=utf-8"]),
};

pub(super) const UNCHANGED: RouteResponse =
    RouteResponse { status: 304, description: "`If-None-Match` contains the current `ETag`.", body: ResponseBody::Empty };

pub(super) const OVER_BUDGET: RouteResponse = RouteResponse {
    status: 413,
    description: "The read needs more than this server's memory for readers; the message states a selection that fits.",
    body: PROBLEM,
};

pub(super) const LATER: RouteResponse = RouteResponse {
    status: 503,
    description: "The server has no job yet, a server is being replaced, or the elements are not computed within 30 s: try again.",
    body: PROBLEM,
};

pub(super) const ARRAY: Parameter = Parameter {
    name: "array",
    location: ParameterLocation::Path,
    kind: ParameterKind::Text { example: "power" },
    description: "Name of an array, as in the status.",
};

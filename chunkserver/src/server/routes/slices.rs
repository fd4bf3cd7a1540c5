//! Routes that return elements of arrays and frames of the source, in a chosen format.

use super::shared::{ARRAY, FAILED, LATER, OVER_BUDGET, PICTURES_AND_BYTES, PROBLEM};
use super::{Access, Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};
use crate::server::{probe, readers};
use axum::routing::get;
use formats::encode::Format;

pub(super) const SLICE: Route = Route {
    path: "/slice/{array}",
    access: Access::Read,
    handler: || get(readers::slice),
    summary: "A selection of an array, in a chosen format",
    description: "Waits for elements that are still being computed. The status lists the arrays.",
    parameters: &[
        ARRAY,
        Parameter {
            name: "sel",
            location: ParameterLocation::Query,
            kind: ParameterKind::Text { example: ":,500,500" },
            description: "The content of NumPy's brackets: integers, slices, steps, an ellipsis. Default: the whole array.",
        },
        Parameter {
            name: "format",
            location: ParameterLocation::Query,
            kind: ParameterKind::OneOf(&Format::NAMES),
            description: "Default: `npy`. `jpg:80` is a JPEG of quality 80, from 1 to 100. `raw` is the elements alone: little endian, C \
                          order. Pictures of elements other than 8 bits (in PNG also 16 bits) are scaled to 8 bits.",
        },
    ],
    responses: &[
        RouteResponse { status: 200, description: "The elements.", body: ResponseBody::Bytes(PICTURES_AND_BYTES) },
        RouteResponse {
            status: 400,
            description: "The selection is wrong or out of bounds, the format is unknown or does not support the elements, or the selection \
                          is larger than 8 GiB.",
            body: PROBLEM,
        },
        RouteResponse { status: 404, description: "The array is unknown; the message lists the known arrays.", body: PROBLEM },
        FAILED,
        OVER_BUDGET,
        RouteResponse {
            status: 500,
            description: "The sums of a peer are not readable, or the scratch disk damaged the elements after the end of the job.",
            body: PROBLEM,
        },
        LATER,
    ],
};

pub(super) const PEEK: Route = Route {
    path: "/api/v1/peek/{index}",
    access: Access::Read,
    handler: || get(probe::peek),
    summary: "One frame as the source has it now",
    description: "The server fetches the frame from the source, also when the frame is loaded. A server fetches two frames at a time.",
    parameters: &[
        Parameter {
            name: "index",
            location: ParameterLocation::Path,
            kind: ParameterKind::Whole { example: 0 },
            description: "Number of the frame, from 0.",
        },
        Parameter {
            name: "format",
            location: ParameterLocation::Query,
            kind: ParameterKind::OneOf(&["png", "jpg", "npy", "csv", "json", "tiff", "raw"]),
            description: "As for slices; default: `png`.",
        },
    ],
    responses: &[
        RouteResponse { status: 200, description: "The frame.", body: ResponseBody::Bytes(PICTURES_AND_BYTES) },
        RouteResponse { status: 400, description: "The format is unknown or does not support the elements.", body: PROBLEM },
        RouteResponse { status: 404, description: "The job has no frame with this number.", body: PROBLEM },
        OVER_BUDGET,
        RouteResponse {
            status: 422,
            description: "The source does not deliver the frame (`SourceUnavailable`), or the frame is not decodable (`ChunkDecodeFailed`).",
            body: PROBLEM,
        },
        RouteResponse { status: 503, description: "The server has no job yet, or the fetch took longer than 30 s.", body: PROBLEM },
    ],
};

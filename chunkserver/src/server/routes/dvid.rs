//! Routes that DVID clients use.

use super::shared::{ARRAY, FAILED, LATER, NO_JOB, OVER_BUDGET, PROBLEM};
use super::{Access, Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};
use crate::server::dvid;
use axum::routing::get;

const ABOUT: &str = "Arrays of three axes; of complex arrays the magnitudes. Planes are gray pictures: uint8 unchanged, uint16 unchanged in \
                     a PNG of 16 bits, other elements scaled to 8 bits from the smallest to the largest finite value of the plane. DVID \
                     pads regions outside of the array with zeros; this server returns an error.";

pub(super) const REGION: Route = Route {
    path: "/api/node/{job}/{array}/raw/{shape}/{size}/{offset}",
    access: Access::Read,
    handler: || get(dvid::raw),
    summary: "A plane as PNG or a subvolume as raw voxels, as in DVID",
    description: ABOUT,
    parameters: &[JOB, ARRAY, SHAPE, SIZE, OFFSET],
    responses: &[
        RouteResponse {
            status: 200,
            description: "A picture for a plane; for `0_1_2` voxels, x fastest and t slowest, little endian.",
            body: ResponseBody::Bytes(&["image/png", "application/octet-stream"]),
        },
        OUTSIDE,
        NO_VOLUME,
        FAILED,
        OVER_BUDGET,
        LATER,
    ],
};

pub(super) const PICTURE: Route = Route {
    path: "/api/node/{job}/{array}/raw/{shape}/{size}/{offset}/{format}",
    access: Access::Read,
    handler: || get(dvid::raw),
    summary: "A plane as PNG or JPEG, as in DVID",
    description: ABOUT,
    parameters: &[
        JOB,
        ARRAY,
        SHAPE,
        SIZE,
        OFFSET,
        Parameter {
            name: "format",
            location: ParameterLocation::Path,
            kind: ParameterKind::Text { example: "jpg:80" },
            description: "`png`, `jpg`, or `jpg:80` for a quality from 1 to 100.",
        },
    ],
    responses: &[
        RouteResponse { status: 200, description: "The picture.", body: ResponseBody::Bytes(&["image/png", "image/jpeg"]) },
        OUTSIDE,
        NO_VOLUME,
        FAILED,
        OVER_BUDGET,
        LATER,
    ],
};

pub(super) const INFO: Route = Route {
    path: "/api/node/{job}/{array}/info",
    access: Access::Read,
    handler: || get(dvid::info),
    summary: "Extents, block size and element type of an array, as in DVID",
    description: "Points are (x, y, t), inclusive. Complex arrays are described as float32, the type of their magnitudes.",
    parameters: &[JOB, ARRAY],
    responses: &[
        RouteResponse { status: 200, description: "The description, with DVID's names.", body: ResponseBody::Json("Volume") },
        NO_VOLUME,
        NO_JOB,
    ],
};

const JOB: Parameter = Parameter {
    name: "job",
    location: ParameterLocation::Path,
    kind: ParameterKind::Text { example: "cell" },
    description: "The job's name, in place of DVID's node.",
};

const SHAPE: Parameter = Parameter {
    name: "shape",
    location: ParameterLocation::Path,
    kind: ParameterKind::OneOf(&dvid::SHAPES),
    description: "`xy` or `0_1` for a plane, `0_1_2` for a subvolume.",
};

const SIZE: Parameter = Parameter {
    name: "size",
    location: ParameterLocation::Path,
    kind: ParameterKind::Text { example: "64_64" },
    description: "Width_height; for a subvolume width_height_frames.",
};

const OFFSET: Parameter = Parameter {
    name: "offset",
    location: ParameterLocation::Path,
    kind: ParameterKind::Text { example: "0_0_5" },
    description: "The first voxel: x_y_t; for a spectrum x_y_bin.",
};

const OUTSIDE: RouteResponse = RouteResponse {
    status: 400,
    description: "The region is not within the array; the message contains the extents. Or the shape, size, offset or format is wrong.",
    body: PROBLEM,
};

const NO_VOLUME: RouteResponse = RouteResponse {
    status: 404,
    description: "The job is unknown, or the array is unknown or has other than three axes; the message lists the known arrays.",
    body: PROBLEM,
};

//! What several routes take and answer, in the same words.

use super::{Answer, Body, Kind, Parameter, Place};
use crate::server::dvid;

pub(super) const PICTURES_AND_BYTES: &[&str] =
    &["application/octet-stream", "image/png", "image/jpeg", "image/tiff", "text/csv; charset=utf-8", "application/json"];

pub(super) const PAGE: Body = Body::Bytes(&["text/html; charset=utf-8"]);

pub(super) const PROBLEM: Body = Body::Json("Problem");

pub(super) const NO_JOB: Answer = Answer { status: 503, description: "No job yet.", body: PROBLEM };

pub(super) const FAILED: Answer =
    Answer { status: 409, description: "The job has failed, and what is asked for will not be computed.", body: PROBLEM };

pub(super) const ZARR_LISTING: Answer =
    Answer { status: 200, description: "One link for each array, with an `ETag`.", body: Body::Bytes(&["text/html; charset=utf-8"]) };

pub(super) const UNCHANGED: Answer = Answer { status: 304, description: "`If-None-Match` names what is there.", body: Body::Nothing };

pub(super) const LATER: Answer =
    Answer { status: 503, description: "No job yet, a server is being replaced, or not computed within 30 s: try again.", body: PROBLEM };

pub(super) const ARRAY: Parameter = Parameter {
    name: "array",
    place: Place::Path,
    kind: Kind::Text { example: "power" },
    description: "Name of an array, as in the status.",
};

pub(super) const JOB: Parameter = Parameter {
    name: "job",
    place: Place::Path,
    kind: Kind::Text { example: "cell" },
    description: "The job's name, where DVID has a node.",
};

pub(super) const SHAPE: Parameter = Parameter {
    name: "shape",
    place: Place::Path,
    kind: Kind::OneOf(&dvid::SHAPES),
    description: "`xy` or `0_1` for a plane, `0_1_2` for a subvolume.",
};

pub(super) const SIZE: Parameter = Parameter {
    name: "size",
    place: Place::Path,
    kind: Kind::Text { example: "64_64" },
    description: "Width_height; for a subvolume width_height_frames.",
};

pub(super) const OFFSET: Parameter = Parameter {
    name: "offset",
    place: Place::Path,
    kind: Kind::Text { example: "0_0_5" },
    description: "Of the first voxel: x_y_t; for a spectrum x_y_bin.",
};

pub(super) const DVID: &str = "An array of three axes; complex ones by their magnitudes. Planes are gray: uint8 as it is, uint16 as it is in a PNG \
                    of 16 bits, anything else scaled to 8 bits from the least to the greatest finite value of the plane. DVID would pad \
                    what lies outside with zeros; here that is an error.";

pub(super) const OUTSIDE: Answer = Answer {
    status: 400,
    description: "It reaches beyond the array, whose extents the sentence tells; or shape, size, offset or format cannot be read.",
    body: PROBLEM,
};

pub(super) const NO_VOLUME: Answer = Answer {
    status: 404,
    description: "There is no such job, or no such array of three axes; the sentence says which there are.",
    body: PROBLEM,
};

//! The routes that readers have, once: the router and the document that describes them are both made of this table.

mod words;

use super::{dvid, events, gathered, page, preview, probe, readers, report, status, tasks, traces, zarr};
use crate::worker::Worker;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use formats::encode::Format;
use std::sync::Arc;
use words::{
    ARRAY, DVID, FAILED, JOB, LATER, NO_JOB, NO_VOLUME, OFFSET, OUTSIDE, PAGE, PICTURES_AND_BYTES, PROBLEM, SHAPE, SIZE, UNCHANGED,
    ZARR_LISTING,
};

/// A GET that readers may send.
pub(super) struct Route {
    /// As axum writes it: `{name}` is one segment, `{*name}` all that are left.
    pub(super) path: &'static str,
    /// What answers.
    pub(super) handler: fn() -> MethodRouter<Arc<Worker>>,
    /// One line.
    pub(super) summary: &'static str,
    /// What else one has to know.
    pub(super) description: &'static str,
    /// What it takes, those of the path first.
    pub(super) parameters: &'static [Parameter],
    /// What it gives.
    pub(super) answers: &'static [Answer],
}

/// Something that a request carries.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) description: &'static str,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
}

/// What a parameter may be.
pub(super) enum Kind {
    /// Text, as in the example.
    Text { example: &'static str },
    /// A whole number, 0 or more.
    Whole { example: u64 },
    /// One of these; the default, where there is one, comes first.
    OneOf(&'static [&'static str]),
}

/// A status and what comes with it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) body: Body,
}

/// What an answer carries.
pub(super) enum Body {
    /// Nothing.
    Nothing,
    /// Bytes of one of these media types.
    Bytes(&'static [&'static str]),
    /// JSON as the schema of that name says.
    Json(&'static str),
    /// Server-sent events, whose data are JSON as the schema of that name says.
    Events(&'static str),
}

/// All of them as a router.
pub(super) fn router() -> Router<Arc<Worker>> {
    READERS.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}

/// All of them.
pub(super) const READERS: &[Route] = &[
    Route {
        path: "/",
        handler: || get(page::index),
        summary: "The job's page, for a browser",
        description: "Shows what every server does and what has been found, while the job runs and after. An address with `?token=` is \
                      answered by the same address without it and a cookie that has it; a browser without a token is asked for one.",
        parameters: &[],
        answers: &[
            Answer { status: 200, description: "The page, with an `ETag`.", body: PAGE },
            Answer { status: 303, description: "The token came in the query, and goes into a cookie.", body: Body::Nothing },
            UNCHANGED,
        ],
    },
    Route {
        path: "/app.js",
        handler: || get(page::script),
        summary: "The page's script",
        description: "Without a token, too: it is in every copy of the program.",
        parameters: &[],
        answers: &[
            Answer { status: 200, description: "The script, with an `ETag`.", body: Body::Bytes(&["text/javascript; charset=utf-8"]) },
            UNCHANGED,
        ],
    },
    Route {
        path: "/app.css",
        handler: || get(page::style),
        summary: "The page's style",
        description: "Without a token, too: it is in every copy of the program.",
        parameters: &[],
        answers: &[
            Answer { status: 200, description: "The style, with an `ETag`.", body: Body::Bytes(&["text/css; charset=utf-8"]) },
            UNCHANGED,
        ],
    },
    Route {
        path: "/report",
        handler: || get(report::report),
        summary: "The page as one file that needs no server",
        description: "With everything in it that the page would ask for, as far as it is there within two seconds: pictures with edges of \
                      256 pixels at most, tasks merged where they are dense, and the middle pixel's series and spectrum.",
        parameters: &[],
        answers: &[Answer { status: 200, description: "The file.", body: PAGE }, NO_JOB],
    },
    Route {
        path: "/slice/{array}",
        handler: || get(readers::slice),
        summary: "Part of an array, in a format of one's choice",
        description: "Waits for what is still being computed. Arrays are those of the status.",
        parameters: &[
            ARRAY,
            Parameter {
                name: "sel",
                place: Place::Query,
                kind: Kind::Text { example: ":,500,500" },
                description: "What stands between NumPy's brackets: integers, slices, steps, an ellipsis. Without it, all of the array.",
            },
            Parameter {
                name: "format",
                place: Place::Query,
                kind: Kind::OneOf(&Format::NAMES),
                description: "`npy` where nothing is said. `jpg:80` is a JPEG of that quality, from 1 to 100. `raw` is the elements alone: \
                              little endian, C order. Pictures of anything but 8 bits (in PNG, 16) are scaled to 8 bits.",
            },
        ],
        answers: &[
            Answer { status: 200, description: "The elements.", body: Body::Bytes(PICTURES_AND_BYTES) },
            Answer {
                status: 400,
                description: "The selection is wrong or out of bounds, the format is unknown or cannot hold it, or it is more than 8 GiB.",
                body: PROBLEM,
            },
            Answer { status: 404, description: "There is no such array; the sentence lists those there are.", body: PROBLEM },
            FAILED,
            Answer { status: 500, description: "A peer's sums cannot be read.", body: PROBLEM },
            LATER,
        ],
    },
    Route {
        path: "/arrays.zarr",
        handler: || get(zarr::root),
        summary: "The arrays as one Zarr group: a listing",
        description: "With links that lead on from this address, for programs that list folders.",
        parameters: &[],
        answers: &[ZARR_LISTING, UNCHANGED, NO_JOB],
    },
    Route {
        path: "/arrays.zarr/",
        handler: || get(zarr::folder),
        summary: "The same as a folder",
        description: "With links that lead on from this address, for programs that list folders.",
        parameters: &[],
        answers: &[ZARR_LISTING, UNCHANGED, NO_JOB],
    },
    Route {
        path: "/arrays.zarr/{*key}",
        handler: || get(zarr::key),
        summary: "Metadata and chunks of the arrays, as Zarr v3 and v2 have them",
        description: "The key may hold slashes. v3: `zarr.json`, `{array}/zarr.json`, `{array}/c/i/j/k`; the group's carries those of \
                      all arrays. v2: `.zgroup`, `.zattrs`, `.zmetadata`, `{array}/.zarray`, `{array}/.zattrs`, `{array}/i.j.k`. \
                      `{array}@ct,cy,cx` is the same array on any chunk grid, -1 for a whole axis. A complex array has its magnitudes \
                      and angles beside it, as `spectrum_abs` and `spectrum_phase`. `ome/{array}` is an OME-Zarr image. Chunks are \
                      not compressed; those at the edge are padded to full size. HEAD, `Range`, `If-Range` and `If-None-Match` work. \
                      A chunk that is not computed yet, or is lost with a server, is waited for.",
        parameters: &[Parameter {
            name: "key",
            place: Place::Path,
            kind: Kind::Text { example: "power@-1,16,16/c/0/1/1" },
            description: "What follows the root.",
        }],
        answers: &[
            Answer {
                status: 200,
                description: "The document, the listing or the chunk, with an `ETag`.",
                body: Body::Bytes(&["application/json", "application/octet-stream", "text/html; charset=utf-8"]),
            },
            Answer { status: 206, description: "The bytes that `Range` names.", body: Body::Bytes(&["application/octet-stream"]) },
            UNCHANGED,
            Answer { status: 404, description: "There is no such key; never because a chunk is lost or late.", body: PROBLEM },
            Answer { status: 409, description: "The job has failed, and the chunk will not be computed.", body: PROBLEM },
            Answer { status: 416, description: "`Range` begins beyond the end.", body: Body::Nothing },
            LATER,
        ],
    },
    Route {
        path: "/api/node/{job}/{array}/raw/{shape}/{size}/{offset}",
        handler: || get(dvid::raw),
        summary: "A plane as PNG or a subvolume as bare voxels, as DVID answers",
        description: DVID,
        parameters: &[JOB, ARRAY, SHAPE, SIZE, OFFSET],
        answers: &[
            Answer {
                status: 200,
                description: "A picture for a plane; for `0_1_2`, voxels with x running fastest and t slowest, little endian.",
                body: Body::Bytes(&["image/png", "application/octet-stream"]),
            },
            OUTSIDE,
            NO_VOLUME,
            FAILED,
            LATER,
        ],
    },
    Route {
        path: "/api/node/{job}/{array}/raw/{shape}/{size}/{offset}/{format}",
        handler: || get(dvid::raw),
        summary: "A plane as PNG or JPEG, as DVID answers",
        description: DVID,
        parameters: &[
            JOB,
            ARRAY,
            SHAPE,
            SIZE,
            OFFSET,
            Parameter {
                name: "format",
                place: Place::Path,
                kind: Kind::Text { example: "jpg:80" },
                description: "`png`, `jpg`, or `jpg:80` for a quality from 1 to 100.",
            },
        ],
        answers: &[
            Answer { status: 200, description: "The picture.", body: Body::Bytes(&["image/png", "image/jpeg"]) },
            OUTSIDE,
            NO_VOLUME,
            FAILED,
            LATER,
        ],
    },
    Route {
        path: "/api/node/{job}/{array}/info",
        handler: || get(dvid::info),
        summary: "Extents, block size and element type of an array, as DVID tells them",
        description: "Points are (x, y, t), the last one included. Complex arrays count as the float32 of their magnitudes.",
        parameters: &[JOB, ARRAY],
        answers: &[Answer { status: 200, description: "With DVID's names.", body: Body::Json("Volume") }, NO_VOLUME, NO_JOB],
    },
    Route {
        path: api::wire::route::STATUS,
        handler: || get(status::status),
        summary: "The whole job as it stands",
        description: "Every server is asked for its part. One that does not answer within a second is told as such.",
        parameters: &[],
        answers: &[Answer { status: 200, description: "As it stands.", body: Body::Json("Status") }, NO_JOB],
    },
    Route {
        path: "/api/v1/events",
        handler: || get(events::events).layer(Extension(Arc::new(events::Lookout::default()))),
        summary: "The status, told as it changes",
        description: "Events named `status` with a growing id: one at once, then one whenever the status has changed, at most four a \
                      second. Before the server has a job there are none. A comment every 15 s says that the connection lives.",
        parameters: &[],
        answers: &[Answer { status: 200, description: "For as long as one listens.", body: Body::Events("Status") }],
    },
    Route {
        path: "/api/v1/servers/{server}/tasks",
        handler: || get(tasks::tasks),
        summary: "What a server has done, task by task",
        description: "A line of JSON, padded with spaces to a multiple of 8 bytes, then records of 32 bytes: those of finished tasks, then \
                      those of tasks that go on. Ask again with `log` and `after` for what is new; an answer of another `log` is the \
                      whole of it.",
        parameters: &[
            Parameter {
                name: "server",
                place: Place::Path,
                kind: Kind::Whole { example: 0 },
                description: "Number of the server, from 0.",
            },
            Parameter {
                name: "log",
                place: Place::Query,
                kind: Kind::Text { example: "5f0c-0" },
                description: "`log` of the last answer.",
            },
            Parameter { name: "after", place: Place::Query, kind: Kind::Whole { example: 0 }, description: "`next` of the last answer." },
            Parameter {
                name: "resolution",
                place: Place::Query,
                kind: Kind::Whole { example: 0 },
                description: "Microseconds: neighbours of the same lane and kind that together span no more become one record.",
            },
        ],
        answers: &[
            Answer { status: 200, description: "What it has done.", body: Body::Bytes(&[tasks::TASKS]) },
            Answer { status: 404, description: "The job has no such server.", body: PROBLEM },
            Answer { status: 503, description: "No job yet, or that server does not answer now: try again.", body: PROBLEM },
        ],
    },
    Route {
        path: "/api/v1/preview/{array}",
        handler: || get(preview::preview).layer(Extension(Arc::new(gathered::Gathered::default()))),
        summary: "The mean of the frames that have come so far, small",
        description: "A line of JSON, padded with spaces to a multiple of 8 bytes, then float32 in C order: every k-th pixel of the mean \
                      over all frames that are loaded, on all servers; NaN before there are any. Frames of a server that does not \
                      answer, or are lost with one, are not in it.",
        parameters: &[
            Parameter { name: "array", place: Place::Path, kind: Kind::Text { example: "raw" }, description: "`raw` or `recentered`." },
            Parameter {
                name: "edge",
                place: Place::Query,
                kind: Kind::Whole { example: 512 },
                description: "The most pixels of an edge: 16 to 512, which is what it is when nothing is said; more counts as 512.",
            },
        ],
        answers: &[
            Answer { status: 200, description: "The mean.", body: Body::Bytes(&[preview::PREVIEW]) },
            Answer { status: 404, description: "That array is not summed: the sentence says why.", body: PROBLEM },
            NO_JOB,
        ],
    },
    Route {
        path: "/api/v1/traces",
        handler: || get(traces::traces).layer(Extension(Arc::new(gathered::Gathered::default()))),
        summary: "What is known of each frame so far",
        description: "A line of JSON, padded with spaces to a multiple of 8 bytes, then a column of float32 after another, with a number for \
                      each frame: NaN where it is not known yet, or not any more.",
        parameters: &[],
        answers: &[Answer { status: 200, description: "The columns.", body: Body::Bytes(&[traces::TRACES]) }, NO_JOB],
    },
    Route {
        path: "/api/v1/peek/{index}",
        handler: || get(probe::peek),
        summary: "One frame as the source has it now",
        description: "Whether it is loaded and kept or not: the server fetches it, two frames at a time.",
        parameters: &[
            Parameter { name: "index", place: Place::Path, kind: Kind::Whole { example: 0 }, description: "Number of the frame, from 0." },
            Parameter {
                name: "format",
                place: Place::Query,
                kind: Kind::OneOf(&["png", "jpg", "npy", "csv", "json", "tiff", "raw"]),
                description: "As for slices, but `png` where nothing is said.",
            },
        ],
        answers: &[
            Answer { status: 200, description: "The frame.", body: Body::Bytes(PICTURES_AND_BYTES) },
            Answer { status: 400, description: "The format is unknown or cannot hold it.", body: PROBLEM },
            Answer { status: 404, description: "The job has no such frame.", body: PROBLEM },
            Answer {
                status: 422,
                description: "The source does not give it (`SourceUnavailable`), or it cannot be decoded (`ChunkDecodeFailed`).",
                body: PROBLEM,
            },
            Answer { status: 503, description: "No job yet, or not fetched within 30 s.", body: PROBLEM },
        ],
    },
];

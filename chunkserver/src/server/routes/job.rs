//! Routes that describe the whole job.

use super::shared::{NO_JOB, PROBLEM};
use super::{Access, Parameter, ParameterKind, ParameterLocation, ResponseBody, Route, RouteResponse};
use crate::server::{events, status, tasks};
use axum::Extension;
use axum::routing::get;
use std::sync::Arc;

pub(super) const STATUS: Route = Route {
    path: api::wire::route::STATUS,
    access: Access::Read,
    handler: || get(status::status),
    summary: "The status of the whole job",
    description: "Requests the progress of every server. A server that does not respond within a second is marked as such.",
    parameters: &[],
    responses: &[RouteResponse { status: 200, description: "The status.", body: ResponseBody::Json("Status") }, NO_JOB],
};

pub(super) const EVENTS: Route = Route {
    path: "/api/v1/events",
    access: Access::Read,
    handler: || get(events::events).layer(Extension(Arc::new(events::StatusBroadcaster::default()))),
    summary: "The status, sent when it changes",
    description: "Events named `status` with an increasing id: the first at once, then one for each change of the status, at most four a \
                  second. A server without a job sends no events. A comment every 15 s keeps the connection open.",
    parameters: &[],
    responses: &[RouteResponse { status: 200, description: "A stream that the client ends.", body: ResponseBody::Events("Status") }],
};

pub(super) const TASKS: Route = Route {
    path: "/api/v1/servers/{server}/tasks",
    access: Access::Read,
    handler: || get(tasks::tasks),
    summary: "The tasks of a server",
    description: "A line of JSON, padded with spaces to a multiple of 8 bytes, then records of 32 bytes: finished tasks first, then running \
                  tasks. A request with `log` and `after` returns only new tasks; a response with another `log` contains all tasks.",
    parameters: &[
        Parameter {
            name: "server",
            location: ParameterLocation::Path,
            kind: ParameterKind::Whole { example: 0 },
            description: "Number of the server, from 0.",
        },
        Parameter {
            name: "log",
            location: ParameterLocation::Query,
            kind: ParameterKind::Text { example: "5f0c-0" },
            description: "`log` of the last response.",
        },
        Parameter {
            name: "after",
            location: ParameterLocation::Query,
            kind: ParameterKind::Whole { example: 0 },
            description: "`next` of the last response.",
        },
        Parameter {
            name: "resolution",
            location: ParameterLocation::Query,
            kind: ParameterKind::Whole { example: 0 },
            description: "Microseconds. Neighbours of the same lane and kind that together last no longer become one record.",
        },
    ],
    responses: &[
        RouteResponse { status: 200, description: "The tasks.", body: ResponseBody::Bytes(&[tasks::TASKS]) },
        RouteResponse { status: 404, description: "The job has no server with this number.", body: PROBLEM },
        RouteResponse {
            status: 503,
            description: "The server has no job yet, or the other server does not respond now: try again.",
            body: PROBLEM,
        },
    ],
};

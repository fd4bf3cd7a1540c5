//! The types of the table of routes.

use crate::server::access::Access;
use crate::worker::Worker;
use axum::routing::MethodRouter;
use std::sync::Arc;

/// A GET route for readers.
pub(in crate::server) struct Route {
    /// The path in axum's syntax: `{name}` is one segment, `{*name}` all remaining segments.
    pub(in crate::server) path: &'static str,
    /// The access that a request needs.
    pub(in crate::server) access: Access,
    /// The handler.
    pub(in crate::server) handler: fn() -> MethodRouter<Arc<Worker>>,
    /// One line.
    pub(in crate::server) summary: &'static str,
    /// Details that the summary omits.
    pub(in crate::server) description: &'static str,
    /// Parameters: those of the path first, in the order of the path.
    pub(in crate::server) parameters: &'static [Parameter],
    /// Possible responses.
    pub(in crate::server) responses: &'static [RouteResponse],
}

/// A route for the loop and for peers.
pub(in crate::server) struct CommandRoute {
    /// The path.
    pub(in crate::server) path: &'static str,
    /// The access that a request needs.
    pub(in crate::server) access: Access,
    /// The handler.
    pub(in crate::server) handler: fn() -> MethodRouter<Arc<Worker>>,
}

/// A parameter of a request.
pub(in crate::server) struct Parameter {
    pub(in crate::server) name: &'static str,
    pub(in crate::server) location: ParameterLocation,
    pub(in crate::server) kind: ParameterKind,
    pub(in crate::server) description: &'static str,
}

/// Where a request carries a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum ParameterLocation {
    Path,
    Query,
}

/// The type of a parameter.
pub(in crate::server) enum ParameterKind {
    /// Text.
    Text { example: &'static str },
    /// An integer, 0 or more.
    Whole { example: u64 },
    /// One of these values; the first is the default, if there is a default.
    OneOf(&'static [&'static str]),
}

/// A response: its status and its body.
pub(in crate::server) struct RouteResponse {
    pub(in crate::server) status: u16,
    pub(in crate::server) description: &'static str,
    pub(in crate::server) body: ResponseBody,
}

/// The body of a response.
pub(in crate::server) enum ResponseBody {
    /// No body.
    Empty,
    /// Bytes of one of these media types.
    Bytes(&'static [&'static str]),
    /// JSON of the schema with this name.
    Json(&'static str),
    /// Server-sent events. The data of each event are JSON of the schema with this name.
    Events(&'static str),
}

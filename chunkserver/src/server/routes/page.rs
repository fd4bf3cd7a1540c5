//! Routes of the job's page.

use super::shared::{NO_JOB, PAGE, UNCHANGED};
use super::{Access, ResponseBody, Route, RouteResponse, router};
use crate::server::{page, report};
use axum::Extension;
use axum::routing::get;

pub(super) const INDEX: Route = Route {
    path: "/",
    access: Access::Read,
    handler: || get(page::index),
    summary: "The job's page, for a browser",
    description: "Shows the work of every server and the results, while the job runs and after it ends. A request with `?token=` is \
                  redirected to a secret path, on which a cookie is set and the token leaves the address. A browser without a token \
                  receives a form that asks for the token.",
    parameters: &[],
    responses: &[
        RouteResponse { status: 200, description: "The page, with an `ETag`.", body: PAGE },
        RouteResponse {
            status: 303,
            description: "To the secret path of the page, whose cookie replaces the token.",
            body: ResponseBody::Empty,
        },
        UNCHANGED,
    ],
};

pub(super) const SCRIPT: Route = Route {
    path: "/app.js",
    access: Access::Public,
    handler: || get(page::script),
    summary: "The page's script",
    description: "Needs no token: every copy of the program contains the script.",
    parameters: &[],
    responses: &[
        RouteResponse {
            status: 200,
            description: "The script, with an `ETag`.",
            body: ResponseBody::Bytes(&["text/javascript; charset=utf-8"]),
        },
        UNCHANGED,
    ],
};

pub(super) const STYLE: Route = Route {
    path: "/app.css",
    access: Access::Public,
    handler: || get(page::style),
    summary: "The page's style",
    description: "Needs no token: every copy of the program contains the style.",
    parameters: &[],
    responses: &[
        RouteResponse { status: 200, description: "The style, with an `ETag`.", body: ResponseBody::Bytes(&["text/css; charset=utf-8"]) },
        UNCHANGED,
    ],
};

pub(super) const REPORT: Route = Route {
    path: "/report",
    access: Access::Read,
    handler: || get(report::report).layer(Extension(report::Routes(router))),
    summary: "The page as one file that needs no server",
    description: "Contains every response that the page requests, as far as the response is available within two seconds: pictures with \
                  edges of at most 256 pixels, tasks merged where they are dense, and the series and the spectrum of the middle pixel.",
    parameters: &[],
    responses: &[RouteResponse { status: 200, description: "The file.", body: PAGE }, NO_JOB],
};

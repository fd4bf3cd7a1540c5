//! The access of a request, and the access that a route needs.

use super::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// What a request may do, and what a route needs. Each variant includes the variants above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Without a key.
    Public,
    /// With the read key: arrays, status and the page.
    Read,
    /// With the command key, or a certificate of the job: commands, blocks and parts.
    Command,
}

/// Passes requests with at least the access of the route on. A layer of every route.
pub(super) async fn enforce(State(needed): State<Access>, request: Request, next: Next) -> Response {
    let granted = request.extensions().get::<Access>().copied().unwrap_or(Access::Public);
    if granted >= needed {
        return next.run(request).await;
    }
    match granted {
        Access::Public => unauthorized(),
        Access::Read | Access::Command => {
            let sentence =
                "the token opens the routes for readers only; this route needs the command key, which only servers and the loop have";
            Problem::new(StatusCode::FORBIDDEN, sentence).into_response()
        }
    }
}

/// The response to a request without a key.
pub(super) fn unauthorized() -> Response {
    let sentence = "the request needs the run's token: in a header, ?token=, or as /t/TOKEN/ in front of the path";
    // The challenge does not mention Basic, which is accepted too: browsers would open their own password dialog.
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"arrayjob\"")];
    (challenge, Problem::new(StatusCode::UNAUTHORIZED, sentence)).into_response()
}

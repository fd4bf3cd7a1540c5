//! Cross-origin requests: pages of other origins, for example viewers, may read. They may not send commands, and browsers add no cookies to their
//! requests.

use super::prefix::{self, Prefix};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Prefix of the routes between servers, which are not available to pages.
const INTERNAL: &str = "/v1/";
/// Permits pages of public sites to request servers on this machine and in this network
/// (Private Network Access, <https://wicg.github.io/private-network-access/>).
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

const PREFLIGHT: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Range, If-None-Match, If-Range"),
    (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    (PRIVATE_NETWORK, "true"),
];

/// Whether pages of other origins may read a path. The path behind a token decides. Paths of the page are for the page alone.
fn is_shared(path: &str) -> bool {
    match prefix::split(path) {
        (Prefix::Page(_), _) => false,
        (Prefix::Absent | Prefix::Token(_), path) => !path.starts_with(INTERNAL),
    }
}

/// Answers preflight requests without a token, because browsers send none, and permits pages to read all responses for readers, including errors.
pub(super) async fn allow(request: Request, next: Next) -> Response {
    if !is_shared(request.uri().path()) {
        return next.run(request).await;
    }
    let mut response =
        if request.method() == Method::OPTIONS { (StatusCode::NO_CONTENT, PREFLIGHT).into_response() } else { next.run(request).await };
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("ETag, Content-Range, Content-Length, Accept-Ranges, Retry-After");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

//! Pages of other origins may read: a viewer in a browser is one. They may not command, and no cookie goes with their requests.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Where programs speak to each other; nothing there is for pages.
const PROGRAMS: &str = "/v1/";
/// Pages on public sites may ask servers on this machine and in this network, where browsers ask about that.
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

const PREFLIGHT: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Range, If-None-Match, If-Range"),
    (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    (PRIVATE_NETWORK, "true"),
];

/// Answers what a browser asks before it lets a page ask, without a token, since browsers send none; and lets pages see the
/// answers to readers, errors too.
pub(super) async fn allow(request: Request, next: Next) -> Response {
    if request.uri().path().starts_with(PROGRAMS) {
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

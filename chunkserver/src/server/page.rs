//! The job's page: the bundle of `dashboard/`, which is part of this program. The page requests its data from the API.

use super::conditional::document;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::response::{IntoResponse as _, Response};

const INDEX: &str = include_str!("../../../dashboard/dist/index.html");
const SCRIPT: &str = include_str!("../../../dashboard/dist/app.js");
const STYLE: &str = include_str!("../../../dashboard/dist/app.css");

/// The content security policy: pages load from this server only, without inline scripts and styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'self'";
/// `no-referrer`: an address may contain the token, and linked sites must not receive it.
const SECURITY_HEADERS: [(HeaderName, &str); 3] =
    [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "no-referrer"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];

/// Adds the security headers to a page.
pub(super) fn with_security_headers(page: Response) -> Response {
    (SECURITY_HEADERS, page).into_response()
}

/// The page.
pub(super) async fn index(method: Method, headers: HeaderMap) -> Response {
    with_security_headers(document("text/html; charset=utf-8", INDEX, &method, &headers))
}

/// The page's script.
pub(super) async fn script(method: Method, headers: HeaderMap) -> Response {
    with_security_headers(document("text/javascript; charset=utf-8", SCRIPT, &method, &headers))
}

/// The page's style.
pub(super) async fn style(method: Method, headers: HeaderMap) -> Response {
    with_security_headers(document("text/css; charset=utf-8", STYLE, &method, &headers))
}

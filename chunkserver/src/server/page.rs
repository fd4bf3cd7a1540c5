//! The job's page: what `dashboard/` is bundled into, kept in this program. What it shows, the browser asks for by itself.

use super::conditional::document;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::response::{IntoResponse as _, Response};

const INDEX: &str = include_str!("../../../dashboard/dist/index.html");
const SCRIPT: &str = include_str!("../../../dashboard/dist/app.js");
const STYLE: &str = include_str!("../../../dashboard/dist/app.css");

/// Paths of what the page consists of besides itself. They are in every copy of this program, and asked for without a token.
pub(super) const FREE: [&str; 2] = ["/app.js", "/app.css"];

/// What pages may load, and from where: of this server only, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'self'";
/// An address may have the token in it: it is for nobody whom the page links to.
const CAREFUL: [(HeaderName, &str); 3] =
    [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "no-referrer"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];

/// A page, as browsers are told to treat it.
pub(super) fn careful(page: Response) -> Response {
    (CAREFUL, page).into_response()
}

/// The page.
pub(super) async fn index(method: Method, headers: HeaderMap) -> Response {
    careful(document("text/html; charset=utf-8", INDEX, &method, &headers))
}

/// Its script.
pub(super) async fn script(method: Method, headers: HeaderMap) -> Response {
    careful(document("text/javascript; charset=utf-8", SCRIPT, &method, &headers))
}

/// Its style.
pub(super) async fn style(method: Method, headers: HeaderMap) -> Response {
    careful(document("text/css; charset=utf-8", STYLE, &method, &headers))
}

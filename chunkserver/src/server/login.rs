//! Login of a browser. The first address contains the token; a redirect moves the token into a cookie and removes it from the address.

use super::page::with_security_headers;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

/// Prefix of the names of cookies with a token. Cookies are not separated by port, so the name contains the port.
pub(super) const COOKIE: &str = "token-";

const FORM: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ArrayJob</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="app.css">
<main class="panel">
<h1>ArrayJob</h1>
<p>The page needs the job's token. <code>arrayjob serve</code> and <code>kubectl arrayjob open</code> print an address that contains the token.</p>
<form method="get" action="./">
<label>Token <input name="token" type="password" autocomplete="off" required autofocus></label>
<button class="button">Open</button>
</form>
</main>
</html>
"#;

/// A redirect to the same address without the token, which sets the token as a cookie. `None` if the token is not a valid cookie value.
pub(super) fn redirect_with_cookie(headers: &HeaderMap, token: &str) -> Option<Response> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: String = host.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    // Lax: with Strict, the browser would not send the new cookie to a page that a link of another site opened.
    let cookie = HeaderValue::try_from(format!("{COOKIE}{host}={token}; HttpOnly; SameSite=Lax")).ok()?;
    let headers = [
        (header::LOCATION, HeaderValue::from_static("./")),
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Some((StatusCode::SEE_OTHER, headers).into_response())
}

/// Whether a refused request comes from a browser.
pub(super) fn is_browser(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    path == "/" && accepts.contains("text/html")
}

/// The form that asks for the token.
pub(super) fn form() -> Response {
    with_security_headers((StatusCode::UNAUTHORIZED, Html(FORM)).into_response())
}

//! How a browser comes in: the token stands in an address once, is exchanged for a cookie, and is out of the address from then on.

use super::page::careful;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

/// What the names of cookies with a token begin with. Cookies do not tell ports apart, so the name has to.
pub(super) const COOKIE: &str = "token-";

const ASKS: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ArrayJob</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="app.css">
<main class="panel">
<h1>ArrayJob</h1>
<p>This job's page opens with its token. <code>arrayjob serve</code> and <code>kubectl arrayjob open</code> print an address that has it.</p>
<form method="get" action="./">
<label>Token <input name="token" type="password" autocomplete="off" required autofocus></label>
<button class="button">Open</button>
</form>
</main>
</html>
"#;

/// The same address without the token, and the token as a cookie; none when it cannot be one.
pub(super) fn exchange(headers: &HeaderMap, token: &str) -> Option<Response> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: String = host.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    // Lax: with Strict, a page that was opened by a link from elsewhere would not be shown the cookie that it has just been given.
    let cookie = HeaderValue::try_from(format!("{COOKIE}{host}={token}; HttpOnly; SameSite=Lax")).ok()?;
    let headers = [
        (header::LOCATION, HeaderValue::from_static("./")),
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Some((StatusCode::SEE_OTHER, headers).into_response())
}

/// Whether a refused request comes from a person in front of a browser.
pub(super) fn is_person(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    path == "/" && accepts.contains("text/html")
}

/// Asks for the token.
pub(super) fn ask() -> Response {
    careful((StatusCode::UNAUTHORIZED, Html(ASKS)).into_response())
}

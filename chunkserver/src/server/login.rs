//! Login of a browser. The first address contains the token. Redirects lead to a secret path with a cookie that is valid on that path of this
//! server only, and remove the token from the address. Neither the path nor the cookie contains the token.

use super::keys::Keys;
use super::page::with_security_headers;
use super::prefix::Prefix;
use api::wire::TOKEN;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

/// Name of the page's cookie.
pub(super) const COOKIE: &str = "page";

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

/// The redirect of a request for the page with the token in its query. The last redirect removes the token from the address. `None` behind
/// `/t/TOKEN/`, where the page works without a cookie.
///
/// The cookie has no `Path`, so browsers limit it to the folder of the address that sets it
/// ([RFC 6265, section 5.1.4](https://www.rfc-editor.org/rfc/rfc6265#section-5.1.4)): to `/p/SECRET/`, also behind a proxy that adds a prefix.
/// Cookies are not separated by port. A listener on another port of this host does not know the secret path, so browsers do not send the
/// cookie there.
pub(super) fn redirect(prefix: Prefix<'_>, keys: &Keys) -> Option<Response> {
    let page = keys.page();
    let (to, cookie) = match prefix {
        Prefix::Token(_) => return None,
        Prefix::Absent => (format!("p/{page}/"), None),
        Prefix::Page(offered) if keys.is_page(offered) => {
            // Lax: with Strict, the browser would not send the new cookie to a page that a link of another site opened.
            ("./".to_owned(), Some(format!("{COOKIE}={}; HttpOnly; SameSite=Lax", keys.cookie())))
        }
        // The address of an earlier start.
        Prefix::Page(_) => (format!("../{page}/"), None),
    };
    // The address that sets the cookie needs the token too.
    let to = if cookie.is_some() { to } else { format!("{to}?{TOKEN}={}", keys.read()) };
    let headers = [
        (header::LOCATION, HeaderValue::try_from(to).ok()?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    Some(response)
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

//! Checks the key of each request. A request carries a key in a header, in `?token=` (the name is that of Jupyter Server), as the password
//! of HTTP Basic, or in front of the path; the page carries a secret path and a cookie. Other requests are refused. Each route states the
//! access that it needs.

use super::access::{Access, unauthorized};
use super::keys::Keys;
use super::prefix::{self, Prefix};
use super::{login, routes};
use api::wire::TOKEN;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use std::sync::Arc;
use transport::listen::Connection;

/// Passes requests with a key on, with their [`Access`], and removes secrets from their path.
pub(super) async fn check(State(keys): State<Arc<Keys>>, mut request: Request, next: Next) -> Response {
    let (prefix, path) = prefix::split(request.uri().path());
    if path == "/"
        && in_query(&keys, request.uri()) >= Access::Read
        && let Some(redirect) = login::redirect(prefix, &keys)
    {
        return redirect;
    }
    let granted = match prefix {
        // A secret in the path takes precedence.
        Prefix::Token(offered) => keys.reading(offered),
        Prefix::Page(offered) if keys.is_page(offered) && has_cookie(&keys, request.headers()) => Access::Read,
        Prefix::Page(_) => Access::Public,
        Prefix::Absent => in_header(&keys, request.headers()).max(in_query(&keys, request.uri())),
    };
    if granted < Access::Read && !routes::is_public(&path) {
        return if login::is_browser(&path, request.headers()) { login::form() } else { unauthorized() };
    }
    if prefix != Prefix::Absent
        && let Some(uri) = prefix::with_path(request.uri(), &path)
    {
        *request.uri_mut() = uri;
    }
    if granted >= Access::Read
        && let Some(connection) = request.extensions().get::<Connection>()
    {
        connection.trust();
    }
    request.extensions_mut().insert(granted);
    next.run(request).await
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The access of the `Authorization` header.
fn in_header(keys: &Keys, headers: &HeaderMap) -> Access {
    let Some((scheme, value)) = text(headers, header::AUTHORIZATION).and_then(|value| value.split_once(' ')) else {
        return Access::Public;
    };
    if scheme.eq_ignore_ascii_case("basic") {
        password(value).map_or(Access::Public, |password| keys.reading(&password))
    } else if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        keys.bearer(value.trim())
    } else {
        Access::Public
    }
}

/// Whether a request has the page's cookie.
fn has_cookie(keys: &Keys, headers: &HeaderMap) -> bool {
    // HTTP/1.1 permits several headers (RFC 9112 does not forbid them, some proxies send them).
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|cookies| pairs(cookies, ';').any(|(name, value)| name == login::COOKIE && keys.is_cookie(value)))
}

/// The access of the query of an address.
fn in_query(keys: &Keys, uri: &Uri) -> Access {
    let offered = |query| pairs(query, '&').filter(|(name, _)| *name == TOKEN).map(|(_, value)| keys.reading(value)).max();
    uri.query().and_then(offered).unwrap_or(Access::Public)
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    text.split(separator).filter_map(|pair| pair.trim().split_once('='))
}

/// The password of HTTP Basic, of any user.
fn password(value: &str) -> Option<String> {
    let pair = String::from_utf8(BASE64.decode(value.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::*;
    use api::phase::BootId;
    use axum::http::HeaderValue;

    fn keys() -> Keys {
        Keys::loopback(Key::new("secret".into()), Key::new("command".into()), &BootId("b".into()))
    }

    fn granted(authorization: &str) -> Access {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())]);
        in_header(&keys(), &headers)
    }

    #[test]
    fn a_header_carries_the_read_key_in_several_forms() {
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair));
        for right in ["Bearer secret", "token secret", "bearer secret", &basic("anyone:secret"), &basic(":secret")] {
            assert_eq!(granted(right), Access::Read, "{right}");
        }
        for wrong in
            ["secret", "Bearer", "Bearer other", "Basic secret", "Basic !", &basic("secret"), &basic("secret:"), &basic("a:b:secret")]
        {
            assert_eq!(granted(wrong), Access::Public, "{wrong}");
        }
    }

    #[test]
    fn the_command_key_has_one_form() {
        assert_eq!(granted("Bearer command"), Access::Command);
        assert_eq!(granted(&format!("Basic {}", BASE64.encode("a:command"))), Access::Public);
        assert_eq!(in_query(&keys(), &Uri::from_static("/v1/progress?token=command")), Access::Public);
        assert_eq!(in_query(&keys(), &Uri::from_static("/slice/raw?sel=0&token=secret")), Access::Read);
    }

    #[test]
    fn only_the_cookie_of_the_page_is_accepted() {
        let keys = keys();
        let has = |cookies: String| has_cookie(&keys, &HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&cookies).unwrap())]));
        let right = format!("{}={}", login::COOKIE, keys.cookie());
        assert!(has(right.clone()) && has(format!("a=b; {right}; c=d")));
        assert!(!has(format!("token={}", keys.cookie())) && !has(format!("{}=secret", login::COOKIE)) && !has("token=secret".into()));
    }
}

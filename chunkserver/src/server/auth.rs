//! The run's key. A request carries the key in a header, a cookie, `?token=` (the names are those of Jupyter Server), as the password of HTTP
//! Basic, or in front of the path. Other requests are refused.

use super::problem::Problem;
use super::{login, page};
use api::wire::TOKEN;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use std::fmt;

/// The run's key.
#[derive(Clone)]
pub struct Key(String);

impl fmt::Debug for Key {
    /// Does not show the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A key from its text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether `offered` equals the key, in a time that does not depend on the number of equal bytes.
    fn matches(&self, offered: &str) -> bool {
        let (own, offered) = (self.0.as_bytes(), offered.as_bytes());
        own.len() == offered.len() && own.iter().zip(offered).fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

/// Prefix of a path with the key, as in `/t/{key}/slice/power`: for clients that only append names to an address.
const PREFIX: &str = "/t/";

/// Passes requests with the key on, and removes the key from their path.
pub(super) async fn check(State(key): State<Key>, mut request: Request, next: Next) -> Response {
    let allowed = match key_in_path(request.uri()) {
        // A key in the path takes precedence.
        Some((offered, rest)) => {
            let equal = key.matches(offered);
            if equal {
                *request.uri_mut() = rest;
            }
            equal
        }
        None => has_key(&key, &request),
    };
    let path = request.uri().path();
    if allowed {
        if path == "/"
            && in_query(&key, request.uri())
            && let Some(redirect) = login::redirect_with_cookie(request.headers(), &key.0)
        {
            return redirect;
        }
        return next.run(request).await;
    }
    if page::PUBLIC.contains(&path) {
        return next.run(request).await;
    }
    if login::is_browser(path, request.headers()) {
        return login::form();
    }
    let sentence = "the request needs the run's token: in a header, a cookie, ?token=, or as /t/TOKEN/ in front of the path";
    // The challenge does not mention Basic, which is accepted too: browsers would open their own password dialog.
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"arrayjob\"")];
    (challenge, Problem::new(StatusCode::UNAUTHORIZED, sentence)).into_response()
}

/// The key in front of a path, and the address without the key.
fn key_in_path(uri: &Uri) -> Option<(&str, Uri)> {
    let path = uri.path().strip_prefix(PREFIX)?;
    let (offered, rest) = path.split_once('/').unwrap_or((path, ""));
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Some((offered, Uri::try_from(format!("/{rest}{query}")).ok()?))
}

/// Whether a request has the key in a header, a cookie or its query.
fn has_key(key: &Key, request: &Request) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let authorization = text(header::AUTHORIZATION).and_then(|value| value.split_once(' ')).is_some_and(|(scheme, value)| {
        if scheme.eq_ignore_ascii_case("basic") {
            password(value).is_some_and(|password| key.matches(&password))
        } else {
            (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")) && key.matches(value.trim())
        }
    });
    let cookie = text(header::COOKIE).is_some_and(|cookies| {
        pairs(cookies, ';').any(|(name, value)| (name == TOKEN || name.starts_with(login::COOKIE)) && key.matches(value))
    });
    authorization || cookie || in_query(key, request.uri())
}

/// Whether the query of an address contains the key.
fn in_query(key: &Key, uri: &Uri) -> bool {
    uri.query().is_some_and(|query| pairs(query, '&').any(|(name, value)| name == TOKEN && key.matches(value)))
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
    use super::*;

    #[test]
    fn only_the_exact_key_is_accepted() {
        let key = Key::new("secret".into());
        assert!(key.matches("secret"));
        assert!(!key.matches("secre") && !key.matches("secret2") && !key.matches("") && !key.matches("Secret"));
        assert_eq!(format!("{key:?}"), "Key");
    }

    #[test]
    fn a_key_in_front_of_a_path_is_removed() {
        let of = |uri: &'static str| {
            let uri = Uri::from_static(uri);
            key_in_path(&uri).map(|(key, rest)| (key.to_owned(), rest.to_string()))
        };
        let some = |key: &str, rest: &str| Some((key.to_owned(), rest.to_owned()));
        assert_eq!(of("/t/secret/slice/power?sel=0,1&x=%20"), some("secret", "/slice/power?sel=0,1&x=%20"));
        assert_eq!(of("/t/secret/arrays.zarr/power%401%2C2/"), some("secret", "/arrays.zarr/power%401%2C2/"));
        assert_eq!(of("/t/secret"), some("secret", "/"));
        assert_eq!(of("/t/secret/"), some("secret", "/"));
        assert_eq!(of("/t//x"), some("", "/x"));
        assert_eq!(of("/t/secret/t/other/x"), some("secret", "/t/other/x"));
        assert_eq!(of("/t"), None);
        assert_eq!(of("/slice/t/x"), None);
    }

    #[test]
    fn a_cookie_of_another_port_is_ignored() {
        let allowed = |cookies: &str| {
            let request = Request::builder().uri("/").header(header::COOKIE, cookies).body(axum::body::Body::empty()).unwrap();
            has_key(&Key::new("secret".into()), &request)
        };
        assert!(allowed("token=secret") && allowed("token-127-0-0-1-80=other; token-127-0-0-1-81=secret; x=y"));
        assert!(!allowed("token-127-0-0-1-80=other") && !allowed("tokens=secret") && !allowed("x=secret") && !allowed(""));
    }

    #[test]
    fn a_header_carries_the_key_in_several_forms() {
        let key = Key::new("secret".into());
        let allowed = |value: &str| {
            let request = Request::builder().uri("/").header(header::AUTHORIZATION, value).body(axum::body::Body::empty()).unwrap();
            has_key(&key, &request)
        };
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair));
        assert!(allowed("Bearer secret") && allowed("token secret") && allowed("bearer secret"));
        assert!(allowed(&basic("anyone:secret")) && allowed(&basic(":secret")));
        for wrong in
            ["secret", "Bearer", "Bearer other", "Basic secret", "Basic !", &basic("secret"), &basic("secret:"), &basic("a:b:secret")]
        {
            assert!(!allowed(wrong), "{wrong}");
        }
    }
}

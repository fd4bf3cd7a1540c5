//! The run's key: a request without it is refused. Header, cookie or `?token=`, as Jupyter takes it.

use super::problem::Problem;
use api::wire::TOKEN;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::fmt;

/// The run's key.
#[derive(Clone)]
pub struct Key(String);

impl fmt::Debug for Key {
    /// Never the key itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A key from its text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether `offered` is the key, in a time that does not tell how much of it is right.
    fn is(&self, offered: &str) -> bool {
        let (own, offered) = (self.0.as_bytes(), offered.as_bytes());
        own.len() == offered.len() && own.iter().zip(offered).fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

/// Lets requests with the key pass.
pub(super) async fn check(State(key): State<Key>, request: Request, next: Next) -> Response {
    let offered = |text: &str| key.is(text);
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("token ")))
        .is_some_and(offered);
    let pairs = |text: &str, separator: char| {
        text.split(separator).filter_map(|pair| pair.trim().split_once('=')).any(|(name, value)| name == TOKEN && key.is(value))
    };
    let cookie = text(header::COOKIE).is_some_and(|cookies| pairs(cookies, ';'));
    let query = request.uri().query().is_some_and(|query| pairs(query, '&'));
    if bearer || cookie || query {
        next.run(request).await
    } else {
        Problem::new(StatusCode::UNAUTHORIZED, "this server answers only with the run's token (header, cookie or ?token=)").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_is_the_key() {
        let key = Key::new("secret".into());
        assert!(key.is("secret"));
        assert!(!key.is("secre") && !key.is("secret2") && !key.is("") && !key.is("Secret"));
        assert_eq!(format!("{key:?}"), "Key");
    }
}

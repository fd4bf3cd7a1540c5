//! Secrets in front of a path: `/t/TOKEN/` with the read key, for programs that only append names to an address, and `/p/SECRET/` of the
//! page, which is valid with the page's cookie only.

use axum::http::Uri;

const TOKEN: &str = "/t/";
const PAGE: &str = "/p/";

/// The secret in front of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix<'a> {
    /// No prefix.
    Absent,
    /// `/t/TOKEN/`.
    Token(&'a str),
    /// `/p/SECRET/`.
    Page(&'a str),
}

/// The prefix of a path, and the path without the prefix.
pub(super) fn split(path: &str) -> (Prefix<'_>, String) {
    let cut = |rest: &str| match rest.split_once('/') {
        Some((secret, rest)) => (secret.len(), format!("/{rest}")),
        None => (rest.len(), "/".to_owned()),
    };
    if let Some(rest) = path.strip_prefix(TOKEN) {
        let (length, path) = cut(rest);
        (Prefix::Token(&rest[..length]), path)
    } else if let Some(rest) = path.strip_prefix(PAGE) {
        let (length, path) = cut(rest);
        (Prefix::Page(&rest[..length]), path)
    } else {
        (Prefix::Absent, path.to_owned())
    }
}

/// The address with another path. `None` if the path is not valid.
pub(super) fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Uri::try_from(format!("{path}{query}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_removed_once() {
        let of = |path: &'static str| split(path);
        let token = |secret: &'static str, path: &str| (Prefix::Token(secret), path.to_owned());
        assert_eq!(of("/t/secret/slice/power"), token("secret", "/slice/power"));
        assert_eq!(of("/t/secret/arrays.zarr/power%401%2C2/"), token("secret", "/arrays.zarr/power%401%2C2/"));
        assert_eq!(of("/t/secret"), token("secret", "/"));
        assert_eq!(of("/t/secret/"), token("secret", "/"));
        assert_eq!(of("/t//x"), token("", "/x"));
        assert_eq!(of("/t/secret/t/other/x"), token("secret", "/t/other/x"));
        assert_eq!(of("/p/secret/api/v1/status"), (Prefix::Page("secret"), "/api/v1/status".to_owned()));
        assert_eq!(of("/t"), (Prefix::Absent, "/t".to_owned()));
        assert_eq!(of("/slice/t/x"), (Prefix::Absent, "/slice/t/x".to_owned()));
    }

    #[test]
    fn a_query_stays_with_its_address() {
        let uri = Uri::from_static("/t/secret/slice/power?sel=0,1&x=%20");
        assert_eq!(with_path(&uri, "/slice/power").unwrap().to_string(), "/slice/power?sel=0,1&x=%20");
        assert_eq!(with_path(&Uri::from_static("/t/secret"), "/").unwrap().to_string(), "/");
    }
}

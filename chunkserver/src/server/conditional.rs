//! Conditional requests and ranges (RFC 9110, <https://www.rfc-editor.org/rfc/rfc9110>): decides from `If-None-Match`, `Range` and `If-Range`
//! which bytes to send, before any bytes are gathered.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use std::fmt::{self, Display, Write as _};
use std::ops::Range;

/// `no-cache`: later jobs use the same port, so every use is revalidated. `private`: a shared cache would serve readers without the token.
const CACHE: &str = "private, no-cache";

/// A representation whose bytes are not gathered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Representation {
    pub(super) content_type: &'static str,
    /// Length in bytes.
    pub(super) length: u64,
    pub(super) tag: Tag,
}

/// A strong entity tag: equal tags mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// The tag of `bytes`.
    fn of_bytes(bytes: &[u8]) -> Self {
        let mut hash = Fnv(OFFSET);
        hash.add(bytes);
        Self(format!("\"{:032x}\"", hash.0))
    }

    /// The tag of the content that `parts` identify.
    pub(super) fn of(parts: &[&dyn Display]) -> Self {
        let mut hash = Fnv(OFFSET);
        for part in parts {
            // Writing to the hash cannot fail. The separator keeps ["a", "bc"] and ["ab", "c"] different.
            let _ = write!(hash, "{part}\0");
        }
        Self(format!("\"{:032x}\"", hash.0))
    }
}

/// FNV-1a of 128 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): short enough for a header, long enough to exclude collisions.
struct Fnv(u128);

const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

/// What to send in response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// No bytes: the client has them.
    NotModified,
    /// Headers only.
    Head,
    /// All bytes.
    All,
    /// A range of bytes.
    Range(Range<u64>),
    /// An error: the range is beyond the end.
    Unsatisfiable,
}

impl Representation {
    /// Decides what to send.
    pub(super) fn decide(&self, method: &Method, headers: &HeaderMap) -> Decision {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|tags| self.is_among(tags)) {
            return Decision::NotModified;
        }
        if method == Method::HEAD {
            return Decision::Head;
        }
        // A date is not a strong validator; all bytes are sent.
        let unchanged = text(header::IF_RANGE).is_none_or(|tag| tag.trim() == self.tag.0);
        let range = text(header::RANGE).filter(|_| unchanged).and_then(|range| parse_range(range, self.length));
        range.unwrap_or(Decision::All)
    }

    /// Whether a list of tags contains this tag. The comparison is weak, as RFC 9110 specifies for `If-None-Match`.
    fn is_among(&self, tags: &str) -> bool {
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag.0)
    }

    /// The response for a decision. `body` contains the bytes that the decision names.
    pub(super) fn response(&self, decision: &Decision, body: Body) -> Response {
        let common = [(header::ETAG, self.tag.0.clone()), (header::CACHE_CONTROL, CACHE.into()), (header::ACCEPT_RANGES, "bytes".into())];
        let of = |length: u64| [(header::CONTENT_TYPE, self.content_type.to_owned()), (header::CONTENT_LENGTH, length.to_string())];
        let range = |range: String| [(header::CONTENT_RANGE, format!("bytes {range}/{}", self.length))];
        match decision {
            Decision::NotModified => (StatusCode::NOT_MODIFIED, common).into_response(),
            Decision::Head | Decision::All => (common, of(self.length), body).into_response(),
            Decision::Range(bytes) => {
                let range = range(format!("{}-{}", bytes.start, bytes.end - 1));
                (StatusCode::PARTIAL_CONTENT, common, of(bytes.end - bytes.start), range, body).into_response()
            }
            Decision::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, common, range("*".into())).into_response(),
        }
    }
}

/// The response to a request for a text.
pub(super) fn document(content_type: &'static str, text: impl Into<Bytes>, method: &Method, headers: &HeaderMap) -> Response {
    let bytes: Bytes = text.into();
    let representation = Representation { content_type, length: bytes.len() as u64, tag: Tag::of_bytes(&bytes) };
    let decision = representation.decide(method, headers);
    let body = match &decision {
        Decision::All => bytes.into(),
        Decision::Range(range) => bytes.slice(range.start as usize..range.end as usize).into(),
        Decision::NotModified | Decision::Head | Decision::Unsatisfiable => Body::empty(),
    };
    representation.response(&decision, body)
}

/// One range of `length` bytes: `a-b`, `a-` or `-n`. `None` for other forms and for several ranges, which are ignored.
fn parse_range(text: &str, length: u64) -> Option<Decision> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that overflows is larger than any file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (first, last) {
        ("", suffix) => length.saturating_sub(number(suffix)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(if range.start < range.end { Decision::Range(range) } else { Decision::Unsatisfiable })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn representation() -> Representation {
        Representation { content_type: "text/plain", length: 10, tag: Tag::of(&[&"job", &1]) }
    }

    fn decide(method: Method, headers: &[(HeaderName, &str)]) -> Decision {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        representation().decide(&method, &headers)
    }

    #[test]
    fn ranges_follow_rfc_9110() {
        let check = |text: &str, expected: Decision| assert_eq!(decide(Method::GET, &[(header::RANGE, text)]), expected, "{text}");
        check("bytes=0-9", Decision::Range(0..10));
        check("bytes=2-4", Decision::Range(2..5));
        check("bytes=9-", Decision::Range(9..10));
        check("bytes=-3", Decision::Range(7..10));
        check("bytes=-30", Decision::Range(0..10));
        check("bytes=8-99999999999999999999999", Decision::Range(8..10));
        check("bytes=10-", Decision::Unsatisfiable);
        check("bytes=10-20", Decision::Unsatisfiable);
        check("bytes=-0", Decision::Unsatisfiable);
        for ignored in ["bytes=5-2", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "0-1", "bytes=+1-2"] {
            check(ignored, Decision::All);
        }
        assert_eq!(decide(Method::HEAD, &[(header::RANGE, "bytes=0-1")]), Decision::Head, "ranges apply to GET only");
    }

    #[test]
    fn known_bytes_are_not_sent_again() {
        let tag = representation().tag.0;
        assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for tags in [&tag, "*", &format!("\"x\", {tag}"), &format!("W/{tag}")] {
            assert_eq!(decide(Method::GET, &[(header::IF_NONE_MATCH, tags)]), Decision::NotModified, "{tags}");
            assert_eq!(decide(Method::HEAD, &[(header::IF_NONE_MATCH, tags), (header::RANGE, "bytes=0-1")]), Decision::NotModified);
        }
        assert_eq!(decide(Method::GET, &[(header::IF_NONE_MATCH, "\"other\"")]), Decision::All);
        let range = (header::RANGE, "bytes=0-1");
        assert_eq!(decide(Method::GET, &[range.clone(), (header::IF_RANGE, &tag)]), Decision::Range(0..2));
        for other in ["\"other\"", &format!("W/{tag}"), "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(decide(Method::GET, &[range.clone(), (header::IF_RANGE, other)]), Decision::All, "{other}");
        }
    }

    #[test]
    fn different_parts_have_different_tags() {
        assert_eq!(Tag::of(&[&"a", &12]), Tag::of(&[&"a", &12]));
        assert_ne!(Tag::of(&[&"a", &12]), Tag::of(&[&"a1", &2]));
        assert_ne!(Tag::of(&[&"a"]), Tag::of(&[&"b"]));
    }

    #[test]
    fn a_range_states_its_position() {
        let response = |decision| representation().response(&decision, Body::empty());
        let part = response(Decision::Range(2..5));
        assert_eq!((part.status().as_u16(), &part.headers()[header::CONTENT_RANGE]), (206, &"bytes 2-4/10".parse().unwrap()));
        assert_eq!(part.headers()[header::CONTENT_LENGTH], "3");
        let beyond = response(Decision::Unsatisfiable);
        assert_eq!((beyond.status().as_u16(), &beyond.headers()[header::CONTENT_RANGE]), (416, &"bytes */10".parse().unwrap()));
        assert_eq!(response(Decision::Head).headers()[header::CONTENT_LENGTH], "10");
        assert_eq!(response(Decision::NotModified).status().as_u16(), 304);
    }
}

//! What a reader has already, and which bytes it wants: `If-None-Match`, `Range` and `If-Range` come in, a decision goes out, before
//! anything is gathered.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use std::fmt::{self, Display, Write as _};
use std::ops::Range;

/// Ports are used again by other jobs, so every use is confirmed; and nobody's token opens another's cache.
const CACHE: &str = "private, no-cache";

/// A representation, before its bytes are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Representation {
    pub(super) content_type: &'static str,
    /// Bytes in all.
    pub(super) length: u64,
    pub(super) tag: Tag,
}

/// A strong entity tag: the same bytes, the same tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// The tag of these bytes.
    fn of_bytes(bytes: &[u8]) -> Self {
        let mut hash = Fnv(OFFSET);
        hash.add(bytes);
        Self(format!("\"{:032x}\"", hash.0))
    }

    /// The tag of what `parts` tell from everything else.
    pub(super) fn of(parts: &[&dyn Display]) -> Self {
        let mut hash = Fnv(OFFSET);
        for part in parts {
            // The hash takes anything. A separator that no part contains: parts run together would be other parts.
            let _ = write!(hash, "{part}\0");
        }
        Self(format!("\"{:032x}\"", hash.0))
    }
}

/// FNV-1a of 128 bits: short enough for a header, long enough that no two keys ever meet.
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

/// What a request wants of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing: it has it.
    Nothing,
    /// No bytes, only what there is to say of them.
    Head,
    /// All bytes.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there.
    Beyond,
}

impl Representation {
    /// What a request wants.
    pub(super) fn wanted(&self, method: &Method, headers: &HeaderMap) -> Wanted {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|tags| self.is_among(tags)) {
            return Wanted::Nothing;
        }
        if method == Method::HEAD {
            return Wanted::Head;
        }
        // A date is no strong validator: then all of it is sent.
        let unchanged = text(header::IF_RANGE).is_none_or(|tag| tag.trim() == self.tag.0);
        let range = text(header::RANGE).filter(|_| unchanged).and_then(|range| parse_range(range, self.length));
        range.unwrap_or(Wanted::All)
    }

    /// Whether a list of tags has this one; weak ones count as strong here.
    fn is_among(&self, tags: &str) -> bool {
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag.0)
    }

    /// The response to a request that wants `wanted`, which `body` has been made for.
    pub(super) fn response(&self, wanted: &Wanted, body: Body) -> Response {
        let common = [(header::ETAG, self.tag.0.clone()), (header::CACHE_CONTROL, CACHE.into()), (header::ACCEPT_RANGES, "bytes".into())];
        let of = |length: u64| [(header::CONTENT_TYPE, self.content_type.to_owned()), (header::CONTENT_LENGTH, length.to_string())];
        let range = |range: String| [(header::CONTENT_RANGE, format!("bytes {range}/{}", self.length))];
        match wanted {
            Wanted::Nothing => (StatusCode::NOT_MODIFIED, common).into_response(),
            Wanted::Head | Wanted::All => (common, of(self.length), body).into_response(),
            Wanted::Part(bytes) => {
                let said = range(format!("{}-{}", bytes.start, bytes.end - 1));
                (StatusCode::PARTIAL_CONTENT, common, of(bytes.end - bytes.start), said, body).into_response()
            }
            Wanted::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, common, range("*".into())).into_response(),
        }
    }
}

/// A text, or what a request wants of it.
pub(super) fn document(content_type: &'static str, text: impl Into<Bytes>, method: &Method, headers: &HeaderMap) -> Response {
    let bytes: Bytes = text.into();
    let representation = Representation { content_type, length: bytes.len() as u64, tag: Tag::of_bytes(&bytes) };
    let wanted = representation.wanted(method, headers);
    let body = match &wanted {
        Wanted::All => bytes.into(),
        Wanted::Part(part) => bytes.slice(part.start as usize..part.end as usize).into(),
        Wanted::Nothing | Wanted::Head | Wanted::Beyond => Body::empty(),
    };
    representation.response(&wanted, body)
}

/// One range of `length` bytes: `a-b`, `a-` or `-n`. What is none of these, or several, is as if it were not said.
fn parse_range(text: &str, length: u64) -> Option<Wanted> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large to read is larger than any file.
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
    Some(if range.start < range.end { Wanted::Part(range) } else { Wanted::Beyond })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn representation() -> Representation {
        Representation { content_type: "text/plain", length: 10, tag: Tag::of(&[&"job", &1]) }
    }

    fn wanted(method: Method, headers: &[(HeaderName, &str)]) -> Wanted {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        representation().wanted(&method, &headers)
    }

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let check = |text: &str, expected: Wanted| assert_eq!(wanted(Method::GET, &[(header::RANGE, text)]), expected, "{text}");
        check("bytes=0-9", Wanted::Part(0..10));
        check("bytes=2-4", Wanted::Part(2..5));
        check("bytes=9-", Wanted::Part(9..10));
        check("bytes=-3", Wanted::Part(7..10));
        check("bytes=-30", Wanted::Part(0..10));
        check("bytes=8-99999999999999999999999", Wanted::Part(8..10));
        check("bytes=10-", Wanted::Beyond);
        check("bytes=10-20", Wanted::Beyond);
        check("bytes=-0", Wanted::Beyond);
        for ignored in ["bytes=5-2", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "0-1", "bytes=+1-2"] {
            check(ignored, Wanted::All);
        }
        assert_eq!(wanted(Method::HEAD, &[(header::RANGE, "bytes=0-1")]), Wanted::Head, "a range is of a GET");
    }

    #[test]
    fn what_a_reader_has_is_not_sent_again() {
        let tag = representation().tag.0;
        assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for tags in [&tag, "*", &format!("\"x\", {tag}"), &format!("W/{tag}")] {
            assert_eq!(wanted(Method::GET, &[(header::IF_NONE_MATCH, tags)]), Wanted::Nothing, "{tags}");
            assert_eq!(wanted(Method::HEAD, &[(header::IF_NONE_MATCH, tags), (header::RANGE, "bytes=0-1")]), Wanted::Nothing);
        }
        assert_eq!(wanted(Method::GET, &[(header::IF_NONE_MATCH, "\"other\"")]), Wanted::All);
        let range = (header::RANGE, "bytes=0-1");
        assert_eq!(wanted(Method::GET, &[range.clone(), (header::IF_RANGE, &tag)]), Wanted::Part(0..2));
        for other in ["\"other\"", &format!("W/{tag}"), "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(wanted(Method::GET, &[range.clone(), (header::IF_RANGE, other)]), Wanted::All, "{other}");
        }
    }

    #[test]
    fn tags_tell_apart_what_differs() {
        assert_eq!(Tag::of(&[&"a", &12]), Tag::of(&[&"a", &12]));
        assert_ne!(Tag::of(&[&"a", &12]), Tag::of(&[&"a1", &2]));
        assert_ne!(Tag::of(&[&"a"]), Tag::of(&[&"b"]));
    }

    #[test]
    fn a_part_says_where_it_is() {
        let response = |wanted| representation().response(&wanted, Body::empty());
        let part = response(Wanted::Part(2..5));
        assert_eq!((part.status().as_u16(), &part.headers()[header::CONTENT_RANGE]), (206, &"bytes 2-4/10".parse().unwrap()));
        assert_eq!(part.headers()[header::CONTENT_LENGTH], "3");
        let beyond = response(Wanted::Beyond);
        assert_eq!((beyond.status().as_u16(), &beyond.headers()[header::CONTENT_RANGE]), (416, &"bytes */10".parse().unwrap()));
        assert_eq!(response(Wanted::Head).headers()[header::CONTENT_LENGTH], "10");
        assert_eq!(response(Wanted::Nothing).status().as_u16(), 304);
    }
}

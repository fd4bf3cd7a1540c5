//! The header `Content-Range`: <https://www.rfc-editor.org/rfc/rfc9110#field.content-range>.

use crate::source::BodyRange;
use reqwest::header::{CONTENT_RANGE, HeaderMap};

/// The bytes that a response contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// Offset of the first byte and of the last byte; `None` in a response without bytes of the object.
    pub(super) bytes: Option<(u64, u64)>,
    /// Length of the object; `None` if the server does not state it.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// The range in the headers; `None` if the header is absent, repeated or not valid.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (bytes, total) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        if bytes == "*" {
            return Some(Self { bytes: None, total });
        }
        let (first, last) = bytes.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let valid = first <= last && last < total.unwrap_or(u64::MAX);
        valid.then_some(Self { bytes: Some((first, last)), total })
    }

    /// The number of bytes, if they are the bytes of `range`: less than requested only where the object ends.
    pub(super) fn length(self, range: BodyRange) -> Option<u64> {
        let (first, last) = self.bytes?;
        let length = last - first + 1;
        let at_end = self.total == Some(last + 1);
        let right = match range {
            BodyRange::From(start, None) => first == start && (at_end || self.total.is_none()),
            BodyRange::From(start, Some(wanted)) => {
                first == start && (length == wanted || length < wanted && (at_end || self.total.is_none()))
            }
            BodyRange::Last(wanted) => at_end && (length == wanted || length < wanted && first == 0),
        };
        right.then_some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_requested_bytes_are_accepted() {
        let length = |text: &str, range| ContentRange::parse(text).and_then(|found| found.length(range));
        let (part, rest, last) = (BodyRange::From(10, Some(5)), BodyRange::From(10, None), BodyRange::Last(4));
        assert_eq!(length("bytes 10-14/100", part), Some(5));
        assert_eq!(length("bytes 10-14/*", part), Some(5));
        assert_eq!(length("bytes 10-12/13", part), Some(3));
        assert_eq!(length("bytes 10-99/100", rest), Some(90));
        assert_eq!(length("bytes 96-99/100", last), Some(4));
        assert_eq!(length("bytes 0-1/2", last), Some(2));
        for wrong in
            ["bytes 10-12/100", "bytes 10-15/100", "bytes 9-13/100", "bytes 14-10/100", "bytes 10-14/14", "bytes */100", "10-14/100", ""]
        {
            assert_eq!(length(wrong, part), None, "{wrong}");
        }
        for wrong in ["bytes 0-3/100", "bytes 0-3/*", "bytes 95-98/100"] {
            assert_eq!(length(wrong, last), None, "{wrong}");
        }
        assert_eq!(length("bytes 10-98/100", rest), None);
        assert_eq!(ContentRange::parse("bytes */7"), Some(ContentRange { bytes: None, total: Some(7) }));
    }
}

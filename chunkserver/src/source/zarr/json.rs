//! JSON as common writers of Zarr metadata write it.

use std::borrow::Cow;

/// Constants that Python's `json` writes and JSON does not have: <https://docs.python.org/3/library/json.html#infinite-and-nan-number-values>.
const CONSTANTS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// The text with quotes around bare constants: Zarr writes such a fill value as a string, and attributes are not read.
pub(super) fn quote_constants(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while at < text.len() {
        match text[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' if !in_string => {
                if let Some(constant) = CONSTANTS.into_iter().find(|constant| text[at..].starts_with(constant)) {
                    out.extend_from_slice(&text[copied..at]);
                    out.push(b'"');
                    out.extend_from_slice(constant);
                    out.push(b'"');
                    copied = at + constant.len();
                    at = copied - 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_constants_are_quoted() {
        for (text, expected) in [
            (r#"{"a": NaN, "b": [-Infinity,Infinity]}"#, r#"{"a": "NaN", "b": ["-Infinity","Infinity"]}"#),
            (r#"{"NaN": "Infinity", "a\"NaN": "\\", "b": NaN}"#, r#"{"NaN": "Infinity", "a\"NaN": "\\", "b": "NaN"}"#),
            (r#"{"a": -1, "b": null}"#, r#"{"a": -1, "b": null}"#),
            ("NaN", "\"NaN\""),
        ] {
            assert_eq!(String::from_utf8_lossy(&quote_constants(text.as_bytes())), expected);
        }
    }
}

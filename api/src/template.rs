//! URL templates with the placeholders `{index}`, `{index:05}`, `%d`, `%05d` and, for volumes, `{depth}`.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Most digits of a zero-padded index: an `i64` has 19 digits.
const MAX_WIDTH: usize = 20;

/// A parsed URL template.
///
/// ```
/// use api::template::Template;
/// let template = Template::parse("http://host/my%20stack/{index:05}/jpg")?;
/// assert_eq!(template.url(42, 1), "http://host/my%20stack/00042/jpg");
/// # Ok::<(), api::template::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    Index { width: usize },
    Depth,
}

/// Why a template is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The template has no text.
    #[error("the URL template is empty")]
    Empty,
    /// A `{` without its `}`.
    #[error("`{{` at character {at} has no closing brace; write `{{{{` for a literal brace")]
    Unclosed {
        /// Position, counted from 1.
        at: usize,
    },
    /// A `}` without its `{`.
    #[error("`}}` at character {at} has no opening brace; write `}}}}` for a literal brace")]
    Unopened {
        /// Position, counted from 1.
        at: usize,
    },
    /// An unknown placeholder.
    #[error("`{{{field}}}` is unknown; a template may hold {{index}}, {{index:05}}, %d, %05d and {{depth}}")]
    UnknownField {
        /// The text between the braces.
        field: String,
    },
    /// A format after `{index:` that is not a zero padding.
    #[error("`{{index:{format}}}` has an unknown format; write {{index:05}} for five digits with leading zeros (at most {MAX_WIDTH})")]
    BadFormat {
        /// The text after the colon.
        format: String,
    },
}

impl Template {
    /// Parses a template.
    ///
    /// `%d` and `%0Nd` are placeholders of the index. Every other `%` is literal, so that escapes such as `%20` do not change. `%d`
    /// before a hexadecimal digit is an escape too, for example `%d0`. `{{` and `}}` are literal braces.
    ///
    /// # Errors
    /// If the text is empty, a brace has no partner, or the text between two braces is not `index`, `index:0N` or `depth`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut segments = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let at = text[..text.len() - rest.len()].chars().count() + 1;
            let (segment, length) = match first {
                '{' if rest.starts_with("{{") => (Segment::Literal("{".into()), 2),
                '}' if rest.starts_with("}}") => (Segment::Literal("}".into()), 2),
                '{' => {
                    let end = rest.find('}').ok_or(TemplateError::Unclosed { at })?;
                    (field(&rest[1..end])?, end + 1)
                }
                '}' => return Err(TemplateError::Unopened { at }),
                '%' => printf(rest).unwrap_or_else(|| (Segment::Literal("%".into()), 1)),
                other => (Segment::Literal(other.into()), other.len_utf8()),
            };
            match segment {
                Segment::Literal(more) => literal.push_str(&more),
                placeholder => {
                    if !literal.is_empty() {
                        segments.push(Segment::Literal(std::mem::take(&mut literal)));
                    }
                    segments.push(placeholder);
                }
            }
            rest = &rest[length..];
        }
        if !literal.is_empty() {
            segments.push(Segment::Literal(literal));
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The URL of the frame with index `index`; for a volume, of `depth` frames from that index.
    pub fn url(&self, index: i64, depth: usize) -> String {
        let mut url = String::with_capacity(self.text.len() + MAX_WIDTH);
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => url.push_str(text),
                Segment::Index { width } => url.push_str(&format!("{index:0width$}")),
                Segment::Depth => url.push_str(&depth.to_string()),
            }
        }
        url
    }

    /// Whether the template has the index. Without the index every frame has the same URL.
    pub fn has_index(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Index { .. }))
    }

    /// Whether the template has the depth, so that a request states the number of frames of its response.
    pub fn has_depth(&self) -> bool {
        self.segments.contains(&Segment::Depth)
    }
}

impl fmt::Display for Template {
    /// The text of the template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Parses the text between braces.
fn field(text: &str) -> Result<Segment, TemplateError> {
    match text.split_once(':') {
        None if text == "index" => Ok(Segment::Index { width: 0 }),
        None if text == "depth" => Ok(Segment::Depth),
        Some(("index", format)) => {
            let bad = || TemplateError::BadFormat { format: format.to_owned() };
            let width = format.strip_suffix('d').unwrap_or(format);
            if width.is_empty() && format == "d" {
                return Ok(Segment::Index { width: 0 });
            }
            // Without a leading zero Python pads with spaces, which a URL must not contain.
            let digits = width.strip_prefix('0').ok_or_else(bad)?;
            padding(digits).map(|width| Segment::Index { width }).ok_or_else(bad)
        }
        _ => Err(TemplateError::UnknownField { field: text.to_owned() }),
    }
}

/// Parses the width of a zero padding.
fn padding(digits: &str) -> Option<usize> {
    let width = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    (width <= MAX_WIDTH).then_some(width)
}

/// `%d` or `%05d` at the start of `text`, and the length of the placeholder in bytes.
fn printf(text: &str) -> Option<(Segment, usize)> {
    let end = text.find('d')?;
    let digits = &text[1..end];
    if digits.is_empty() {
        let escape = text[2..].starts_with(|c: char| c.is_ascii_hexdigit());
        return (!escape).then_some((Segment::Index { width: 0 }, 2));
    }
    // `%2d` is the escape of `-`, and a padding begins with 0. The escapes %00 to %09 are control characters, which URLs do not contain.
    let width = padding(digits.strip_prefix('0')?)?;
    Some((Segment::Index { width }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, index: i64, expected: &str) {
        assert_eq!(Template::parse(template).unwrap().url(index, 20), expected);
    }

    #[test]
    fn placeholders_are_replaced_by_the_index_and_the_depth() {
        check("http://h/raw/xy/2000_2000/1800_2300_{index}/jpg", 7, "http://h/raw/xy/2000_2000/1800_2300_7/jpg");
        check("http://h/{index:05}.png", 42, "http://h/00042.png");
        check("http://h/{index:05d}.png", 42, "http://h/00042.png");
        check("http://h/{index:d}.png", 42, "http://h/42.png");
        check("http://h/%d.png", 42, "http://h/42.png");
        check("http://h/%05d.png", 42, "http://h/00042.png");
        check("http://h/%010d", 42, "http://h/0000000042");
        check("http://h/{index:03}", 123_456, "http://h/123456");
        check("http://h/{index}/{index:02}", 3, "http://h/3/03");
        check("http://h/%d", -5, "http://h/-5");
        check("http://h/2000_2000_{depth}/0_0_{index}", 40, "http://h/2000_2000_20/0_0_40");
        check("file:///données/{{x}}/%d.tif", 1, "file:///données/{x}/1.tif");
    }

    #[test]
    fn percent_escapes_do_not_change() {
        for text in ["http://h/a%20b%2F", "http://h/%2d", "http://h/%d0%b0", "http://h/100%", "http://h/%%", "http://h/%é"] {
            check(text, 1, text);
            assert!(!Template::parse(text).unwrap().has_index());
        }
    }

    #[test]
    fn an_invalid_template_is_refused() {
        let refused = |text: &str| Template::parse(text).unwrap_err();
        assert_eq!(refused(""), TemplateError::Empty);
        assert_eq!(refused("h/{index"), TemplateError::Unclosed { at: 3 });
        assert_eq!(refused("é}"), TemplateError::Unopened { at: 2 });
        assert_eq!(refused("h/{frame}"), TemplateError::UnknownField { field: "frame".into() });
        assert_eq!(refused("h/{depth:02}"), TemplateError::UnknownField { field: "depth:02".into() });
        for format in ["5", "x", "", "0é", "0+5", "099999999999999999999", "021"] {
            assert_eq!(refused(&format!("h/{{index:{format}}}")), TemplateError::BadFormat { format: format.into() });
        }
        assert_eq!(refused("h/{frame}").to_string(), "`{frame}` is unknown; a template may hold {index}, {index:05}, %d, %05d and {depth}");
    }

    #[test]
    fn a_template_states_which_placeholders_it_has() {
        let template: Template = "h/{depth}/%d".parse().unwrap();
        assert!(template.has_index() && template.has_depth());
        assert_eq!(template.to_string(), "h/{depth}/%d");
        assert!(!Template::parse("h/1.png").unwrap().has_index());
    }
}

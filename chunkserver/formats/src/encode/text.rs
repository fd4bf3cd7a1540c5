//! Arrays as text: CSV and JSON, element by element.

use super::{Error, Format, Value, selection, tuple};
use api::geometry::Element;
use std::io::Write as _;

/// Most lists in the text of an array without elements.
const EMPTY_LISTS: usize = 1 << 20;

/// Most bytes of one element as text, with its separators.
pub(super) const fn element_bytes(element: Element) -> u64 {
    element.text_bytes() as u64
}

/// The position in the text of an array.
///
/// CSV has one line per row, or per element for fewer than two axes, and no header line.
/// [`numpy.loadtxt(path, delimiter=",")`](https://numpy.org/doc/stable/reference/generated/numpy.loadtxt.html) reads the text, with
/// `dtype=complex` for complex values. JSON is `{"shape": [..], "dtype": "..", "data": ..}` with one list per axis. A complex value is
/// `[re, im]`. NaN and ±∞, which JSON cannot express, are `null`.
#[derive(Debug)]
pub(super) struct Text {
    /// Number of elements that are written.
    next: usize,
    /// Number of elements.
    total: usize,
    /// Elements of a line of CSV; of JSON, elements of a list of each axis.
    lists: Vec<usize>,
}

impl Text {
    /// Of a CSV file.
    pub(super) fn csv(shape: &[usize]) -> Result<Self, Error> {
        let columns = match *shape {
            [] | [_] => 1,
            [_, columns] => columns,
            _ => {
                let advice = format!("select fewer axes, for example {}, or use npy, json or tiff", selection(shape, 2));
                let holds = "at most two axes";
                return Err(Error::Axes { format: Format::Csv, holds, shape: tuple(shape), advice });
            }
        };
        Ok(Self { next: 0, total: shape.iter().product(), lists: vec![columns] })
    }

    /// Of a JSON document.
    pub(super) fn json(shape: &[usize]) -> Result<Self, Error> {
        let axis = shape.iter().position(|&axis| axis == 0).unwrap_or(shape.len());
        let lists = shape[..axis].iter().try_fold(1_usize, |lists, &axis| lists.checked_mul(axis)).unwrap_or(usize::MAX);
        if axis < shape.len() && lists > EMPTY_LISTS {
            return Err(Error::Empty { format: Format::Json, shape: tuple(shape) });
        }
        let total = shape.iter().product();
        Ok(Self { next: 0, total, lists: (0..shape.len()).map(|axis| shape[axis..].iter().product()).collect() })
    }

    /// The text before the first element; of an array without elements, all but the last bracket.
    pub(super) fn json_head(&self, element: Element, shape: &[usize]) -> String {
        let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let mut out = format!(r#"{{"shape":[{}],"dtype":"{element}","data":"#, sizes.join(","));
        if self.total == 0 {
            empty_lists(&mut out, shape);
        } else {
            out.extend(self.lists.iter().map(|_| '['));
        }
        out
    }

    pub(super) fn json_tail(&self) -> Vec<u8> {
        let open = if self.total == 0 { 0 } else { self.lists.len() };
        [&vec![b']'; open][..], b"}"].concat()
    }

    pub(super) fn csv_tail(&self) -> Vec<u8> {
        if self.total == 0 { Vec::new() } else { vec![b'\n'] }
    }

    pub(super) fn append_csv(&mut self, value: Value, out: &mut Vec<u8>) {
        if self.next > 0 {
            out.push(if self.next.is_multiple_of(self.lists[0]) { b'\n' } else { b',' });
        }
        self.next += 1;
        if let Value::Complex(re, im) = value {
            float(re, out);
            // The text of a negative number and of -0.0 begins with its sign.
            if !im.is_sign_negative() || im.is_nan() {
                out.push(b'+');
            }
            float(im, out);
            out.push(b'j');
        } else {
            number(value, out);
        }
    }

    pub(super) fn append_json(&mut self, value: Value, out: &mut Vec<u8>) {
        if self.next > 0 {
            // The lists that end before this element. The list of axis 0 ends with the array.
            let ended = self.lists.iter().skip(1).filter(|&&elements| self.next.is_multiple_of(elements)).count();
            out.extend(std::iter::repeat_n(b']', ended));
            out.push(b',');
            out.extend(std::iter::repeat_n(b'[', ended));
        }
        self.next += 1;
        let finite = |v: f32, out: &mut Vec<u8>| if v.is_finite() { float(v, out) } else { out.extend_from_slice(b"null") };
        match value {
            Value::Complex(re, im) => {
                out.push(b'[');
                finite(re, out);
                out.push(b',');
                finite(im, out);
                out.push(b']');
            }
            Value::Single(v) => finite(v, out),
            Value::Double(v) if !v.is_finite() => out.extend_from_slice(b"null"),
            Value::Whole(_) | Value::Signed(_) | Value::Double(_) => number(value, out),
        }
    }
}

/// Nested lists up to the first axis of length 0.
fn empty_lists(out: &mut String, shape: &[usize]) {
    out.push('[');
    if let Some((&length, inner)) = shape.split_first() {
        for i in 0..length {
            if i > 0 {
                out.push(',');
            }
            empty_lists(out, inner);
        }
    }
    out.push(']');
}

/// A value that is not complex. Writing to a vector does not fail.
fn number(value: Value, out: &mut Vec<u8>) {
    let _ = match value {
        Value::Whole(v) => write!(out, "{v}"),
        Value::Signed(v) => write!(out, "{v}"),
        Value::Single(v) => return float(v, out),
        Value::Double(v) => return float(v, out),
        Value::Complex(..) => Ok(()),
    };
}

/// The shortest text that parses to the same float: `0.1`, `1e16`, `-0.0`, `NaN`, `inf`.
fn float(v: impl std::fmt::Debug, out: &mut Vec<u8>) {
    // `Display` writes 1e38 with 39 digits, `Debug` with an exponent.
    let _ = write!(out, "{v:?}");
}

//! Arrays as text: CSV and JSON.

use super::{ArrayRef, Error, Format, Value, selection, tuple};

/// One line per row, or per element for fewer than two axes; no header line.
///
/// [`numpy.loadtxt(path, delimiter=",")`](https://numpy.org/doc/stable/reference/generated/numpy.loadtxt.html) reads the text, with
/// `dtype=complex` for complex values.
pub(super) fn csv(a: &ArrayRef<'_>) -> Result<Vec<u8>, Error> {
    let columns = match *a.shape {
        [] | [_] => 1,
        [_, columns] => columns,
        _ => {
            let advice = format!("select fewer axes, for example {}, or use npy, json or tiff", selection(a.shape, 2));
            let holds = "at most two axes";
            return Err(Error::Axes { format: Format::Csv, holds, shape: tuple(a.shape), advice });
        }
    };
    if a.data.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = String::with_capacity(a.data.len() * 2);
    for (i, value) in a.values().enumerate() {
        if i > 0 {
            out.push(if i % columns == 0 { '\n' } else { ',' });
        }
        match value {
            Value::Whole(v) => out.push_str(&v.to_string()),
            Value::Signed(v) => out.push_str(&v.to_string()),
            Value::Single(v) => out.push_str(&float(v)),
            Value::Double(v) => out.push_str(&float(v)),
            Value::Complex(re, im) => {
                let (re, im) = (float(re), float(im));
                let sign = if im.starts_with('-') { "" } else { "+" };
                out.push_str(&format!("{re}{sign}{im}j"));
            }
        }
    }
    out.push('\n');
    Ok(out.into_bytes())
}

/// `{"shape": [..], "dtype": "..", "data": ..}` with one list per axis. A complex value is `[re, im]`. NaN and ±∞, which JSON cannot
/// express, are `null`.
pub(super) fn json(a: &ArrayRef<'_>) -> Vec<u8> {
    let shape: Vec<String> = a.shape.iter().map(ToString::to_string).collect();
    let mut out = String::with_capacity(a.data.len() * 2 + 64);
    out.push_str(&format!(r#"{{"shape":[{}],"dtype":"{}","data":"#, shape.join(","), a.element));
    list(&mut out, a.shape, &mut a.values());
    out.push('}');
    out.into_bytes()
}

fn list(out: &mut String, shape: &[usize], values: &mut impl Iterator<Item = Value>) {
    let Some((&length, inner)) = shape.split_first() else {
        out.push_str(&values.next().map_or_else(|| "null".to_owned(), json_value));
        return;
    };
    out.push('[');
    for i in 0..length {
        if i > 0 {
            out.push(',');
        }
        list(out, inner, values);
    }
    out.push(']');
}

fn json_value(value: Value) -> String {
    let number = |v: f32| if v.is_finite() { float(v) } else { "null".to_owned() };
    match value {
        Value::Whole(v) => v.to_string(),
        Value::Signed(v) => v.to_string(),
        Value::Single(v) => number(v),
        Value::Double(v) if v.is_finite() => float(v),
        Value::Double(_) => "null".to_owned(),
        Value::Complex(re, im) => format!("[{},{}]", number(re), number(im)),
    }
}

/// The shortest text that parses to the same float: `0.1`, `1e16`, `-0.0`, `NaN`, `inf`.
fn float(v: impl std::fmt::Debug) -> String {
    // `Display` writes 1e38 with 39 digits, `Debug` with an exponent.
    format!("{v:?}")
}

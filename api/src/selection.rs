//! NumPy's basic slicing: parses `power[:, 500, ::2]` into starts, steps and counts.
//! <https://numpy.org/doc/stable/user/basics.indexing.html#slicing-and-striding>

use thiserror::Error;

/// Why a selection is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message documents each variant")]
pub enum Error {
    #[error("'{0}' is not a selection; write an array's name and NumPy's slicing, as in power[:,500,500]")]
    Syntax(String),
    #[error("'{item}' in '{text}' is not an index, a slice a:b:c or '...'")]
    Item { text: String, item: String },
    #[error("'{0}' has more than one '...'")]
    Ellipses(String),
    #[error("the step of a slice cannot be 0")]
    ZeroStep,
    #[error("{given} indices for an array of {axes} axes")]
    TooMany { given: usize, axes: usize },
    #[error("index {index} is out of bounds for axis {axis} with size {size}")]
    OutOfBounds { index: i64, axis: usize, size: usize },
}

/// One comma-separated item of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// `5`, `-1`: one position. The result does not have the axis.
    Index(i64),
    /// `a:b:c`: start, stop and step. The result has the axis.
    Slice(Option<i64>, Option<i64>, Option<i64>),
    /// `...`: all axes that no other item selects.
    Ellipsis,
}

/// An array's name and the items between the brackets. No items select the whole array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Name of the array.
    pub array: String,
    /// The items, in order.
    pub items: Vec<Item>,
}

impl Selection {
    /// Parses `name` or `name[items]`.
    ///
    /// # Errors
    /// If the text has another form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        let (array, items) = match trimmed.split_once('[') {
            None => (trimmed, Vec::new()),
            Some((array, rest)) => {
                let inner = rest.strip_suffix(']').ok_or_else(|| Error::Syntax(text.to_owned()))?;
                (array.trim(), parse_items(inner)?)
            }
        };
        let named = !array.is_empty() && array.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if named { Ok(Self { array: array.to_owned(), items }) } else { Err(Error::Syntax(text.to_owned())) }
    }
}

/// Parses the items between the brackets, for example the query `sel` of a request.
///
/// # Errors
/// If an item is not an integer, a slice or an ellipsis, or the text has two ellipses.
pub fn parse_items(text: &str) -> Result<Vec<Item>, Error> {
    let list = text.trim().trim_end_matches(',');
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<Item> = list.split(',').map(|item| parse_item(text, item.trim())).collect::<Result<_, _>>()?;
    if items.iter().filter(|item| matches!(item, Item::Ellipsis)).count() > 1 {
        return Err(Error::Ellipses(text.to_owned()));
    }
    Ok(items)
}

fn parse_item(text: &str, item: &str) -> Result<Item, Error> {
    let wrong = || Error::Item { text: text.to_owned(), item: item.to_owned() };
    let number = |s: &str| s.trim().parse::<i64>().map_err(|_| wrong());
    if item == "..." {
        return Ok(Item::Ellipsis);
    }
    if !item.contains(':') {
        return number(item).map(Item::Index);
    }
    let bounds: Vec<Option<i64>> =
        item.split(':').map(|s| if s.trim().is_empty() { Ok(None) } else { number(s).map(Some) }).collect::<Result<_, _>>()?;
    match bounds[..] {
        [start, stop] => Ok(Item::Slice(start, stop, None)),
        [start, stop, step] => Ok(Item::Slice(start, stop, step)),
        _ => Err(wrong()),
    }
}

/// The selected positions along one axis: `start`, `start + step`, …, `count` positions in total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// First position.
    pub start: usize,
    /// Difference between consecutive positions; may be negative.
    pub step: i64,
    /// Number of positions.
    pub count: usize,
    /// Whether the result has the axis.
    pub kept: bool,
}

impl Axis {
    /// All positions of an axis of length `size`.
    pub const fn whole(size: usize) -> Self {
        Self { start: 0, step: 1, count: size, kept: true }
    }

    /// The position with number `i`, from 0.
    pub const fn at(&self, i: usize) -> usize {
        (self.start as i64 + i as i64 * self.step) as usize
    }

    /// The same positions in ascending order, and whether the order is reversed.
    pub const fn ascending(self) -> (Self, bool) {
        if self.step.is_negative() && self.count > 0 {
            (Self { start: self.at(self.count - 1), step: -self.step, ..self }, true)
        } else {
            (self, false)
        }
    }
}

/// Applies the items of a selection to a shape with the rules of NumPy. The result has one [`Axis`] for each number of `shape`.
///
/// # Errors
/// If an index is out of bounds, the shape has fewer axes than items, or a step is 0.
pub fn resolve(items: &[Item], shape: &[usize]) -> Result<Vec<Axis>, Error> {
    let given = items.iter().filter(|item| !matches!(item, Item::Ellipsis)).count();
    if given > shape.len() {
        return Err(Error::TooMany { given, axes: shape.len() });
    }
    let mut axes = Vec::with_capacity(shape.len());
    for item in items {
        match *item {
            Item::Ellipsis => (0..shape.len() - given).for_each(|_| axes.push(Axis::whole(shape[axes.len()]))),
            Item::Index(index) => axes.push(at_index(index, axes.len(), shape[axes.len()])?),
            Item::Slice(start, stop, step) => axes.push(slice(start, stop, step, shape[axes.len()])?),
        }
    }
    while axes.len() < shape.len() {
        axes.push(Axis::whole(shape[axes.len()]));
    }
    Ok(axes)
}

/// The shape of the selection.
pub fn shape(axes: &[Axis]) -> Vec<usize> {
    axes.iter().filter(|axis| axis.kept).map(|axis| axis.count).collect()
}

fn at_index(index: i64, axis: usize, size: usize) -> Result<Axis, Error> {
    let position = if index < 0 { index.saturating_add(size as i64) } else { index };
    if (0..size as i64).contains(&position) {
        Ok(Axis { start: position as usize, step: 1, count: 1, kept: false })
    } else {
        Err(Error::OutOfBounds { index, axis, size })
    }
}

/// The rules of Python's `slice.indices`: negative bounds count from the end, and bounds are clamped.
/// <https://docs.python.org/3/reference/datamodel.html#slice.indices>
fn slice(start: Option<i64>, stop: Option<i64>, step: Option<i64>, size: usize) -> Result<Axis, Error> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::ZeroStep);
    }
    let size = size as i64;
    // A step as long as the axis selects one position. The clamp prevents an overflow near 2^63.
    let longest = size.max(1);
    let step = step.clamp(-longest, longest);
    let forward = step.is_positive();
    let (lowest, highest) = if forward { (0, size) } else { (-1, size - 1) };
    let bound = |b: i64| (if b < 0 { b.saturating_add(size) } else { b }).clamp(lowest, highest);
    let start = start.map_or(if forward { lowest } else { highest }, bound);
    let stop = stop.map_or(if forward { highest } else { lowest }, bound);
    let span = if forward { stop - start } else { start - stop };
    let count = if span <= 0 { 0 } else { (span - 1) / step.saturating_abs() + 1 };
    let start = if count == 0 { 0 } else { start as usize };
    Ok(Axis { start, step, count: count as usize, kept: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is `list(range(size)[item])` in Python.
    fn check(item: &str, size: usize, expected: &[usize]) {
        let axes = resolve(&parse_items(item).unwrap(), &[size]).unwrap();
        let selected: Vec<usize> = (0..axes[0].count).map(|i| axes[0].at(i)).collect();
        assert_eq!(selected, expected, "{item} of {size}");
        let (up, is_reversed) = axes[0].ascending();
        let mut again: Vec<usize> = (0..up.count).map(|i| up.at(i)).collect();
        assert!(again.is_sorted(), "{item} of {size}: {again:?} is not ascending");
        if is_reversed {
            again.reverse();
        }
        assert_eq!(again, expected, "{item} of {size}, ascending");
    }

    #[test]
    fn slices_select_the_positions_of_numpy() {
        check(":", 4, &[0, 1, 2, 3]);
        check("1:3", 4, &[1, 2]);
        check("::2", 5, &[0, 2, 4]);
        check("::-1", 4, &[3, 2, 1, 0]);
        check("::-3", 5, &[4, 1]);
        check("0:3", 5, &[0, 1, 2]);
        check(":0", 5, &[]);
        check("3:0:-1", 5, &[3, 2, 1]);
        check("0::-1", 5, &[0]);
        check("::5", 5, &[0]);
        check("::4", 5, &[0, 4]);
        check("::-5", 5, &[4]);
        check("::-4", 5, &[4, 0]);
        check("::-9223372036854775808", 3, &[2]);
        check("1::9223372036854775807", 3, &[1]);
        check("-2:", 5, &[3, 4]);
        check(":-2", 5, &[0, 1, 2]);
        check("10:", 5, &[]);
        check("3:1", 5, &[]);
        check("1:3:-1", 5, &[]);
        check("::-1", 0, &[]);
        check("-100:100", 3, &[0, 1, 2]);
        check("4:1:-2", 5, &[4, 2]);
        check("2", 5, &[2]);
        check("-1", 5, &[4]);
        check("9223372036854775807:", 5, &[]);
        check(":-9223372036854775808:-1", 3, &[2, 1, 0]);
    }

    #[test]
    fn indices_remove_axes_and_slices_keep_them() {
        let of = |text: &str, shape: &[usize]| {
            let selection = Selection::parse(text).unwrap();
            super::shape(&resolve(&selection.items, shape).unwrap())
        };
        assert_eq!(of("power[:,5,5]", &[10, 8, 8]), [10]);
        assert_eq!(of("power", &[10, 8, 8]), [10, 8, 8]);
        assert_eq!(of("power[3]", &[10, 8, 8]), [8, 8]);
        assert_eq!(of("power[...,0]", &[10, 8, 8]), [10, 8]);
        assert_eq!(of("power[1,...,2:4]", &[10, 8, 9]), [8, 2]);
        assert_eq!(of("power[1,2,3]", &[10, 8, 9]), Vec::<usize>::new());
        assert_eq!(of("power[1,2,3,...]", &[10, 8, 9]), Vec::<usize>::new());
    }

    #[test]
    fn selections_that_numpy_refuses_are_refused() {
        assert!(matches!(Selection::parse("power[:"), Err(Error::Syntax(_))));
        assert!(matches!(Selection::parse(""), Err(Error::Syntax(_))));
        assert!(matches!(Selection::parse("../x[0]"), Err(Error::Syntax(_))));
        assert!(matches!(parse_items("a"), Err(Error::Item { .. })));
        assert!(matches!(parse_items("1:2:3:4"), Err(Error::Item { .. })));
        assert!(matches!(parse_items("...,..."), Err(Error::Ellipses(_))));
        assert_eq!(resolve(&[Item::Index(5)], &[5]), Err(Error::OutOfBounds { index: 5, axis: 0, size: 5 }));
        assert_eq!(resolve(&[Item::Index(0); 2], &[5]), Err(Error::TooMany { given: 2, axes: 1 }));
        assert_eq!(resolve(&[Item::Slice(None, None, Some(0))], &[5]), Err(Error::ZeroStep));
    }
}

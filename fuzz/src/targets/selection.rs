//! NumPy's slicing: a selection is printed and parsed again, and selects the positions of Python's `range(size)[start:stop:step]`.
//!
//! Input: the number of axes, the size of each axis, one byte each, and the selection.

use api::selection::{Axis, Error, Item, Selection, parse_items, resolve, shape};

pub(super) fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let axes = usize::from(first % 4).min(rest.len());
    let (sizes, text) = rest.split_at(axes);
    let sizes: Vec<usize> = sizes.iter().map(|&size| usize::from(size % 40)).collect();
    let Ok(text) = str::from_utf8(text) else { return };
    let _ = parse_items(text).map(|items| check(&items, &sizes));
    let Ok(selection) = Selection::parse(text) else { return };
    assert_eq!(Selection::parse(&print(&selection)), Ok(selection.clone()), "{text}");
    check(&selection.items, &sizes);
}

fn print(selection: &Selection) -> String {
    let bound = |bound: Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let item = |item: &Item| match *item {
        Item::Index(index) => index.to_string(),
        Item::Slice(start, stop, step) => format!("{}:{}:{}", bound(start), bound(stop), bound(step)),
        Item::Ellipsis => "...".into(),
    };
    let items: Vec<String> = selection.items.iter().map(item).collect();
    format!("{}[{}]", selection.array, items.join(","))
}

fn check(items: &[Item], sizes: &[usize]) {
    let found = resolve(items, sizes);
    let expected = model(items, sizes);
    match (&found, &expected) {
        (Ok(axes), Some(expected)) => {
            let positions = |axis: &Axis| (0..axis.count).map(|i| axis.at(i)).collect::<Vec<_>>();
            let found: Vec<(Vec<usize>, bool)> = axes.iter().map(|axis| (positions(axis), axis.kept)).collect();
            assert_eq!(&found, expected, "{items:?} of {sizes:?}");
            let kept: Vec<usize> = expected.iter().filter(|(_, kept)| *kept).map(|(positions, _)| positions.len()).collect();
            assert_eq!(shape(axes), kept);
            for axis in axes {
                let (up, is_reversed) = axis.ascending();
                let mut again = positions(&up);
                assert!(again.is_sorted(), "{axis:?}");
                if is_reversed {
                    again.reverse();
                }
                assert_eq!(again, positions(axis));
            }
        }
        (Err(Error::TooMany { .. } | Error::OutOfBounds { .. } | Error::ZeroStep), None) => {}
        _ => panic!("{items:?} of {sizes:?}: {found:?}, expected {expected:?}"),
    }
}

/// The positions along each axis, and whether the result has the axis; `None` if NumPy refuses the items.
fn model(items: &[Item], sizes: &[usize]) -> Option<Vec<(Vec<usize>, bool)>> {
    let given = items.iter().filter(|item| **item != Item::Ellipsis).count();
    let free = sizes.len().checked_sub(given)?;
    let whole = std::iter::repeat_n(Item::Slice(None, None, None), free);
    let mut full: Vec<Item> = Vec::new();
    match items.iter().position(|item| *item == Item::Ellipsis) {
        Some(at) => full.extend(items[..at].iter().copied().chain(whole).chain(items[at + 1..].iter().copied())),
        None => full.extend(items.iter().copied().chain(whole)),
    }
    full.iter().zip(sizes).map(|(item, &size)| axis(*item, size as i128)).collect()
}

/// The definition in words: a position counts from the end if it is negative; a slice visits start, start + step, … while the position is
/// before the stop and within the axis.
fn axis(item: Item, size: i128) -> Option<(Vec<usize>, bool)> {
    let from_end = |at: i64| if at < 0 { i128::from(at) + size } else { i128::from(at) };
    match item {
        Item::Index(index) => (0..size).contains(&from_end(index)).then(|| (vec![from_end(index) as usize], false)),
        Item::Slice(start, stop, step) => {
            let step = i128::from(step.unwrap_or(1));
            let is_up = match step {
                0 => return None,
                step => step > 0,
            };
            let start = start.map_or(if is_up { 0 } else { size - 1 }, from_end);
            // A start outside of the axis is moved to the first position that the direction reaches.
            let start = if is_up { start.max(0) } else { start.min(size - 1) };
            let stop = stop.map_or(if is_up { size } else { -1 }, from_end);
            let inside = |at: i128| (0..size).contains(&at) && if is_up { at < stop } else { at > stop };
            let positions = std::iter::successors(Some(start), |at| Some(at + step)).take_while(|&at| inside(at));
            Some((positions.map(|at| at as usize).collect(), true))
        }
        Item::Ellipsis => None,
    }
}

//! Selects and pads elements of arrays in memory, with any number of axes. Pure functions.

use api::selection::Axis;

/// The elements at `axes` of `data`, which has `shape` in C order. `item` is the size of an element in bytes. The result is in C order.
pub(crate) fn take(data: &[u8], item: usize, shape: &[usize], axes: &[Axis]) -> Vec<u8> {
    let Some((axis, rest)) = axes.split_first() else { return data.to_vec() };
    let inner = shape[1..].iter().product::<usize>() * item;
    let mut selected = Vec::new();
    for i in 0..axis.count {
        let part = &data[axis.at(i) * inner..][..inner];
        if rest.is_empty() { selected.extend_from_slice(part) } else { selected.extend(take(part, item, &shape[1..], rest)) }
    }
    selected
}

/// `data`, of shape `counts`, padded at the end of each axis with zeros to `shape`. Both are in C order.
pub(crate) fn put(data: &[u8], item: usize, counts: &[usize], shape: &[usize]) -> Vec<u8> {
    let mut whole = vec![0; shape.iter().product::<usize>() * item];
    put_into(&mut whole, data, item, counts, shape);
    whole
}

fn put_into(to: &mut [u8], data: &[u8], item: usize, counts: &[usize], shape: &[usize]) {
    let (Some((_, counts)), Some((_, shape))) = (counts.split_first(), shape.split_first()) else {
        return to[..data.len()].copy_from_slice(data);
    };
    let inner = |sizes: &[usize]| (sizes.iter().product::<usize>() * item).max(1);
    for (to, data) in to.chunks_exact_mut(inner(shape)).zip(data.chunks_exact(inner(counts))) {
        put_into(to, data, item, counts, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::selection::{parse_items, resolve};

    #[test]
    fn elements_are_in_numpys_order() {
        let data: Vec<u8> = (0..12).collect();
        let of = |text: &str| take(&data, 1, &[3, 4], &resolve(&parse_items(text).unwrap(), &[3, 4]).unwrap());
        assert_eq!(of("1"), [4, 5, 6, 7]);
        assert_eq!(of(":,1"), [1, 5, 9]);
        assert_eq!(of("::-1,::3"), [8, 11, 4, 7, 0, 3]);
        assert!(of("5:").is_empty());
        assert_eq!(take(&data, 4, &[3], &[Axis { start: 2, step: -1, count: 2, kept: true }]), [8, 9, 10, 11, 4, 5, 6, 7]);
        assert_eq!(take(&data[..4], 4, &[], &[]), [0, 1, 2, 3]);
    }

    #[test]
    fn padding_is_at_the_end_of_each_axis() {
        assert_eq!(put(&[1, 2, 3, 4], 1, &[2, 2], &[3, 3]), [1, 2, 0, 3, 4, 0, 0, 0, 0]);
        assert_eq!(put(&[1, 2, 3, 4], 2, &[1, 2, 1], &[1, 2, 2]), [1, 2, 0, 0, 3, 4, 0, 0]);
        assert_eq!(put(&[1, 2], 2, &[1], &[3]), [1, 2, 0, 0, 0, 0]);
        assert_eq!(put(&[7], 1, &[], &[]), [7]);
    }
}

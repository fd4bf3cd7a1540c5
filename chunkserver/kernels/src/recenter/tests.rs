use super::*;
use ndarray::{Array2, ArrayView2, s};
use proptest::prelude::*;

/// The definition: Σi·v, Σj·v and Σv over the pixels that have weight.
fn naive(frame: &Array2<f64>, threshold: Option<f64>) -> [f64; 3] {
    let weights = frame.mapv(|v| if threshold.is_none_or(|threshold| v >= threshold) { v } else { 0.0 });
    let moment = |axis: usize| weights.indexed_iter().map(|((y, x), v)| [y, x][axis] as f64 * v).sum();
    [moment(0), moment(1), weights.sum()]
}

fn check(height: usize, width: usize, dtype: Dtype, seed: u64, threshold: Option<f64>) {
    let spec = FrameSpec { height, width, dtype };
    let mut state = seed | 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for _ in 0..spec.pixels() {
        match dtype {
            Dtype::Uint8 => {
                let v = random() as u8;
                bytes.push(v);
                values.push(f64::from(v));
            }
            Dtype::Uint16 => {
                let v = random() as u16;
                bytes.extend(v.to_le_bytes());
                values.push(f64::from(v));
            }
            Dtype::Float32 => {
                let v = (random() as f32) * 1e-6;
                bytes.extend(v.to_le_bytes());
                values.push(f64::from(v));
            }
        }
    }
    let [y, x, total] = naive(&Array2::from_shape_vec((height, width), values).unwrap(), threshold);
    let found = centroid(&bytes, spec, threshold, &mut Scratch::default());
    let expected = if total > 0.0 { [y / total, x / total] } else { [0.0; 2] };
    if dtype == Dtype::Float32 {
        assert!((found.y - expected[0]).abs() < 1e-9 && (found.x - expected[1]).abs() < 1e-9, "{found:?} {expected:?}");
    } else {
        assert_eq!(([found.y, found.x], found.total), (expected, Total::Whole(total as u64)), "{spec}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn centroids_match_the_definition(height in 1usize..40, width in 1usize..200, seed: u64, threshold in proptest::option::of(-10.0f64..400.0)) {
        for dtype in [Dtype::Uint8, Dtype::Uint16, Dtype::Float32] {
            check(height, width, dtype, seed, threshold);
        }
    }
}

#[test]
fn narrow_sums_do_not_overflow() {
    // White frames with more rows and more columns than a narrow sum holds.
    for (height, width) in [(700, 3), (3, 40_000), (513, 129)] {
        for dtype in [Dtype::Uint8, Dtype::Uint16] {
            let spec = FrameSpec { height, width, dtype };
            let found = centroid(&vec![255; spec.bytes()], spec, None, &mut Scratch::default());
            assert_eq!([found.y, found.x], [(height - 1) as f64 / 2.0, (width - 1) as f64 / 2.0]);
        }
    }
}

#[test]
fn a_black_frame_has_its_centroid_at_the_origin() {
    for dtype in [Dtype::Uint8, Dtype::Uint16, Dtype::Float32] {
        let spec = FrameSpec { height: 20, width: 30, dtype };
        let found = centroid(&vec![0; spec.bytes()], spec, None, &mut Scratch::default());
        assert_eq!([found.y, found.x], [0.0, 0.0]);
        assert_eq!(corner([found.y, found.x], [2000, 2000], [1000, 1000]), [0, 0]);
    }
}

#[test]
fn a_threshold_above_or_below_all_pixels() {
    let spec = FrameSpec { height: 3, width: 5, dtype: Dtype::Uint8 };
    let heavy = |threshold| centroid(&[255; 15], spec, Some(threshold), &mut Scratch::default()).total;
    assert_eq!(heavy(255.0), Total::Whole(255 * 15));
    assert_eq!(heavy(255.1), Total::Whole(0));
    assert_eq!(heavy(f64::INFINITY), Total::Whole(0));
    assert_eq!(heavy(f64::NEG_INFINITY), Total::Whole(255 * 15));
}

#[test]
fn a_corner_is_the_centroid_minus_half_the_crop_within_the_frame() {
    // clamp(c, 500, 1500) - 500 for crops of 1000 from 2000.
    for (centroid, expected) in
        [(0.0, 0), (499.9, 0), (500.99, 0), (501.0, 1), (999.7, 499), (1500.0, 1000), (1999.0, 1000), (f64::NAN, 0), (-3.5, 0)]
    {
        assert_eq!(corner([centroid; 2], [2000; 2], [1000; 2]), [expected; 2], "{centroid}");
    }
    assert_eq!(corner([4.0, 4.0], [9, 9], [3, 5]), [3, 2]);
}

#[test]
fn a_crop_is_a_slice_of_the_frame() {
    let spec = FrameSpec { height: 4, width: 5, dtype: Dtype::Uint16 };
    let values: Vec<u16> = (0..20).collect();
    let frame: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut out = vec![0; 12];
    crop_into(&frame, spec, [1, 2], [2, 3], &mut out);
    let values = ArrayView2::from_shape((4, 5), &values).unwrap();
    assert_eq!(out, values.slice(s![1..3, 2..5]).iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
}

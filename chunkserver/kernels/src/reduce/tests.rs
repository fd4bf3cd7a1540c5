use super::*;
use api::geometry::{Dtype, Element};
use ndarray::{Array2, ArrayView1};
use proptest::prelude::*;

const ALL: [Reduction; 6] = [Reduction::Mean, Reduction::Sum, Reduction::Std, Reduction::Var, Reduction::Min, Reduction::Max];
const DTYPES: [Dtype; 3] = [Dtype::Uint8, Dtype::Uint16, Dtype::Float32];

/// Frames of noise, and their values (t, pixel).
fn frames(dtype: Dtype, count: usize, pixels: usize, seed: u64) -> (Vec<Vec<u8>>, Array2<f64>) {
    let mut state = seed | 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut bytes = vec![Vec::new(); count];
    let values = Array2::from_shape_fn((count, pixels), |(t, _)| {
        let value = random();
        match dtype {
            Dtype::Uint8 => {
                bytes[t].push(value as u8);
                f64::from(value as u8)
            }
            Dtype::Uint16 => {
                bytes[t].extend((value as u16).to_le_bytes());
                f64::from(value as u16)
            }
            Dtype::Float32 => {
                let value = value as f32 * 1e-3 - 1e6;
                bytes[t].extend(value.to_le_bytes());
                f64::from(value)
            }
        }
    });
    (bytes, values)
}

/// The definition. The variance follows Welford, <https://doi.org/10.1080/00401706.1962.10490022>.
fn naive(op: Reduction, values: ArrayView1<'_, f64>) -> f64 {
    match op {
        Reduction::Mean => values.mean().unwrap(),
        Reduction::Sum => values.sum(),
        Reduction::Var => values.var(0.0),
        Reduction::Std => values.std(0.0),
        Reduction::Min => values.fold(f64::INFINITY, |least, v| least.min(*v)),
        Reduction::Max => values.fold(f64::NEG_INFINITY, |most, v| most.max(*v)),
    }
}

fn numbers(element: Element, bytes: &[u8]) -> Vec<f64> {
    bytes
        .chunks_exact(element.size())
        .map(|b| match element {
            Element::Uint8 => f64::from(b[0]),
            Element::Uint16 => f64::from(u16::from_le_bytes(b.try_into().unwrap())),
            Element::Uint64 => u64::from_le_bytes(b.try_into().unwrap()) as f64,
            Element::Float32 => f64::from(f32::from_le_bytes(b.try_into().unwrap())),
            Element::Float64 => f64::from_le_bytes(b.try_into().unwrap()),
            Element::Int32 | Element::Complex64 => unreachable!(),
        })
        .collect()
}

#[track_caller]
fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-10 * expected.abs().max(1e-300), "{what}: {found} for {expected}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn reductions_match_the_definitions(count in 1usize..30, pixels in 1usize..150, seed: u64, cut_at in 0usize..30) {
        for dtype in DTYPES {
            let (bytes, values) = frames(dtype, count, pixels, seed);
            let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
            let mut whole = FrameSums::new(dtype, pixels, Ops::of(&ALL));
            whole.add(&bytes);
            // The same frames on two servers. One sends its sums.
            let (left, right) = bytes.split_at(cut_at.min(count));
            let mut parts = [left, right].map(|frames| {
                let mut sums = FrameSums::new(dtype, pixels, Ops::of(&ALL));
                frames.iter().for_each(|frame| sums.add(&[frame]));
                sums
            });
            let received = FrameSums::from_bytes(&parts[0].to_bytes()).unwrap();
            prop_assert_eq!(&received, &parts[0]);
            parts[1].merge(&received);
            for op in ALL {
                let (element, found) = whole.finish(op);
                prop_assert_eq!(&parts[1].finish(op), &(element, found.clone()), "{:?} of {:?} depends on the order", op, dtype);
                for (i, found) in numbers(element, &found).into_iter().enumerate() {
                    near(found, naive(op, values.column(i)), "frame");
                }
                let mut trace = Vec::new();
                for frame in &bytes {
                    let stat = FrameStat::of(dtype, frame, Ops::of(&[op]));
                    prop_assert_eq!(FrameStat::from_bytes(&stat.to_bytes()).unwrap(), stat);
                    stat.finish(op, &mut trace);
                }
                for (found, values) in numbers(FrameStat::element(dtype, op), &trace).into_iter().zip(values.rows()) {
                    near(found, naive(op, values), "trace");
                }
            }
        }
    }
}

#[test]
fn sums_outgrow_32_bits_without_wrapping() {
    let white = [255_u8; 6];
    let frames = vec![&white[..]; 8];
    let ops = Ops::of(&[Reduction::Var]);
    let mut wide = FrameSums::new(Dtype::Uint16, 3, ops);
    let mut bytes = FrameSums::new(Dtype::Uint8, 6, ops);
    for _ in 0..10_000 {
        wide.add(&frames);
        bytes.add(&frames);
    }
    wide.add(&frames[..3]);
    for sums in [&mut wide, &mut bytes] {
        let same = sums.clone();
        sums.merge(&same);
        assert_eq!(FrameSums::from_bytes(&sums.to_bytes()).unwrap(), *sums);
    }
    assert_eq!(numbers(Element::Uint64, &wide.finish(Reduction::Sum).1), [65_535.0 * 160_006.0; 3]);
    assert_eq!(numbers(Element::Uint64, &bytes.finish(Reduction::Sum).1), [255.0 * 160_000.0; 6]);
    assert_eq!(numbers(Element::Float64, &wide.finish(Reduction::Var).1), [0.0; 3]);
    assert_eq!(numbers(Element::Float64, &bytes.finish(Reduction::Var).1), [0.0; 6]);
}

#[test]
fn nan_and_infinity_propagate_as_in_numpy() {
    let frame: Vec<u8> = [1.0, f32::NAN, f32::INFINITY].iter().flat_map(|v| v.to_le_bytes()).collect();
    let other: Vec<u8> = [2.0, 3.0, 4.0_f32].iter().flat_map(|v| v.to_le_bytes()).collect();
    for order in [[&frame[..], &other], [&other, &frame]] {
        let mut sums = FrameSums::new(Dtype::Float32, 3, Ops::of(&ALL));
        sums.add(&order);
        let of = |op| {
            let (element, bytes) = sums.finish(op);
            numbers(element, &bytes)
        };
        assert_eq!((of(Reduction::Sum)[0], of(Reduction::Sum)[2]), (3.0, f64::INFINITY));
        assert_eq!((of(Reduction::Min)[2], of(Reduction::Max)[2]), (4.0, f64::INFINITY));
        for op in ALL {
            assert!(of(op)[1].is_nan(), "{op:?}");
        }
        assert!(of(Reduction::Var)[2].is_nan());
    }
    let stat = FrameStat::of(Dtype::Float32, &frame, Ops::of(&ALL));
    for op in ALL {
        let mut trace = Vec::new();
        stat.finish(op, &mut trace);
        assert!(numbers(FrameStat::element(Dtype::Float32, op), &trace)[0].is_nan(), "{op:?}");
    }
}

#[test]
fn the_variance_is_exact_below_a_much_larger_mean() {
    let frames: Vec<Vec<u8>> = (0..1000).map(|t| (16_000_000.0_f32 + (t % 2) as f32).to_le_bytes().to_vec()).collect();
    let mut sums = FrameSums::new(Dtype::Float32, 1, Ops::of(&[Reduction::Var]));
    sums.add(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    near(numbers(Element::Float64, &sums.finish(Reduction::Var).1)[0], 0.25, "var");
}

#[test]
fn malformed_messages_are_refused() {
    let good = FrameSums::new(Dtype::Uint8, 10, Ops::of(&ALL)).to_bytes();
    for end in 0..good.len() {
        assert_eq!(FrameSums::from_bytes(&good[..end]), Err(Malformed));
    }
    let mut huge = good.clone();
    huge[2..10].fill(0xff);
    assert_eq!(FrameSums::from_bytes(&huge), Err(Malformed));
    assert_eq!(FrameStat::from_bytes(&good), Err(Malformed));
}

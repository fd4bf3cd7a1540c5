use super::*;
use crate::reduce::Ops;
use api::geometry::Element;
use api::job::Reduction;
use ndarray::{Array2, ArrayView1};

const DTYPES: [Dtype; 3] = [Dtype::Uint8, Dtype::Uint16, Dtype::Float32];
const OUTPUTS: [FftOutput; 3] = [FftOutput::Power, FftOutput::Amplitude, FftOutput::Complex];
const WINDOWS: [Window; 2] = [Window::None, Window::Hann];
const DETRENDS: [Detrend; 3] = [Detrend::None, Detrend::Constant, Detrend::Linear];

/// A movie of `pixels` pixels, frame after frame. Each pixel has its own level, drift, tone and noise.
struct Movie {
    bytes: Vec<u8>,
    /// (t, pixel)
    values: Array2<f64>,
    stride: usize,
}

fn movie(frames: usize, pixels: usize, dtype: Dtype) -> Movie {
    let mut state = (frames * 31 + pixels) as u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let mut bytes = Vec::new();
    let values = Array2::from_shape_fn((frames, pixels), |(t, pixel)| {
        let tone = (t as f64 * (0.1 + 0.03 * pixel as f64)).sin();
        let unit = 0.1 * (pixel % 7) as f64 + 0.1 * t as f64 / frames as f64 + 0.05 * tone + 0.1 * noise();
        match dtype {
            Dtype::Uint8 => {
                bytes.push((unit * 255.0) as u8);
                f64::from((unit * 255.0) as u8)
            }
            Dtype::Uint16 => {
                bytes.extend(((unit * 65535.0) as u16).to_le_bytes());
                f64::from((unit * 65535.0) as u16)
            }
            Dtype::Float32 => {
                bytes.extend((unit as f32 - 0.3).to_le_bytes());
                f64::from(unit as f32 - 0.3)
            }
        }
    });
    Movie { bytes, values, stride: pixels * dtype.size() }
}

impl Movie {
    /// The band from `first` on, cut into segments at the given frames.
    fn segments(&self, first: usize, dtype: Dtype, cuts: &[usize]) -> Vec<Segment<'_>> {
        let frames = self.bytes.len() / self.stride;
        let ends = cuts.iter().copied().filter(|cut| *cut < frames).chain([frames]);
        let mut start = 0;
        ends.map(|end| {
            let segment = Segment {
                bytes: &self.bytes[start * self.stride + first * dtype.size()..end * self.stride],
                frames: end - start,
                stride: self.stride,
            };
            start = end;
            segment
        })
        .collect()
    }
}

/// The definition: scipy.signal.detrend, scipy.signal.get_window, numpy.fft.fft, in float64.
fn naive(values: ArrayView1<'_, f64>, window: Window, detrend: Detrend) -> Vec<[f64; 2]> {
    let n = values.len() as f64;
    let mean = values.sum() / n;
    let middle = (n - 1.0) / 2.0;
    let times = || (0..values.len()).map(|t| t as f64 - middle);
    let spread: f64 = times().map(|t| t * t).sum();
    let slope = if spread > 0.0 { values.iter().zip(times()).map(|(v, t)| v * t).sum::<f64>() / spread } else { 0.0 };
    let weighed: Vec<f64> = values
        .iter()
        .zip(times())
        .map(|(v, t)| match detrend {
            Detrend::None => *v,
            Detrend::Constant => v - mean,
            Detrend::Linear => v - mean - slope * t,
        })
        .enumerate()
        .map(|(t, v)| match window {
            Window::Hann if n > 1.0 => v * (0.5 - 0.5 * (TAU * t as f64 / n).cos()),
            Window::Hann | Window::None => v,
        })
        .collect();
    let roots: Vec<(f64, f64)> = (0..values.len()).map(|k| (TAU * k as f64 / n).sin_cos()).collect();
    let bin = |k: usize| {
        weighed.iter().enumerate().fold([0.0; 2], |[re, im], (t, v)| {
            let (sin, cos) = roots[k * t % values.len()];
            [re + v * cos, im - v * sin]
        })
    };
    (0..=values.len() / 2).map(bin).collect()
}

#[track_caller]
fn check(frames: usize, dtype: Dtype, window: Window, detrend: Detrend, output: FftOutput) {
    let pixels = if frames > 30 { 19 } else { 70 };
    let movie = movie(frames, pixels, dtype);
    let spectrum = Spectrum::new(frames, dtype, window, detrend, output);
    let mut out = vec![f32::NAN; pixels * spectrum.row()];
    spectrum.band(&movie.segments(0, dtype, &[]), pixels, &mut out, &mut spectrum.scratch(), None);
    let what = format!("{frames} frames of {dtype}, {window:?}, {detrend:?}, {output:?}");
    for (pixel, (row, values)) in out.chunks_exact(spectrum.row()).zip(movie.values.columns()).enumerate() {
        let expected = naive(values, window, detrend);
        let power = |[re, im]: [f64; 2]| re * re + im * im;
        let strongest = expected[1..].iter().copied().map(power).fold(0.0, f64::max);
        let largest = values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
        // Where all values cancel, float32 leaves about 1e-7 of them.
        let floor = (1e-6 * largest).powi(2) * frames as f64;
        for (bin, expected) in expected.iter().enumerate() {
            let found = match output {
                FftOutput::Power => f64::from(row[bin]),
                FftOutput::Amplitude => f64::from(row[bin]).powi(2),
                FftOutput::Complex => power([f64::from(row[2 * bin]), f64::from(row[2 * bin + 1])]),
            };
            let expected_power = power(*expected);
            if expected_power > (1e-6 * strongest).max(floor * 1e4) {
                assert!(
                    (found - expected_power).abs() < 1e-4 * expected_power,
                    "{what}: pixel {pixel}, bin {bin}: {found} for {expected_power}"
                );
            } else {
                assert!(
                    (found - expected_power).abs() <= 1e-7 * strongest + 1e2 * floor,
                    "{what}: pixel {pixel}, bin {bin}: {found} for {expected_power}, near zero"
                );
            }
            if output == FftOutput::Complex {
                let error = power([f64::from(row[2 * bin]) - expected[0], f64::from(row[2 * bin + 1]) - expected[1]]);
                assert!(error <= 1e-9 * expected_power + 1e-10 * strongest + floor, "{what}: pixel {pixel}, bin {bin}: off by {error}");
            }
        }
    }
}

#[test]
fn spectra_match_scipy_and_numpy() {
    for frames in [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 24, 25, 45, 50, 60, 97, 100, 125, 128, 240] {
        for dtype in DTYPES {
            for window in WINDOWS {
                for detrend in DETRENDS {
                    for output in OUTPUTS {
                        check(frames, dtype, window, detrend, output);
                    }
                }
            }
        }
    }
    for frames in [625, 997, 1000] {
        for dtype in DTYPES {
            check(frames, dtype, Window::Hann, Detrend::Linear, FftOutput::Power);
            check(frames, dtype, Window::None, Detrend::None, FftOutput::Power);
        }
    }
}

#[test]
fn the_first_bin_is_the_exact_sum() {
    for frames in [1, 2, 7, 100, 1000] {
        let movie = movie(frames, 20, Dtype::Uint16);
        let spectrum = Spectrum::new(frames, Dtype::Uint16, Window::None, Detrend::None, FftOutput::Power);
        let mut out = vec![0.0; 20 * spectrum.row()];
        spectrum.band(&movie.segments(0, Dtype::Uint16, &[]), 20, &mut out, &mut spectrum.scratch(), None);
        for (row, values) in out.chunks_exact(spectrum.row()).zip(movie.values.columns()) {
            let sum = values.sum();
            assert_eq!(row[0], (sum * sum) as f32);
        }
    }
}

#[test]
fn a_pixel_is_the_same_in_any_band_and_any_segments() {
    for (frames, dtype) in [(97, Dtype::Uint8), (100, Dtype::Uint8), (100, Dtype::Uint16), (100, Dtype::Float32), (75, Dtype::Float32)] {
        let pixels = 150;
        let movie = movie(frames, pixels, dtype);
        let spectrum = Spectrum::new(frames, dtype, Window::Hann, Detrend::Linear, FftOutput::Power);
        let mut scratch = spectrum.scratch();
        let mut whole = vec![0.0; pixels * spectrum.row()];
        spectrum.band(&movie.segments(0, dtype, &[]), pixels, &mut whole, &mut scratch, None);
        for (first, count, cuts) in [(0, 150, &[1, 20, 50][..]), (3, 64, &[]), (7, 140, &[33, 66]), (149, 1, &[99])] {
            let mut band = vec![0.0; count * spectrum.row()];
            spectrum.band(&movie.segments(first, dtype, cuts), count, &mut band, &mut scratch, None);
            assert_eq!(band, whole[first * spectrum.row()..][..band.len()], "{frames} frames of {dtype}, band at {first}");
        }
    }
}

#[test]
fn a_nan_affects_only_its_own_pixel() {
    let mut movie = movie(100, 20, Dtype::Float32);
    movie.bytes[5 * movie.stride + 12..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    for detrend in DETRENDS {
        let spectrum = Spectrum::new(100, Dtype::Float32, Window::None, detrend, FftOutput::Power);
        let mut out = vec![0.0; 20 * 51];
        spectrum.band(&movie.segments(0, Dtype::Float32, &[]), 20, &mut out, &mut spectrum.scratch(), None);
        for (pixel, row) in out.chunks_exact(51).enumerate() {
            assert!(row.iter().all(|v| v.is_nan() == (pixel == 3)), "pixel {pixel}, {detrend:?}");
        }
    }
}

#[test]
fn sums_cover_the_two_sided_spectrum_in_any_order() {
    let all = [Reduction::Mean, Reduction::Sum, Reduction::Std, Reduction::Var, Reduction::Min, Reduction::Max];
    for frames in [1, 2, 3, 97, 100] {
        let (pixels, dtype) = (150, Dtype::Uint8);
        let movie = movie(frames, pixels, dtype);
        let spectrum = Spectrum::new(frames, dtype, Window::None, Detrend::None, FftOutput::Power);
        let mut scratch = spectrum.scratch();
        let mut out = vec![0.0; pixels * spectrum.row()];
        let bands = [(0, 32), (32, 100), (132, 18)].map(|(first, count)| {
            let mut sums = BandSums::new(frames, Ops::of(&all), first);
            spectrum.band(
                &movie.segments(first, dtype, &[]),
                count,
                &mut out[first * spectrum.row()..][..count * spectrum.row()],
                &mut scratch,
                Some(&mut sums),
            );
            let received = BandSums::from_bytes(&sums.to_bytes()).unwrap();
            assert_eq!(received, sums);
            for end in 0..sums.to_bytes().len() {
                assert!(BandSums::from_bytes(&sums.to_bytes()[..end]).is_err());
            }
            received
        });
        let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0]].map(|order| {
            let mut sums = BandSums::new(frames, Ops::of(&all), 0);
            order.iter().for_each(|band| sums.merge(&bands[*band]));
            sums
        });
        let two_sided = |pixel: usize, bin: usize| f64::from(out[pixel * spectrum.row() + bin.min(frames - bin)]);
        for op in all {
            for other in &orders[1..] {
                assert_eq!(orders[0].finish_bins(op), other.finish_bins(op), "{op:?} of {frames}");
                assert_eq!(orders[0].finish_pixels(op), other.finish_pixels(op), "{op:?} of {frames}");
            }
            for (pixel, found) in numbers(orders[0].finish_pixels(op), pixels).into_iter().enumerate() {
                near(found, reduced(op, (0..frames).map(|bin| two_sided(pixel, bin))));
            }
            for (bin, found) in numbers(orders[0].finish_bins(op), frames).into_iter().enumerate() {
                near(found, reduced(op, (0..pixels).map(|pixel| two_sided(pixel, bin))));
            }
        }
    }
}

fn numbers((element, bytes): (Element, Vec<u8>), count: usize) -> Vec<f64> {
    assert_eq!(bytes.len(), count * element.size());
    let number = |bytes: &[u8]| match element {
        Element::Float32 => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
        _ => f64::from_le_bytes(bytes.try_into().unwrap()),
    };
    bytes.chunks_exact(element.size()).map(number).collect()
}

fn reduced(op: Reduction, values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let var = values.clone().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    match op {
        Reduction::Mean => mean,
        Reduction::Sum => values.sum(),
        Reduction::Var => var,
        Reduction::Std => var.sqrt(),
        Reduction::Min => values.fold(f64::INFINITY, f64::min),
        Reduction::Max => values.fold(f64::NEG_INFINITY, f64::max),
    }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} for {expected}");
}

#[test]
fn amplitudes_of_very_large_and_very_small_frames_are_scaled_amplitudes() {
    // 64 frames: the transform of lanes; 67: one series after another. Pixel 0 is constant.
    for frames in [64, 67] {
        let pixels = 19;
        let at = |scale: f32| {
            let values = (0..frames * pixels).map(|i| if i % pixels == 0 { 1.0 } else { (i as f32 * 0.7).sin() + 0.5 });
            let bytes: Vec<u8> = values.flat_map(|value| (value * scale).to_le_bytes()).collect();
            let spectrum = Spectrum::new(frames, Dtype::Float32, Window::Hann, Detrend::Constant, FftOutput::Amplitude);
            let mut out = vec![0.0; pixels * spectrum.row()];
            let segment = Segment { bytes: &bytes, frames, stride: pixels * 4 };
            spectrum.band(&[segment], pixels, &mut out, &mut spectrum.scratch(), None);
            out
        };
        let expected = at(1.0);
        for power in [-100, -90, -80, -70, -60, 60, 70, 80, 90, 100] {
            let scale = 2.0_f32.powi(power);
            for (found, expected) in at(scale).into_iter().zip(&expected) {
                let close = (found / scale - expected).abs() <= 1e-6 * expected.abs().max(1e-3);
                assert!(close, "{frames} frames times 2^{power}: {found} / {scale} is not {expected}");
            }
        }
    }
}

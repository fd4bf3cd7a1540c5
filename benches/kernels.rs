//! The hot kernels on one thread: `cargo bench --bench kernels`. Compare the bytes per second with the memory bandwidth of the machine.

use api::geometry::{Dtype, FrameSpec};
use api::job::{Detrend, FftOutput, Reduction, Window};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use formats::decode::{Color, Decoder};
use kernels::cut::cut_block;
use kernels::recenter::{self, centroid, crop_into};
use kernels::reduce::{FrameStat, FrameSums, Ops};
use kernels::spectrum::{BandSums, Segment, Spectrum};

fn main() {
    divan::main();
}

const FRAME: usize = 2000;
const PIXELS: usize = 100_000;
const DTYPES: [Dtype; 3] = [Dtype::Uint8, Dtype::Uint16, Dtype::Float32];

/// Bytes that a branch predictor cannot learn. The bytes are finite as float32.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 & 0xbf
    };
    (0..bytes).map(|_| random()).collect()
}

#[divan::bench(args = DTYPES)]
fn sum_of_eight_frames(bencher: Bencher<'_, '_>, dtype: Dtype) {
    reduce(bencher, dtype, &[Reduction::Mean]);
}

#[divan::bench(args = DTYPES)]
fn std_of_eight_frames(bencher: Bencher<'_, '_>, dtype: Dtype) {
    reduce(bencher, dtype, &[Reduction::Std]);
}

#[divan::bench(args = DTYPES)]
fn max_of_eight_frames(bencher: Bencher<'_, '_>, dtype: Dtype) {
    reduce(bencher, dtype, &[Reduction::Max]);
}

fn reduce(bencher: Bencher<'_, '_>, dtype: Dtype, reductions: &[Reduction]) {
    let frame = FRAME * FRAME * dtype.size();
    let bytes = noise(8 * frame);
    let frames: Vec<&[u8]> = bytes.chunks_exact(frame).collect();
    let mut sums = FrameSums::new(dtype, FRAME * FRAME, Ops::of(reductions));
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| sums.add(&frames));
}

#[divan::bench(args = DTYPES)]
fn std_of_a_frame(bencher: Bencher<'_, '_>, dtype: Dtype) {
    let bytes = noise(FRAME * FRAME * dtype.size());
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| FrameStat::of(dtype, &bytes, Ops::of(&[Reduction::Std])));
}

#[divan::bench(args = DTYPES)]
fn centroid_of_a_frame(bencher: Bencher<'_, '_>, dtype: Dtype) {
    let spec = FrameSpec { height: FRAME, width: FRAME, dtype };
    let bytes = noise(spec.bytes());
    let mut scratch = recenter::Scratch::default();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| centroid(&bytes, spec, None, &mut scratch));
}

#[divan::bench]
fn crop_of_a_frame(bencher: Bencher<'_, '_>) {
    let spec = FrameSpec { height: FRAME, width: FRAME, dtype: Dtype::Uint8 };
    let bytes = noise(spec.bytes());
    let mut out = vec![1; spec.bytes() / 4];
    bencher.counter(BytesCount::new(out.len())).bench_local(|| crop_into(&bytes, spec, [321, 456], [FRAME / 2, FRAME / 2], &mut out));
}

/// A PNG with noise that deflate cannot compress on a black background. The noise covers all, a quarter or none of the picture.
#[divan::bench(args = [1.0, 0.25, 0.0], sample_count = 10)]
fn decode_png(bencher: Bencher<'_, '_>, noisy: f64) {
    let spec = FrameSpec { height: FRAME, width: FRAME, dtype: Dtype::Uint8 };
    let mut pixels = noise(spec.bytes());
    let edge = (FRAME as f64 * noisy.sqrt()) as usize;
    pixels.iter_mut().enumerate().filter(|(at, _)| at / FRAME >= edge || at % FRAME >= edge).for_each(|(_, pixel)| *pixel = 0);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, FRAME as u32, FRAME as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    assert!(written.is_ok(), "writing to memory does not fail");
    let (mut decoder, mut out) = (Decoder::new(), vec![0; spec.bytes()]);
    bencher.counter(BytesCount::new(out.len())).bench_local(|| decoder.decode(&file, spec, Color::Refuse, &mut out));
}

/// The block that a server cuts for a peer: 500 frames of a band.
#[divan::bench(args = [1920, 16384])]
fn gather_of_a_block(bencher: Bencher<'_, '_>, pixels: usize) {
    const FRAMES: usize = 500;
    let frames = noise(FRAMES * PIXELS);
    bencher.counter(BytesCount::new(FRAMES * pixels)).bench_local(|| {
        let mut block = Vec::with_capacity(FRAMES * pixels);
        cut_block(&frames, PIXELS, 4000..4000 + pixels, &mut block);
        block
    });
}

#[divan::bench(args = [997, 1000, 1001, 1024], sample_count = 10)]
fn power(bencher: Bencher<'_, '_>, frames: usize) {
    spectrum(bencher, frames, PIXELS, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Power, None);
}

#[divan::bench(args = [9973, 10_000], sample_count = 5)]
fn power_of_long_series(bencher: Bencher<'_, '_>, frames: usize) {
    spectrum(bencher, frames, PIXELS / 10, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Power, None);
}

#[divan::bench(args = DTYPES, sample_count = 10)]
fn power_of(bencher: Bencher<'_, '_>, dtype: Dtype) {
    spectrum(bencher, 1000, PIXELS, dtype, Window::Hann, Detrend::Linear, FftOutput::Power, None);
}

#[divan::bench(sample_count = 10)]
fn complex(bencher: Bencher<'_, '_>) {
    spectrum(bencher, 1000, PIXELS, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Complex, None);
}

#[divan::bench(sample_count = 10)]
fn power_and_its_means(bencher: Bencher<'_, '_>) {
    spectrum(bencher, 1000, PIXELS, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Power, Some(&[Reduction::Mean]));
}

#[divan::bench(sample_count = 10)]
fn power_and_its_deviations(bencher: Bencher<'_, '_>) {
    spectrum(bencher, 1000, PIXELS, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Power, Some(&[Reduction::Std]));
}

#[expect(clippy::too_many_arguments, reason = "one argument per choice that the benchmarks vary")]
fn spectrum(
    bencher: Bencher<'_, '_>,
    frames: usize,
    pixels: usize,
    dtype: Dtype,
    window: Window,
    detrend: Detrend,
    output: FftOutput,
    reductions: Option<&[Reduction]>,
) {
    let bytes = noise(frames * pixels * dtype.size());
    let segments = [Segment { bytes: &bytes, frames, stride: pixels * dtype.size() }];
    let spectrum = Spectrum::new(frames, dtype, window, detrend, output);
    let mut scratch = spectrum.scratch();
    // Ones, so that all pages are mapped before the measurement.
    let mut out = vec![1.0; pixels * spectrum.row()];
    bencher.counter(ItemsCount::new(pixels)).bench_local(|| {
        let mut sums = reductions.map(|reductions| BandSums::new(frames, Ops::of(reductions), 0));
        spectrum.band(&segments, pixels, &mut out, &mut scratch, sums.as_mut());
    });
}

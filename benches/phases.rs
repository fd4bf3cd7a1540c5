//! The kernels of the phases of one job, alone: no network, no disk, and memory that is touched before. `make bench` prints the times beside the
//! phases of whole runs.
//!
//! `cargo run --release -p benches --example phases -- FOLDER COUNT SIZE CROP THREADS`: frames are FOLDER/00000.png and so on. Prints one line of
//! JSON, seconds by phase: of `Load` decode, centroid, crop and sums of raw frames and crops; of `Fft` the power of all pixels of the crops and
//! its means, without a store.

use api::geometry::{Dtype, FrameSpec, cut};
use api::job::{Detrend, FftOutput, Reduction, Window};
use formats::decode::{Color, Decoder};
use kernels::recenter::{self, centroid, corner, crop_into};
use kernels::reduce::{FrameStat, FrameSums, Ops};
use kernels::spectrum::{BandSums, Overwritten, Segment, Spectrum};
use std::error::Error;
use std::io::Write as _;
use std::ops::Range;
use std::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// Frames whose sums are added at once, as the servers do.
const GROUP: usize = 8;
/// Pixels of a band of a job with 1,000 frames.
const BAND_PIXELS: usize = 1920;

struct Work {
    files: Vec<Vec<u8>>,
    frame: FrameSpec,
    crop: FrameSpec,
    ops: Ops,
    threads: usize,
}

/// Splits `count` units between the threads, and measures the time until all threads have ended.
fn timed<T: Send>(count: usize, parts: Vec<T>, work: impl Fn(Range<usize>, T) -> Result<(), Failure> + Sync) -> Result<f64, Failure> {
    let each = count.div_ceil(parts.len());
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = cut(count, each).zip(parts).map(|(range, part)| scope.spawn(|| work(range, part))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    Ok(started.elapsed().as_secs_f64())
}

/// Decodes, recenters and sums all frames. `stack` gets the crops.
fn load(work: &Work, stack: &mut [u8]) -> Result<f64, Failure> {
    let (frames, bytes) = (work.files.len(), work.crop.bytes());
    let parts: Vec<&mut [u8]> = stack.chunks_mut(frames.div_ceil(work.threads) * bytes).collect();
    timed(frames, parts, |range, crops| {
        let (mut decoder, mut scratch) = (Decoder::new(), recenter::Scratch::default());
        let mut images = vec![vec![0; work.frame.bytes()]; GROUP];
        let mut sums = [work.frame, work.crop].map(|spec| FrameSums::new(spec.dtype, spec.pixels(), work.ops));
        for (files, crops) in work.files[range].chunks(GROUP).zip(crops.chunks_mut(GROUP * bytes)) {
            for ((file, image), crop) in files.iter().zip(&mut images).zip(crops.chunks_exact_mut(bytes)) {
                decoder.decode(file, work.frame, Color::Refuse, image)?;
                let centre = centroid(image, work.frame, None, &mut scratch);
                let size = [work.crop.height, work.crop.width];
                let at = corner([centre.y, centre.x], [work.frame.height, work.frame.width], size);
                crop_into(image, work.frame, at, size, crop);
                std::hint::black_box(FrameStat::of(work.crop.dtype, crop, work.ops));
            }
            sums[0].add(&images[..files.len()].iter().map(Vec::as_slice).collect::<Vec<_>>());
            sums[1].add(&crops.chunks_exact(bytes).collect::<Vec<_>>());
        }
        std::hint::black_box(&sums);
        Ok(())
    })
}

/// The power of all pixels of the crops.
fn fft(work: &Work, stack: &[u8]) -> Result<f64, Failure> {
    let (frames, pixels) = (work.files.len(), work.crop.pixels());
    let spectrum = Spectrum::new(frames, work.crop.dtype, Window::None, Detrend::None, FftOutput::Power);
    timed(pixels, vec![(); work.threads], |range, ()| {
        let (mut scratch, mut group) = (spectrum.scratch(), Overwritten::default());
        for band in cut(range.len(), BAND_PIXELS) {
            let first = range.start + band.start;
            let segment = Segment { bytes: &stack[first * work.crop.dtype.size()..], frames, stride: work.crop.bytes() };
            let mut sums = BandSums::new(frames, work.ops, first);
            let Ok(()) = spectrum.band_into(&[segment], band.len(), &mut group, &mut scratch, Some(&mut sums));
            std::hint::black_box(&sums);
        }
        Ok(())
    })
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, numbers @ ..] = arguments.as_slice() else { return Err("usage: phases FOLDER COUNT SIZE CROP THREADS".into()) };
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let &[count, size, crop, threads] = numbers.as_slice() else { return Err("usage: phases FOLDER COUNT SIZE CROP THREADS".into()) };
    let square = |edge| FrameSpec { height: edge, width: edge, dtype: Dtype::Uint8 };
    let files = (0..count).map(|index| std::fs::read(format!("{folder}/{index:05}.png"))).collect::<Result<_, _>>()?;
    let work = Work { files, frame: square(size), crop: square(crop), ops: Ops::of(&[Reduction::Mean]), threads };
    // Ones, so that all pages are mapped before the measurement.
    let mut stack = vec![1; count * work.crop.bytes()];
    let load = load(&work, &mut stack)?;
    let fft = fft(&work, &stack)?;
    writeln!(std::io::stdout(), "{}", serde_json::json!({"Load": load, "Fft": fft}))?;
    Ok(())
}

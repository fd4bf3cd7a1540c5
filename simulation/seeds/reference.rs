//! The arrays of a job by definition, in double precision.

use crate::run::Arrays;
use api::geometry::Dtype;
use api::job::{Detrend, FftOutput, Job, Reduction, Window};
use std::f64::consts::TAU;

/// Allowed difference of single precision, relative to the largest value of an array.
const TOLERANCE: f64 = 2e-5;

/// Compares the arrays of a run without faults with their definitions. `stack`: the frames of the source.
pub(crate) fn check(job: &Job, stack: &[u8], arrays: &Arrays) -> Result<(), String> {
    let of = |name: &str| arrays.iter().find(|(of, _)| of == name).map(|(_, npy)| npy.as_slice());
    let data = |name: &str, bytes: usize| of(name).and_then(|npy| npy.get(npy.len().checked_sub(bytes)?..));
    if data("raw", stack.len()) != Some(stack) {
        return Err("raw differs from the source".into());
    }
    let spec = job.stack();
    let bytes = job.frames * spec.height * spec.width * spec.dtype.size();
    let transformed = match job.recenter {
        None => stack.to_vec(),
        Some(_) => {
            let offsets = data("offsets", job.frames * 8).ok_or("no offsets")?;
            let crops = crops(job, stack, offsets);
            if data("recentered", bytes) != Some(&crops) {
                return Err("recentered differs from the crops at the offsets".into());
            }
            crops
        }
    };
    if job.exchanges() && data("rechunked", bytes) != Some(&transformed) {
        return Err("rechunked differs from the stack".into());
    }
    let values = numbers(&transformed, spec.dtype);
    if let Some(fft) = job.fft {
        let name = api::arrays::spectrum_name(fft.output);
        let expected = spectrum(job, &values);
        let found = data(name, 4 * expected.len()).ok_or("no spectrum")?;
        let found: Vec<f64> = found.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
        close(name, &found, &expected)?;
    }
    let raw = numbers(stack, job.frame.dtype);
    for reduction in &job.reduce {
        let name = format!("raw_{}_trace", reduction.name());
        let expected: Vec<f64> = raw.chunks(job.frame.height * job.frame.width).map(|frame| reduced(*reduction, frame)).collect();
        let found = data(&name, 8 * expected.len()).filter(|_| *reduction != Reduction::Max);
        let found = found.map(|found| found.as_chunks::<8>().0.to_vec());
        let Some(found) = found else { continue };
        let number =
            |bytes: &[u8; 8]| if *reduction == Reduction::Mean { f64::from_le_bytes(*bytes) } else { u64::from_le_bytes(*bytes) as f64 };
        close(&name, &found.iter().map(number).collect::<Vec<_>>(), &expected)?;
    }
    Ok(())
}

fn reduced(reduction: Reduction, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    if reduction == Reduction::Mean { sum / values.len() as f64 } else { sum }
}

/// The crops of all frames at `offsets`: (row, column) of each frame, as int32.
fn crops(job: &Job, stack: &[u8], offsets: &[u8]) -> Vec<u8> {
    let (frame, crop, size) = (job.frame, job.stack(), job.frame.dtype.size());
    let corners: Vec<usize> = offsets.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes) as usize).collect();
    let mut crops = Vec::new();
    for (pixels, corner) in stack.chunks(frame.height * frame.width * size).zip(corners.chunks(2)) {
        for row in corner[0]..corner[0] + crop.height {
            let first = (row * frame.width + corner[1]) * size;
            crops.extend_from_slice(&pixels[first..first + crop.width * size]);
        }
    }
    crops
}

fn numbers(bytes: &[u8], dtype: Dtype) -> Vec<f64> {
    match dtype {
        Dtype::Uint8 => bytes.iter().map(|value| f64::from(*value)).collect(),
        Dtype::Uint16 => bytes.as_chunks::<2>().0.iter().map(|value| f64::from(u16::from_le_bytes(*value))).collect(),
        Dtype::Float32 => bytes.as_chunks::<4>().0.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect(),
    }
}

/// The discrete Fourier transform of each pixel over time, (frequency, y, x); complex values as pairs.
fn spectrum(job: &Job, stack: &[f64]) -> Vec<f64> {
    let (Some(fft), frames) = (job.fft, job.frames) else { return Vec::new() };
    let pixels = stack.len() / frames;
    let values = fft.output.values();
    let mut spectrum = vec![0.0; frames * pixels * values];
    for pixel in 0..pixels {
        let mut series: Vec<f64> = (0..frames).map(|t| stack[t * pixels + pixel]).collect();
        if fft.detrend == Detrend::Constant {
            let mean = series.iter().sum::<f64>() / frames as f64;
            series.iter_mut().for_each(|value| *value -= mean);
        }
        if fft.window == Window::Hann {
            series.iter_mut().enumerate().for_each(|(t, value)| *value *= 0.5 - 0.5 * (TAU * t as f64 / frames as f64).cos());
        }
        for bin in 0..frames {
            let angle = |t: usize| TAU * ((bin * t) % frames) as f64 / frames as f64;
            let real: f64 = series.iter().enumerate().map(|(t, value)| value * angle(t).cos()).sum();
            let imaginary: f64 = series.iter().enumerate().map(|(t, value)| -value * angle(t).sin()).sum();
            let at = (bin * pixels + pixel) * values;
            match fft.output {
                FftOutput::Power => spectrum[at] = real * real + imaginary * imaginary,
                FftOutput::Amplitude => spectrum[at] = real.hypot(imaginary),
                FftOutput::Complex => spectrum[at..at + 2].copy_from_slice(&[real, imaginary]),
            }
        }
    }
    spectrum
}

fn close(name: &str, found: &[f64], expected: &[f64]) -> Result<(), String> {
    let largest = expected.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
    let differs = |(found, expected): (&f64, &f64)| (found - expected).abs() > TOLERANCE * largest;
    match found.iter().zip(expected).position(differs) {
        _ if found.len() != expected.len() => Err(format!("{name} has {} values, not {}", found.len(), expected.len())),
        Some(at) => Err(format!("{name}: value {at} is {}, not {}", found[at], expected[at])),
        None => Ok(()),
    }
}

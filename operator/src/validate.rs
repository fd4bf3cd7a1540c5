//! Converts an ArrayJob to an [`api::Job`]: checks every rule of the manifest, and fills in defaults. Pure. No other module converts the
//! types of the manifest to the types of the servers.

mod outputs;
mod quantity;
mod url_series;
mod zarr;

pub use outputs::check as check_outputs;
pub use quantity::bytes as parse_bytes;
pub use zarr::array_status;

use api::geometry::{Dtype, FrameSpec};
use api::job::{self, Job, Kept, MAX_BYTES, MAX_FRAME_BYTES};
use api::wire::Probed;
use crds::ArrayJob;
use crds::v1alpha1 as crd;
use thiserror::Error;
use url_series::UrlSeries;

/// Default of `load.chunkFrames`: frames of a slab.
const SLAB_FRAMES: u64 = 20;
/// Default of `load.concurrency`: concurrent fetches of one server.
const CONCURRENCY: u64 = 16;
/// Largest `source.minBytesPerSecond`: 1 GB/s, more than any single connection needs.
const MAX_LEAST_RATE: u64 = 1_000_000_000;
/// Default of `backoffLimit`: permitted restarts of failed servers.
pub const BACKOFF_LIMIT: u32 = 3;

const ONE_SOURCE: &str = "must contain exactly one of images, volume and zarr";

/// A rule that the manifest breaks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field}: {rule}")]
pub struct Invalid {
    /// Path of the field.
    pub field: String,
    /// The rule, and the value that was found.
    pub rule: String,
}

/// The platform of the servers. It decides which URLs and secrets a manifest may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Processes on the user's machine. They may read and write its files, and have no secrets.
    Local,
    /// Pods on a cluster. They may use secrets, and have no files of the user.
    Cluster,
}

fn invalid(field: &str, rule: impl Into<String>) -> Invalid {
    Invalid { field: field.to_owned(), rule: rule.into() }
}

/// The source and its number of frames, which a probe needs. Before the probe of an array, the number is `source.zarr.count`, or 1.
///
/// # Errors
/// If the source breaks a rule.
pub fn source(job: &ArrayJob, platform: Platform) -> Result<(job::Source, usize), Invalid> {
    let source = &job.spec.source;
    let given = [source.images.is_some(), source.volume.is_some(), source.zarr.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(invalid("spec.source", ONE_SOURCE));
    }
    if source.secret_ref.is_some() && platform == Platform::Local {
        return Err(invalid("spec.source.secretRef", "is only valid on a cluster; a local run cannot read secrets"));
    }
    let least = source.min_bytes_per_second.unwrap_or(job::MIN_BYTES_PER_SECOND);
    if least > MAX_LEAST_RATE {
        return Err(invalid("spec.source.minBytesPerSecond", format!("must be from 0 to {MAX_LEAST_RATE}; found {least}")));
    }
    match (&source.images, &source.volume, &source.zarr) {
        (Some(images), None, None) => url_series::source(&UrlSeries::from(images), least, platform),
        (None, Some(volume), None) => url_series::source(&UrlSeries::from(volume), least, platform),
        (None, None, Some(zarr)) => zarr::source(zarr, zarr::layout(job)?, least, platform),
        _ => Err(invalid("spec.source", ONE_SOURCE)),
    }
}

/// Whether a probe of the source is missing: the manifest does not state the shape of a frame, or the layout of its array is not known.
pub fn needs_probe(job: &ArrayJob) -> bool {
    if job.spec.source.zarr.is_some() {
        return job.status.as_ref().is_none_or(|status| status.array.is_none());
    }
    job.spec.source.frame.is_none()
}

/// Completes a manifest with the result of a probe: the frame in `spec.source.frame`, the layout of an array in the status.
pub fn set_probed(job: &mut ArrayJob, probed: &Probed) {
    job.spec.source.frame.get_or_insert_with(|| frame_status(probed.frame));
    if let Some(layout) = &probed.array {
        job.status.get_or_insert_default().array = Some(zarr::array_status(layout));
    }
}

/// A frame in the form of the status.
pub const fn frame_status(frame: FrameSpec) -> crd::Frame {
    crd::Frame { height: frame.height as u64, width: frame.width as u64, dtype: dtype_status(frame.dtype) }
}

const fn dtype_status(dtype: Dtype) -> crd::Dtype {
    match dtype {
        Dtype::Uint8 => crd::Dtype::Uint8,
        Dtype::Uint16 => crd::Dtype::Uint16,
        Dtype::Float32 => crd::Dtype::Float32,
    }
}

const fn dtype(dtype: crd::Dtype) -> Dtype {
    match dtype {
        crd::Dtype::Uint8 => Dtype::Uint8,
        crd::Dtype::Uint16 => Dtype::Uint16,
        crd::Dtype::Float32 => Dtype::Float32,
    }
}

/// Validates the whole manifest.
///
/// # Errors
/// The first broken rule.
pub fn validate(job: &ArrayJob, platform: Platform) -> Result<Job, Invalid> {
    let spec = &job.spec;
    let (source, frames) = source(job, platform)?;
    let frame = frame(spec, &source, frames)?;
    let recenter = spec.recenter.as_ref().map(|recenter| self::recenter(recenter, &frame)).transpose()?;
    let cropped = recenter.map_or(frame, |recenter| FrameSpec { height: recenter.crop[0], width: recenter.crop[1], ..frame });
    let rechunk = spec.rechunk.as_ref().map(|rechunk| chunks(&rechunk.chunks, [frames, cropped.height, cropped.width])).transpose()?;
    let fft = spec.fft.as_ref().map(fft).transpose()?;
    let load = spec.load.clone().unwrap_or_default();
    let unit = match &source {
        job::Source::Images(images) => images.depth as u64,
        job::Source::Zarr(zarr) => zarr.layout.as_ref().map_or(1, zarr::slab_unit),
    };
    let slab_frames = load.chunk_frames.unwrap_or_else(|| SLAB_FRAMES.next_multiple_of(unit)).min(frames as u64);
    if slab_frames == 0 {
        return Err(invalid("spec.load.chunkFrames", "must be at least 1"));
    }
    if !(slab_frames as usize).is_multiple_of(source.depth()) && slab_frames < frames as u64 {
        return Err(invalid(
            "spec.load.chunkFrames",
            format!("must be a multiple of source.volume.depth ({}); otherwise two servers would fetch the same response", source.depth()),
        ));
    }
    let concurrency = load.concurrency.unwrap_or(CONCURRENCY);
    if !(1..=1024).contains(&concurrency) {
        return Err(invalid("spec.load.concurrency", format!("must be from 1 to 1024; found {concurrency}")));
    }
    let name = job.metadata.name.clone().unwrap_or_default();
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > 50 || !name.bytes().all(allowed) {
        return Err(invalid("metadata.name", format!("must have 1 to 50 characters of a-z, 0-9 and -; found '{name}'")));
    }
    let mut reduce = Vec::new();
    for op in spec.reduce.iter().map(|op| reduction(*op)) {
        if !reduce.contains(&op) {
            reduce.push(op);
        }
    }
    let mut valid = Job {
        name,
        uid: job.metadata.uid.clone().unwrap_or_default(),
        generation: job.metadata.generation.unwrap_or(1).unsigned_abs(),
        source,
        frames,
        frame,
        on_error: match spec.source.on_error.unwrap_or_default() {
            crd::OnError::Fail => job::OnError::Fail,
            crd::OnError::Blank => job::OnError::Blank,
        },
        slab_frames: slab_frames as usize,
        concurrency: concurrency as usize,
        recenter,
        rechunk,
        fft,
        reduce,
        keep: None,
        outputs: spec.outputs.iter().enumerate().map(|(i, output)| outputs::parse(i, output, platform)).collect::<Result<_, _>>()?,
        storage: match spec.servers.as_ref().and_then(|servers| servers.storage).unwrap_or_default() {
            crd::Storage::Auto => job::Storage::Auto,
            crd::Storage::Memory => job::Storage::Memory,
            crd::Storage::Disk => job::Storage::Disk,
        },
        backoff_limit: spec.backoff_limit.unwrap_or(BACKOFF_LIMIT),
    };
    outputs::check_distinct(&valid.outputs)?;
    valid.keep = spec.keep.as_ref().map(|names| keep(names, &valid)).transpose()?;
    Ok(valid)
}

/// The number of servers in the manifest; `None` for auto.
///
/// # Errors
/// If the value is 0, too large, or a word other than auto.
pub fn replicas(job: &ArrayJob) -> Result<Option<usize>, Invalid> {
    const FIELD: &str = "spec.servers.replicas";
    match job.spec.servers.as_ref().and_then(|servers| servers.replicas.clone()) {
        None => Ok(None),
        Some(crd::Replicas::Word(word)) if word == "auto" => Ok(None),
        Some(crd::Replicas::Word(word)) => Err(invalid(FIELD, format!("must be a number or auto; found '{word}'"))),
        Some(crd::Replicas::Count(count @ 1..=10_000)) => Ok(Some(count as usize)),
        Some(crd::Replicas::Count(count)) => Err(invalid(FIELD, format!("must be from 1 to 10000; found {count}"))),
    }
}

fn frame(spec: &crd::ArrayJobSpec, source: &job::Source, frames: usize) -> Result<FrameSpec, Invalid> {
    const FIELD: &str = "spec.source.frame";
    let own = zarr::frame(source, spec.source.frame.as_ref())?;
    let Some(frame) = own.or(spec.source.frame) else {
        return Err(invalid(FIELD, "must contain {height, width, dtype}, because the first frame was not probed"));
    };
    let dtype = dtype(frame.dtype);
    if frame.height == 0 || frame.width == 0 {
        return Err(invalid(FIELD, format!("height and width must be at least 1; found {} × {}", frame.height, frame.width)));
    }
    let bytes = u128::from(frame.height) * u128::from(frame.width) * dtype.size() as u128;
    // Spectra are 4 to 8 times as large as 8-bit frames; the size of every array must fit 63 bits.
    if bytes > u128::from(MAX_FRAME_BYTES) || bytes * frames as u128 > MAX_BYTES {
        return Err(invalid(
            FIELD,
            format!(
                "{} × {} {dtype} × {frames} frames is too large; the limits are 4 GiB for a frame and 256 PiB for all frames",
                frame.height, frame.width
            ),
        ));
    }
    Ok(FrameSpec { height: frame.height as usize, width: frame.width as usize, dtype })
}

fn recenter(recenter: &crd::Recenter, frame: &FrameSpec) -> Result<job::Recenter, Invalid> {
    const FIELD: &str = "spec.recenter.crop";
    let [height, width] = recenter.crop[..] else {
        return Err(invalid(FIELD, format!("must be [height, width]; found {} numbers", recenter.crop.len())));
    };
    if height == 0 || width == 0 || height > frame.height as u64 || width > frame.width as u64 {
        return Err(invalid(FIELD, format!("[{height}, {width}] must be at least 1 and fit the frame, {frame}")));
    }
    if recenter.threshold.is_some_and(|threshold| !threshold.is_finite()) {
        return Err(invalid("spec.recenter.threshold", "must be a finite number"));
    }
    let method = match recenter.method.unwrap_or_default() {
        crd::Method::Centroid => job::Method::Centroid,
    };
    Ok(job::Recenter { crop: [height as usize, width as usize], method, threshold: recenter.threshold })
}

fn chunks(chunks: &[i64], shape: [usize; 3]) -> Result<[usize; 3], Invalid> {
    const FIELD: &str = "spec.rechunk.chunks";
    let [t, y, x] = chunks[..] else {
        return Err(invalid(FIELD, format!("must be [t, y, x]; found {} numbers", chunks.len())));
    };
    let mut resolved = shape;
    for ((chunk, size), given) in resolved.iter_mut().zip(shape).zip([t, y, x]) {
        *chunk = match given {
            -1 => size,
            1.. => (given as u64).min(size as u64) as usize,
            _ => return Err(invalid(FIELD, format!("each value must be at least 1, or -1 for the whole axis; found {given}"))),
        };
    }
    Ok(resolved)
}

fn fft(fft: &crd::Fft) -> Result<job::Fft, Invalid> {
    if fft.axis.is_some_and(|axis| axis != 0 && axis != -3) {
        return Err(invalid("spec.fft.axis", "must be 0: the transform is over time"));
    }
    Ok(job::Fft {
        output: match fft.output.unwrap_or_default() {
            crd::FftOutput::Power => job::FftOutput::Power,
            crd::FftOutput::Amplitude => job::FftOutput::Amplitude,
            crd::FftOutput::Complex => job::FftOutput::Complex,
        },
        window: match fft.window.unwrap_or_default() {
            crd::Window::None => job::Window::None,
            crd::Window::Hann => job::Window::Hann,
        },
        detrend: match fft.detrend.unwrap_or_default() {
            crd::Detrend::None => job::Detrend::None,
            crd::Detrend::Constant => job::Detrend::Constant,
            crd::Detrend::Linear => job::Detrend::Linear,
        },
    })
}

const fn reduction(op: crd::Reduction) -> job::Reduction {
    match op {
        crd::Reduction::Mean => job::Reduction::Mean,
        crd::Reduction::Sum => job::Reduction::Sum,
        crd::Reduction::Std => job::Reduction::Std,
        crd::Reduction::Var => job::Reduction::Var,
        crd::Reduction::Min => job::Reduction::Min,
        crd::Reduction::Max => job::Reduction::Max,
    }
}

fn keep(names: &[String], job: &Job) -> Result<Vec<Kept>, Invalid> {
    let spectrum = job.fft.map(|fft| api::arrays::spectrum_name(fft.output));
    let mut kept = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let field = format!("spec.keep[{index}]");
        let found = match name.as_str() {
            "raw" => Kept::Raw,
            "recentered" if job.recenter.is_some() => Kept::Recentered,
            "rechunked" if job.exchanges() => Kept::Rechunked,
            name if Some(name) == spectrum => Kept::Spectrum,
            other => {
                let mut names = vec!["raw"];
                names.extend(job.recenter.map(|_| "recentered"));
                names.extend(job.exchanges().then_some("rechunked"));
                names.extend(spectrum);
                return Err(invalid(&field, format!("the job has no array '{other}'; its arrays are {}", names.join(", "))));
            }
        };
        kept.push(found);
    }
    kept.sort_unstable();
    kept.dedup();
    Ok(kept)
}

#[cfg(test)]
mod tests;

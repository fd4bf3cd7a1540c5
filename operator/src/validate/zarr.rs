//! Rules of a Zarr array as the source: the manifest is checked against the metadata of the array.

use super::{Invalid, Platform, dtype, dtype_status, frame_status, invalid};
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout, MAX_FRAMES};
use crds::ArrayJob;
use crds::v1alpha1 as crd;
use crds::v1alpha1::status::ArrayStatus;

/// Schemes of the URLs of stores; `file` on the user's machine only.
const SCHEMES: [&str; 9] = ["http", "https", "file", "s3", "s3a", "gs", "az", "abfs", "abfss"];
/// Maximum frames of a chunk for slabs of whole chunks. Servers own whole slabs, so longer chunks would balance the load badly.
const MAX_CHUNK_FRAMES: usize = 64;
/// Minimum number of chunks along time for slabs of whole chunks.
const MIN_CHUNKS: usize = 8;

/// The source and its number of frames. Before the probe, the number is `count` or 1.
pub(super) fn source(
    zarr: &crd::Zarr,
    layout: Option<ArrayLayout>,
    min_bytes_per_second: u64,
    platform: Platform,
) -> Result<(job::Source, usize), Invalid> {
    const URL: &str = "spec.source.zarr.url";
    let url = url::Url::parse(&zarr.url).map_err(|error| invalid(URL, format!("{} is not a URL: {error}", zarr.url)))?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err(invalid(URL, format!("the scheme must be http, https, file, s3, gs or az; found {}", url.scheme())));
    }
    if url.scheme() == "file" && platform == Platform::Cluster {
        return Err(invalid(URL, "servers on a cluster cannot read file://; use http://, https://, s3://, gs:// or az://"));
    }
    let array = zarr.array.clone().unwrap_or_default();
    if array.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(invalid("spec.source.zarr.array", format!("must be a path in the store; found '{array}'")));
    }
    let start = zarr.start.unwrap_or(0);
    let (field, available) = match layout {
        Some(layout) if start >= layout.shape[0] as u64 => {
            return Err(invalid(
                "spec.source.zarr.start",
                format!("must be less than the array's {} frames; found {start}", layout.shape[0]),
            ));
        }
        Some(layout) => ("spec.source.zarr.count", layout.shape[0] as u64 - start),
        None => ("spec.source.zarr.count", MAX_FRAMES),
    };
    let count = zarr.count.unwrap_or(if layout.is_some() { available } else { 1 });
    if count == 0 || count > available.min(MAX_FRAMES) {
        let known = layout.map_or_else(String::new, |layout| format!(", because the array has {} frames", layout.shape[0]));
        return Err(invalid(field, format!("must be from 1 to {}{known}; found {count}", available.min(MAX_FRAMES))));
    }
    let start = usize::try_from(start).map_err(|_| invalid("spec.source.zarr.start", "is too large"))?;
    Ok((job::Source::Zarr(job::Zarr { url: zarr.url.clone(), array, start, layout, min_bytes_per_second }), count as usize))
}

/// The layout of the array from the status; `None` before the probe.
pub(super) fn layout(job: &ArrayJob) -> Result<Option<ArrayLayout>, Invalid> {
    let Some(array) = job.status.as_ref().and_then(|status| status.array.as_ref()) else { return Ok(None) };
    let three = |sizes: &[u64]| {
        let sizes = <[u64; 3]>::try_from(sizes).ok().filter(|sizes| sizes.iter().all(|size| *size > 0));
        sizes
            .map(|sizes| sizes.map(|size| size as usize))
            .ok_or_else(|| invalid("status.array", "must have three axes, and no axis may be empty"))
    };
    Ok(Some(ArrayLayout {
        shape: three(&array.shape)?,
        dtype: dtype(array.dtype),
        chunks: three(&array.chunks)?,
        parts: three(&array.parts)?,
    }))
}

/// The layout of an array in the form of the status.
pub fn array_status(layout: &ArrayLayout) -> ArrayStatus {
    let list = |sizes: [usize; 3]| sizes.map(|size| size as u64).to_vec();
    ArrayStatus { shape: list(layout.shape), dtype: dtype_status(layout.dtype), chunks: list(layout.chunks), parts: list(layout.parts) }
}

/// The frame of an array. If the manifest states a frame too, both must be equal.
pub(super) fn frame(source: &job::Source, given: Option<&crd::Frame>) -> Result<Option<crd::Frame>, Invalid> {
    let job::Source::Zarr(zarr) = source else { return Ok(None) };
    let Some(layout) = zarr.layout else {
        return Err(invalid("spec.source.zarr", "the layout of the array is not known; a server has to probe the array first"));
    };
    let spec = FrameSpec { height: layout.shape[1], width: layout.shape[2], dtype: layout.dtype };
    let own = frame_status(spec);
    if given.is_some_and(|given| *given != own) {
        return Err(invalid("spec.source.frame", format!("the frames of the array are {spec}; remove frame, or state the same values")));
    }
    Ok(Some(own))
}

/// Number of frames of which the default slab is a multiple: a chunk, else an inner chunk of a shard, else 1.
pub(super) fn slab_unit(layout: &ArrayLayout) -> u64 {
    let longest = MAX_CHUNK_FRAMES.min(layout.shape[0] / MIN_CHUNKS);
    [layout.chunks[0], layout.parts[0]].into_iter().find(|&frames| frames <= longest).unwrap_or(1) as u64
}

//! An array of a Zarr store as the source: what the manifest says of it, held against what the array's metadata say.

use super::{Invalid, MOST_FRAMES, Place, dtype, dtype_status, frame_status, invalid};
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout};
use crds::ArrayJob;
use crds::v1alpha1 as crd;
use crds::v1alpha1::status::ArrayStatus;

/// URLs of stores that are read; of files on the user's own machine only.
const SCHEMES: [&str; 9] = ["http", "https", "file", "s3", "s3a", "gs", "az", "abfs", "abfss"];
/// Slabs are whole chunks unless these are longer than so many frames, or than this part of the array: servers own whole slabs.
const LONG_CHUNK: usize = 64;
const LONG_PART: usize = 8;

/// The source, and its number of frames as far as it is known.
pub(super) fn source(zarr: &crd::Zarr, layout: Option<ArrayLayout>, place: Place) -> Result<(job::Source, usize), Invalid> {
    const URL: &str = "spec.source.zarr.url";
    let url = url::Url::parse(&zarr.url).map_err(|error| invalid(URL, format!("{} is not a URL: {error}", zarr.url)))?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err(invalid(URL, format!("the scheme must be http, https, file, s3, gs or az; found {}", url.scheme())));
    }
    if url.scheme() == "file" && place == Place::Cluster {
        return Err(invalid(URL, "file:// is this machine's; servers on a cluster read http://, https://, s3://, gs:// and az://"));
    }
    let array = zarr.array.clone().unwrap_or_default();
    if array.split('/').any(|part| part == "." || part == "..") {
        return Err(invalid("spec.source.zarr.array", format!("must be a path in the store; found '{array}'")));
    }
    let start = zarr.start.unwrap_or(0);
    let (field, most) = match layout {
        Some(layout) if start >= layout.shape[0] as u64 => {
            return Err(invalid(
                "spec.source.zarr.start",
                format!("must be less than the array's {} frames; found {start}", layout.shape[0]),
            ));
        }
        Some(layout) => ("spec.source.zarr.count", layout.shape[0] as u64 - start),
        None => ("spec.source.zarr.count", MOST_FRAMES),
    };
    let count = zarr.count.unwrap_or(if layout.is_some() { most } else { 1 });
    if count == 0 || count > most.min(MOST_FRAMES) {
        let known = layout.map_or_else(String::new, |layout| format!(", since the array has {} frames", layout.shape[0]));
        return Err(invalid(field, format!("must be from 1 to {}{known}; found {count}", most.min(MOST_FRAMES))));
    }
    let start = usize::try_from(start).map_err(|_| invalid("spec.source.zarr.start", "is too large"))?;
    Ok((job::Source::Zarr(job::Zarr { url: zarr.url.clone(), array, start, layout }), count as usize))
}

/// The array's layout, once somebody has looked.
pub(super) fn layout(job: &ArrayJob) -> Result<Option<ArrayLayout>, Invalid> {
    let Some(array) = job.status.as_ref().and_then(|status| status.array.as_ref()) else { return Ok(None) };
    let three = |sizes: &[u64]| {
        let sizes = <[u64; 3]>::try_from(sizes).ok().filter(|sizes| sizes.iter().all(|size| *size > 0));
        sizes
            .map(|sizes| sizes.map(|size| size as usize))
            .ok_or_else(|| invalid("status.array", "must have three axes, none of them empty"))
    };
    Ok(Some(ArrayLayout {
        shape: three(&array.shape)?,
        dtype: dtype(array.dtype),
        chunks: three(&array.chunks)?,
        parts: three(&array.parts)?,
    }))
}

/// An array's layout as the status has it.
pub fn array_status(layout: &ArrayLayout) -> ArrayStatus {
    let list = |sizes: [usize; 3]| sizes.map(|size| size as u64).to_vec();
    ArrayStatus { shape: list(layout.shape), dtype: dtype_status(layout.dtype), chunks: list(layout.chunks), parts: list(layout.parts) }
}

/// The frame of an array, which the manifest may say as well.
pub(super) fn frame(source: &job::Source, given: Option<&crd::Frame>) -> Result<Option<crd::Frame>, Invalid> {
    let job::Source::Zarr(zarr) = source else { return Ok(None) };
    let Some(layout) = zarr.layout else {
        return Err(invalid("spec.source.zarr", "the array has not been looked at yet"));
    };
    let spec = FrameSpec { height: layout.shape[1], width: layout.shape[2], dtype: layout.dtype };
    let own = frame_status(spec);
    if given.is_some_and(|given| *given != own) {
        return Err(invalid("spec.source.frame", format!("the array's frames are {spec}; leave frame out, or say the same")));
    }
    Ok(Some(own))
}

/// The frames of which slabs are multiples without `load.chunkFrames`.
pub(super) fn slab_unit(layout: &ArrayLayout) -> u64 {
    let long = LONG_CHUNK.min(layout.shape[0] / LONG_PART);
    [layout.chunks[0], layout.parts[0]].into_iter().find(|&frames| frames <= long).unwrap_or(1) as u64
}

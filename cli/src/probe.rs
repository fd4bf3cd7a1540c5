//! One frame, straight from the source: to see its shape, or to look at it.

use crate::error::Error;
use api::geometry::FrameSpec;
use api::job;
use api::template::Template;
use chunkserver::decode::{self, Decoder};
use chunkserver::source::{Options, Source, redacted};
use operator::validate::MOST_FRAME_BYTES;

/// Fetches the response that holds frame `frame`.
///
/// # Errors
/// When it cannot be had.
pub async fn fetch(source: &job::Source, frames: usize, frame: usize) -> Result<(String, Vec<u8>), Error> {
    let first = frame - frame % source.depth;
    let depth = source.depth.min(frames - first);
    let template = Template::parse(&source.url_template).map_err(|error| Error::Start(error.into()))?;
    let url = template.url(source.index(frame), depth);
    let client = Source::new(Options {
        headers: source.headers.clone(),
        allow_local_files: true,
        max_bytes: MOST_FRAME_BYTES,
        ..Options::default()
    });
    let mut body = Vec::new();
    let failed = |source: chunkserver::source::Error| Error::Probe { frame, url: redacted(&url), source: source.into() };
    client.map_err(failed)?.fetch(&url, &mut body).await.map_err(failed)?;
    Ok((url, body))
}

/// Height, width and element type of the first frame.
///
/// # Errors
/// When it cannot be had, or has no header that says.
pub async fn shape(source: &job::Source, frames: usize) -> Result<FrameSpec, Error> {
    let (url, body) = fetch(source, frames, 0).await?;
    decode::probe(&body, source.color).map_err(|source| Error::Probe { frame: 0, url: redacted(&url), source: source.into() })
}

/// The pixels of frame `frame`, and their shape: the manifest's, or the frame's own.
///
/// # Errors
/// When it cannot be had or decoded.
pub async fn frame(source: &job::Source, frames: usize, frame: usize, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
    let (url, body) = fetch(source, frames, frame).await?;
    let failed = |source: decode::Error| Error::Probe { frame, url: redacted(&url), source: source.into() };
    let spec = match spec {
        Some(spec) => spec,
        None => decode::probe(&body, source.color).map_err(failed)?,
    };
    if spec.bytes() as u64 > MOST_FRAME_BYTES {
        return Err(Error::Refused(format!("frame {frame} says that it is {spec}; a frame may have 4 GiB")));
    }
    let at = frame % source.depth * spec.bytes();
    let own = if source.depth > 1 { body.get(at..at + spec.bytes()).unwrap_or(&body) } else { &body };
    let mut pixels = vec![0; spec.bytes()];
    Decoder::new().decode(own, spec, source.color, &mut pixels).map_err(failed)?;
    Ok((spec, pixels))
}

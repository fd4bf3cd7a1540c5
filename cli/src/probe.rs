//! One frame, straight from the source: to see its shape, or to look at it.

use crate::error::Error;
use api::geometry::FrameSpec;
use api::job;
use chunkserver::probe::{self, MOST_FRAME_BYTES, Response};
use chunkserver::source::{Options, Source};

/// Fetches the response that holds frame `frame`.
///
/// # Errors
/// When it cannot be had.
pub async fn fetch(source: &job::Source, frames: usize, frame: usize) -> Result<Response, Error> {
    let client = Source::new(Options {
        headers: source.headers.clone(),
        allow_local_files: true,
        max_bytes: MOST_FRAME_BYTES,
        ..Options::default()
    });
    probe::fetch(&client.map_err(|error| Error::Start(error.into()))?, source, frames, frame).await.map_err(failed)
}

/// Height, width and element type of the first frame.
///
/// # Errors
/// When it cannot be had, or has no header that says.
pub async fn shape(source: &job::Source, frames: usize) -> Result<FrameSpec, Error> {
    fetch(source, frames, 0).await?.shape().map_err(failed)
}

/// The pixels of frame `frame`, and their shape: the manifest's, or the frame's own.
///
/// # Errors
/// When it cannot be had or decoded.
pub async fn frame(source: &job::Source, frames: usize, frame: usize, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
    fetch(source, frames, frame).await?.pixels(spec).map_err(failed)
}

fn failed(error: probe::Error) -> Error {
    match error {
        probe::Error::Template(error) => Error::Start(error.into()),
        probe::Error::Fetch { frame, url, source } => Error::Probe { frame, url, source },
        probe::Error::Decode { frame, url, source } => Error::Probe { frame, url, source: source.into() },
        error @ (probe::Error::OutOfBounds { .. } | probe::Error::TooLarge { .. }) => Error::Refused(error.to_string()),
    }
}

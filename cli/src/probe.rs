//! One frame, fetched from the source by this process: for its shape, or for its pixels.

use crate::error::Error;
use api::geometry::FrameSpec;
use api::job;
use api::wire::Probed;
use chunkserver::compute::Compute;
use chunkserver::objects::Access;
use chunkserver::probe::{self, ProbeContext, most_frame_bytes};
use chunkserver::source::{Options, Source};

/// What a probe of the source needs: an HTTP client, credentials from the environment, and a thread that decodes.
struct Prober {
    client: Source,
    access: Access,
    compute: Compute,
}

impl Prober {
    fn new(source: &job::Source) -> Result<Self, Error> {
        let client = Source::new(Options {
            headers: source.headers().to_vec(),
            allow_local_files: true,
            min_bytes_per_second: source.min_bytes_per_second(),
            max_bytes: most_frame_bytes(),
            ..Options::default()
        });
        let client = client.map_err(|error| Error::Start(error.into()))?;
        let compute = Compute::new(1).map_err(|error| Error::Start(error.into()))?;
        Ok(Self { client, access: Access::new([], true), compute })
    }

    const fn context(&self) -> ProbeContext<'_> {
        ProbeContext { client: &self.client, access: &self.access, compute: &self.compute }
    }
}

/// Shape, type and number of the frames, from the first frame or from the metadata of the array.
///
/// # Errors
/// The frame or the metadata are not readable.
pub(crate) async fn look(source: &job::Source, frames: usize) -> Result<Probed, Error> {
    probe::describe(&Prober::new(source)?.context(), source, frames).await.map_err(failed)
}

/// Shape and pixels of frame `frame`. The frame must have the shape `spec`, if the manifest states one.
///
/// # Errors
/// The frame is not readable, or has another shape.
pub(crate) async fn frame(
    source: &job::Source,
    frames: usize,
    frame: usize,
    spec: Option<FrameSpec>,
) -> Result<(FrameSpec, Vec<u8>), Error> {
    probe::fetch(&Prober::new(source)?.context(), source, frames, frame).await.and_then(|found| found.pixels(spec)).map_err(failed)
}

fn failed(error: probe::Error) -> Error {
    match error {
        probe::Error::Template(error) => Error::Start(error.into()),
        probe::Error::Fetch { frame, url, source } => Error::Probe { frame, url, source },
        probe::Error::Decode { frame, url, source } => Error::Probe { frame, url, source: source.into() },
        probe::Error::OutOfBounds { .. } | probe::Error::TooLarge { .. } | probe::Error::LargeChunk { .. } => {
            Error::Refused(error.to_string())
        }
        probe::Error::Array(source) => Error::Array(source),
        probe::Error::Frame { frame, source } => Error::Frame { frame, source },
    }
}

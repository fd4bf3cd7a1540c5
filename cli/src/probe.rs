//! One frame, straight from the source: to see its shape, or to look at it.

use crate::error::Error;
use api::geometry::FrameSpec;
use api::job;
use api::wire::Probed;
use chunkserver::compute::Compute;
use chunkserver::objects::Access;
use chunkserver::probe::{self, MOST_FRAME_BYTES, Means};
use chunkserver::source::{Options, Source};

/// What a look at the source needs: connections, keys of the environment, a thread that decodes.
struct Here {
    client: Source,
    access: Access,
    compute: Compute,
}

impl Here {
    fn new(source: &job::Source) -> Result<Self, Error> {
        let client = Source::new(Options {
            headers: source.headers().to_vec(),
            allow_local_files: true,
            max_bytes: MOST_FRAME_BYTES,
            ..Options::default()
        });
        let client = client.map_err(|error| Error::Start(error.into()))?;
        let compute = Compute::new(1).map_err(|error| Error::Start(error.into()))?;
        Ok(Self { client, access: Access::new([], true), compute })
    }

    const fn means(&self) -> Means<'_> {
        Means { client: &self.client, access: &self.access, compute: &self.compute }
    }
}

/// What frames are, as the first one or the array's metadata say.
///
/// # Errors
/// When that cannot be had, or does not say.
pub async fn look(source: &job::Source, frames: usize) -> Result<Probed, Error> {
    probe::look(&Here::new(source)?.means(), source, frames).await.map_err(failed)
}

/// The pixels of frame `frame`, and their shape: the manifest's, or the frame's own.
///
/// # Errors
/// When it cannot be had or decoded.
pub async fn frame(source: &job::Source, frames: usize, frame: usize, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
    probe::fetch(&Here::new(source)?.means(), source, frames, frame).await.and_then(|found| found.pixels(spec)).map_err(failed)
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

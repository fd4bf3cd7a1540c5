//! One frame straight from the source, whatever has been loaded: to see its shape before there is a plan, or to look at it.

use crate::compute::Compute;
use crate::objects::Access;
use crate::objects::redacted;
use crate::source::zarr::{Keys, Stack};
use crate::source::{self, Source, zarr};
use api::geometry::{FrameSpec, human_bytes};
use api::job::{self, Color, Images, Zarr};
use api::phase::reason;
use api::template::{Template, TemplateError};
use api::wire::Probed;
use formats::decode::{self, Decoder};
use std::sync::Arc;
use thiserror::Error;

/// The largest frame there may be, in bytes.
pub const MOST_FRAME_BYTES: u64 = 4 << 30;

/// Why there is no such frame.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("the URL template cannot be read")]
    Template(#[from] TemplateError),
    #[error("frame {frame} is out of bounds: the job has frames 0 to {}", frames.saturating_sub(1))]
    OutOfBounds { frame: usize, frames: usize },
    #[error("frame {frame} cannot be used ({url})")]
    Fetch {
        frame: usize,
        url: String,
        #[source]
        source: Box<source::Error>,
    },
    #[error("frame {frame} cannot be used ({url})")]
    Decode {
        frame: usize,
        url: String,
        #[source]
        source: decode::Error,
    },
    #[error("frame {frame} says that it is {spec}; a frame may have 4 GiB")]
    TooLarge { frame: usize, spec: FrameSpec },
    #[error("frame {frame} is part of a chunk of {}; what is decoded for one frame may have 4 GiB", human_bytes(*bytes))]
    LargeChunk { frame: usize, bytes: u64 },
    #[error("the array cannot be used")]
    Array(#[from] zarr::Error),
    #[error("frame {frame} cannot be used")]
    Frame {
        frame: usize,
        #[source]
        source: Arc<zarr::Error>,
    },
}

impl Error {
    /// The machine's word for it, as in [`api::phase::reason`]; none when the frame was never asked for.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Array(source) => Some(source.reason()),
            Self::Frame { source, .. } => Some(source.reason()),
            Self::Template(_) | Self::OutOfBounds { .. } => None,
            Self::Fetch { .. } => Some(reason::SOURCE_UNAVAILABLE),
            Self::Decode { .. } | Self::TooLarge { .. } | Self::LargeChunk { .. } => Some(reason::CHUNK_DECODE_FAILED),
        }
    }
}

/// With what the source is asked.
#[derive(Debug)]
pub struct Means<'a> {
    /// What fetches.
    pub client: &'a Source,
    /// How object stores are opened.
    pub access: &'a Access,
    /// Where chunks are decoded.
    pub compute: &'a Compute,
}

/// What frames are, as the first one says, or as the array's metadata do.
///
/// # Errors
/// When that cannot be had, or does not say.
pub async fn look(means: &Means<'_>, source: &job::Source, frames: usize) -> Result<Probed, Error> {
    match source {
        job::Source::Images(images) => Ok(Probed { frame: image(means.client, images, frames, 0).await?.shape()?, array: None }),
        job::Source::Zarr(zarr) => {
            let stack = open(means, zarr).await?;
            Ok(Probed { frame: stack.frame(), array: Some(stack.layout()) })
        }
    }
}

/// Fetches frame `frame` of `frames`.
///
/// # Errors
/// When there is no such frame, or it cannot be had.
pub async fn fetch(means: &Means<'_>, source: &job::Source, frames: usize, frame: usize) -> Result<Response, Error> {
    match source {
        job::Source::Images(images) => Ok(Response::Image(image(means.client, images, frames, frame).await?)),
        job::Source::Zarr(zarr) => decoded(means, zarr, frames, frame).await,
    }
}

async fn open(means: &Means<'_>, zarr: &Zarr) -> Result<Arc<Stack>, Error> {
    let keys = Keys::new(means.client.clone(), means.access, &zarr.url, &zarr.array).map_err(zarr::Error::Store)?;
    Ok(Arc::new(Stack::open_known(keys, zarr, means.compute.threads()).await?))
}

async fn decoded(means: &Means<'_>, zarr: &Zarr, frames: usize, frame: usize) -> Result<Response, Error> {
    if frame >= frames {
        return Err(Error::OutOfBounds { frame, frames });
    }
    let stack = open(means, zarr).await?;
    let (layout, spec) = (stack.layout(), stack.frame());
    if spec.bytes() as u64 > MOST_FRAME_BYTES {
        return Err(Error::TooLarge { frame, spec });
    }
    let bytes = layout.piece_bytes(1) as u64;
    if bytes > MOST_FRAME_BYTES {
        return Err(Error::LargeChunk { frame, bytes });
    }
    let index = zarr.start + frame;
    if index >= layout.shape[0] {
        return Err(Error::OutOfBounds { frame, frames: layout.shape[0].saturating_sub(zarr.start) });
    }
    let read = stack.read(means.compute, index..index + 1, Vec::new(), false, || ()).await;
    let read = read.map_err(|(_, source)| Error::Frame { frame, source })?.pop();
    let pixels = read.ok_or(Error::OutOfBounds { frame, frames })?.map_err(|source| Error::Frame { frame, source })?;
    Ok(Response::Decoded { spec, pixels })
}

async fn image(client: &Source, images: &Images, frames: usize, frame: usize) -> Result<Image, Error> {
    if frame >= frames || images.depth == 0 {
        return Err(Error::OutOfBounds { frame, frames });
    }
    let first = frame - frame % images.depth;
    let url = Template::parse(&images.url_template)?.url(images.index(frame), images.depth.min(frames - first));
    let mut body = Vec::new();
    let fetched = client.fetch(&url, &mut body).await;
    fetched.map_err(|source| Error::Fetch { frame, url: redacted(&url), source: Box::new(source) })?;
    Ok(Image { frame, depth: images.depth, color: images.color, url, body })
}

/// A frame, as far as it is.
#[derive(Debug)]
pub enum Response {
    /// The response that holds it.
    Image(Image),
    /// Its pixels.
    Decoded {
        /// What it is.
        spec: FrameSpec,
        /// They themselves.
        pixels: Vec<u8>,
    },
}

impl Response {
    /// The frame's pixels and their shape: `spec`, or the frame's own. CPU work.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn pixels(self, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
        match self {
            Self::Image(image) => image.pixels(spec),
            Self::Decoded { spec, pixels } => Ok((spec, pixels)),
        }
    }
}

/// The response that holds a frame.
#[derive(Debug)]
pub struct Image {
    frame: usize,
    depth: usize,
    color: Color,
    url: String,
    body: Vec<u8>,
}

impl Image {
    fn failed(&self, source: decode::Error) -> Error {
        Error::Decode { frame: self.frame, url: redacted(&self.url), source }
    }

    /// Height, width and element type, as the frame's own header says.
    fn shape(&self) -> Result<FrameSpec, Error> {
        decode::probe(&self.body, self.color).map_err(|source| self.failed(source))
    }

    fn pixels(&self, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
        let spec = spec.map_or_else(|| self.shape(), Ok)?;
        if spec.bytes() as u64 > MOST_FRAME_BYTES {
            return Err(Error::TooLarge { frame: self.frame, spec });
        }
        let at = self.frame % self.depth * spec.bytes();
        let own = if self.depth > 1 { self.body.get(at..at + spec.bytes()).unwrap_or(&self.body) } else { &self.body };
        let mut pixels = vec![0; spec.bytes()];
        Decoder::new().decode(own, spec, self.color, &mut pixels).map_err(|source| self.failed(source))?;
        Ok((spec, pixels))
    }
}

//! One frame directly from the source: its shape, before the plan exists, or its pixels.

#[cfg(test)]
mod tests;

use crate::compute::Compute;
use crate::objects::Access;
use crate::objects::redacted;
use crate::source::zarr::{FrameArray, Keys};
use crate::source::{self, BodyRange, Source, zarr};
use api::geometry::{FrameSpec, human_bytes};
use api::job::{self, Color, Images, MAX_FRAME_BYTES, Zarr};
use api::phase::reason;
use api::template::{Template, TemplateError};
use api::wire::Probed;
use formats::decode::{self, Decoder};
use journal::control_groups::memory_left_bytes;
use journal::system::{available_bytes, memory_bytes};
use std::sync::Arc;
use thiserror::Error;

/// The largest frame that this machine reads before a plan exists, in bytes: [`MAX_FRAME_BYTES`], or a quarter of the memory.
pub fn most_frame_bytes() -> u64 {
    memory_bytes().map_or(MAX_FRAME_BYTES, |bytes| (bytes / 4).min(MAX_FRAME_BYTES))
}

/// The largest frame that a peek shows, in pixels.
pub const MAX_PEEK_PIXELS: u64 = 1 << 28;
/// The largest chunk that is decoded for a peek, in bytes.
const MAX_PEEK_CHUNK: u64 = 1 << 30;
/// Bytes from the start of a file that contain the header of most images.
const HEADER: u64 = 256 << 10;

/// Why a frame is not available.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("the URL template is not valid")]
    Template(#[from] TemplateError),
    #[error("frame {frame} is out of bounds: the job has frames 0 to {}", frames.saturating_sub(1))]
    OutOfBounds { frame: usize, frames: usize },
    #[error("cannot fetch frame {frame} ({url})")]
    Fetch {
        frame: usize,
        url: String,
        #[source]
        source: Box<source::Error>,
    },
    #[error("cannot decode frame {frame} ({url})")]
    Decode {
        frame: usize,
        url: String,
        #[source]
        source: decode::Error,
    },
    #[error("frame {frame} is {spec}, more than a peek shows: {MAX_PEEK_PIXELS} pixels, and {} here", human_bytes(most_frame_bytes()))]
    TooLarge { frame: usize, spec: FrameSpec },
    #[error("frame {frame} is part of a chunk of {}, more than the {} that a peek decodes", human_bytes(*bytes), human_bytes(MAX_PEEK_CHUNK))]
    LargeChunk { frame: usize, bytes: u64 },
    #[error("cannot read the array")]
    Array(#[from] zarr::Error),
    #[error("cannot read frame {frame}")]
    Frame {
        frame: usize,
        #[source]
        source: Arc<zarr::Error>,
    },
}

impl Error {
    /// The reason for programs, one of [`api::phase::reason`]; `None` if no frame was requested.
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

/// What a probe uses: the source, keys of object stores, and compute threads.
#[derive(Debug)]
pub struct ProbeContext<'a> {
    /// Fetches frames and keys.
    pub client: &'a Source,
    /// Keys of object stores.
    pub access: &'a Access,
    /// Decodes chunks.
    pub compute: &'a Compute,
}

/// The shape and type of the frames, from the first frame or from the array's metadata.
///
/// # Errors
/// When the frame or the metadata cannot be fetched or decoded.
pub async fn describe(context: &ProbeContext<'_>, source: &job::Source, frames: usize) -> Result<Probed, Error> {
    match source {
        job::Source::Images(images) => Ok(Probed { frame: shape(context.client, images, frames).await?, array: None }),
        job::Source::Zarr(zarr) => {
            let array = open(context, zarr).await?;
            Ok(Probed { frame: array.frame(), array: Some(array.layout()) })
        }
    }
}

/// Fetches frame `frame` of `frames`.
///
/// # Errors
/// When the frame is out of bounds or cannot be fetched.
pub async fn fetch(context: &ProbeContext<'_>, source: &job::Source, frames: usize, frame: usize) -> Result<FetchedFrame, Error> {
    match source {
        job::Source::Images(images) => Ok(FetchedFrame::Image(image(context.client, images, frames, frame, None).await?)),
        job::Source::Zarr(zarr) => decoded(context, zarr, frames, frame).await,
    }
}

async fn open(context: &ProbeContext<'_>, zarr: &Zarr) -> Result<Arc<FrameArray>, Error> {
    let keys = Keys::new(context.client.clone(), context.access, &zarr.url, &zarr.array).map_err(zarr::Error::Store)?;
    Ok(Arc::new(FrameArray::open_known(keys, zarr, context.compute.threads()).await?))
}

async fn decoded(context: &ProbeContext<'_>, zarr: &Zarr, frames: usize, frame: usize) -> Result<FetchedFrame, Error> {
    if frame >= frames {
        return Err(Error::OutOfBounds { frame, frames });
    }
    let array = open(context, zarr).await?;
    let (layout, spec) = (array.layout(), array.frame());
    check_size(frame, spec)?;
    let bytes = layout.piece_bytes(1) as u64;
    if bytes > MAX_PEEK_CHUNK {
        return Err(Error::LargeChunk { frame, bytes });
    }
    let index = zarr.start + frame;
    if index >= layout.shape[0] {
        return Err(Error::OutOfBounds { frame, frames: layout.shape[0].saturating_sub(zarr.start) });
    }
    let read = array.read(context.compute, index..index + 1, Vec::new(), false, || ()).await;
    let read = read.map_err(|(_, source)| Error::Frame { frame, source })?.pop();
    let pixels = read.ok_or(Error::OutOfBounds { frame, frames })?.map_err(|source| Error::Frame { frame, source })?;
    Ok(FetchedFrame::Decoded { spec, pixels })
}

/// The shape of the first frame: from the first bytes of the file, or else, for example if a TIFF has its directory at the end, from the whole
/// file.
async fn shape(client: &Source, images: &Images, frames: usize) -> Result<FrameSpec, Error> {
    let start = match image(client, images, frames, 0, Some(BodyRange::From(0, Some(HEADER)))).await {
        Err(Error::Fetch { source, .. }) if source.is_of_range() => image(client, images, frames, 0, None).await?,
        start => start?,
    };
    match start.shape() {
        Err(Error::Decode {
            source: decode::Error::Corrupt { .. } | decode::Error::Truncated { .. } | decode::Error::Unsupported { .. },
            ..
        }) if start.body.len() as u64 == HEADER => image(client, images, frames, 0, None).await?.shape(),
        shape => shape,
    }
}

/// The largest body that a probe holds: at most half of the memory that the control groups and the machine still have.
fn body_limit() -> u64 {
    let left = memory_left_bytes().into_iter().chain(available_bytes()).min();
    left.map_or(MAX_FRAME_BYTES, |left| MAX_FRAME_BYTES.min(left / 2))
}

fn check_size(frame: usize, spec: FrameSpec) -> Result<(), Error> {
    let pixels = spec.height as u64 * spec.width as u64;
    let fits = pixels <= MAX_PEEK_PIXELS && spec.bytes() as u64 <= most_frame_bytes();
    if fits { Ok(()) } else { Err(Error::TooLarge { frame, spec }) }
}

async fn image(client: &Source, images: &Images, frames: usize, frame: usize, range: Option<BodyRange>) -> Result<Image, Error> {
    if frame >= frames || images.depth == 0 {
        return Err(Error::OutOfBounds { frame, frames });
    }
    let first = frame - frame % images.depth;
    let url = Template::parse(&images.url_template)?.url(images.index(frame), images.depth.min(frames - first));
    let mut body = Vec::new();
    let fetched = client.at_most(body_limit()).fetch_range(&url, range, &mut body).await;
    fetched.map_err(|source| Error::Fetch { frame, url: redacted(&url), source: Box::new(source) })?;
    Ok(Image { frame, depth: images.depth, color: images.color, url, body })
}

/// A fetched frame.
#[derive(Debug)]
pub enum FetchedFrame {
    /// A response that contains the frame, not decoded.
    Image(Image),
    /// Decoded pixels.
    Decoded {
        /// Shape and element type.
        spec: FrameSpec,
        /// The pixels, little endian, in C order.
        pixels: Vec<u8>,
    },
}

impl FetchedFrame {
    /// The frame's pixels and their shape: `spec`, or otherwise the shape in the frame's header. CPU work.
    ///
    /// # Errors
    /// When the frame cannot be decoded.
    pub fn pixels(self, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
        match self {
            Self::Image(image) => image.pixels(spec),
            Self::Decoded { spec, pixels } => Ok((spec, pixels)),
        }
    }
}

/// A response that contains a frame.
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

    /// Height, width and element type from the frame's header.
    fn shape(&self) -> Result<FrameSpec, Error> {
        decode::probe(&self.body, self.color).map_err(|source| self.failed(source))
    }

    fn pixels(&self, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
        let spec = spec.map_or_else(|| self.shape(), Ok)?;
        check_size(self.frame, spec)?;
        let at = self.frame % self.depth * spec.bytes();
        let own = if self.depth > 1 { self.body.get(at..at + spec.bytes()).unwrap_or(&self.body) } else { &self.body };
        let mut pixels = vec![0; spec.bytes()];
        Decoder::new().decode(own, spec, self.color, &mut pixels).map_err(|source| self.failed(source))?;
        Ok((spec, pixels))
    }
}

//! One frame straight from the source, whatever has been loaded: to see its shape before there is a plan, or to look at it.

use crate::decode::{self, Decoder};
use crate::source::{self, Source, redacted};
use api::geometry::FrameSpec;
use api::job::{self, Color};
use api::phase::reason;
use api::template::{Template, TemplateError};
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
}

impl Error {
    /// The machine's word for it, as in [`api::phase::reason`]; none when the frame was never asked for.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Template(_) | Self::OutOfBounds { .. } => None,
            Self::Fetch { .. } => Some(reason::SOURCE_UNAVAILABLE),
            Self::Decode { .. } | Self::TooLarge { .. } => Some(reason::CHUNK_DECODE_FAILED),
        }
    }
}

/// The response that holds a frame.
#[derive(Debug)]
pub struct Response {
    frame: usize,
    depth: usize,
    color: Color,
    url: String,
    body: Vec<u8>,
}

/// Fetches the response that holds frame `frame` of `frames`.
///
/// # Errors
/// When there is no such frame, or it cannot be had.
pub async fn fetch(client: &Source, source: &job::Source, frames: usize, frame: usize) -> Result<Response, Error> {
    if frame >= frames || source.depth == 0 {
        return Err(Error::OutOfBounds { frame, frames });
    }
    let first = frame - frame % source.depth;
    let url = Template::parse(&source.url_template)?.url(source.index(frame), source.depth.min(frames - first));
    let mut body = Vec::new();
    let fetched = client.fetch(&url, &mut body).await;
    fetched.map_err(|source| Error::Fetch { frame, url: redacted(&url), source: Box::new(source) })?;
    Ok(Response { frame, depth: source.depth, color: source.color, url, body })
}

impl Response {
    fn failed(&self, source: decode::Error) -> Error {
        Error::Decode { frame: self.frame, url: redacted(&self.url), source }
    }

    /// Height, width and element type, as the frame's own header says.
    ///
    /// # Errors
    /// When it has no header that says.
    pub fn shape(&self) -> Result<FrameSpec, Error> {
        decode::probe(&self.body, self.color).map_err(|source| self.failed(source))
    }

    /// The frame's pixels and their shape: `spec`, or the frame's own. CPU work.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn pixels(&self, spec: Option<FrameSpec>) -> Result<(FrameSpec, Vec<u8>), Error> {
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

//! The source of a share's frames: responses with images, or the chunks of a Zarr array.

use super::bodies::{Admitted, Bodies};
use super::error::FrameError;
use crate::compute::Pool;
use crate::share::{FrameDigests, Share};
use crate::source::zarr::{Frame, FrameArray, Keys, Transferred};
use crate::source::{self, zarr};
use crate::worker::Worker;
use api::job::{Images, OnError, Source, Zarr};
use api::template::Template;
use formats::decode::Decoder;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::MutexGuard;

/// Frames that arrived together.
pub(super) struct Delivery {
    /// Numbers of the frames in the job.
    pub(super) frames: Range<usize>,
    payload: Payload,
}

/// Frames of a group that arrived together, and their memory.
pub(super) struct Fetched {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) admitted: Option<Admitted>,
}

impl Delivery {
    /// The body of a response.
    fn body(&self) -> Option<&[u8]> {
        match &self.payload {
            Payload::Response { body: Ok(body), .. } => Some(body),
            Payload::Response { body: Err(_), .. } | Payload::Pixels(_) => None,
        }
    }

    /// The first frame and the URL of a response that is larger than the limit.
    fn too_large(&self) -> Option<(usize, &str)> {
        match &self.payload {
            Payload::Response { url, body: Err(error) } if error.is_too_large() => Some((self.frames.start, url)),
            Payload::Response { .. } | Payload::Pixels(_) => None,
        }
    }
}

enum Payload {
    /// One response of the source: its body, or the error of the fetch.
    Response { url: String, body: Result<Vec<u8>, Arc<source::Error>> },
    /// The pixels of one frame.
    Pixels(Frame),
}

/// A decoded frame, without its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoded {
    /// Fetched bytes of the frame that are not counted yet.
    pub(super) fetched: u64,
    /// The digest of the frame.
    pub(super) digest: u64,
}

/// The source of a share's frames.
#[derive(Debug)]
pub(super) struct FrameSource {
    backend: Backend,
    /// Fetches, and records each request in the journal.
    source: source::Source,
    /// Buffers of responses and frames, reused.
    buffers: Pool<Vec<u8>>,
    /// Fetches for compute threads.
    runtime: Handle,
}

#[derive(Debug)]
enum Backend {
    Images(ImageSource),
    /// The plan counts the memory of pieces.
    Array(Zarr, Arc<FrameArray>),
}

/// Responses with images.
#[derive(Debug)]
struct ImageSource {
    images: Images,
    template: Template,
    bodies: Bodies,
}

impl FrameSource {
    /// Opens the source of the share's job.
    pub(super) async fn open(worker: &Worker, share: &Share) -> Result<Self, FrameError> {
        let source = share.source.recording_in(&share.journal);
        let backend = match &share.job.source {
            Source::Images(images) => Backend::Images(ImageSource {
                template: Template::parse(&images.url_template)?,
                bodies: Bodies::new(share, images, super::largest_body(&share.job)),
                images: images.clone(),
            }),
            Source::Zarr(zarr) => {
                let access = worker.environment.access()?;
                let keys = Keys::new(source.clone(), &access, &zarr.url, &zarr.array).map_err(zarr::Error::Store)?;
                let array = FrameArray::open_known(keys, zarr, share.plan.pace.requests).await?;
                Backend::Array(zarr.clone(), Arc::new(array))
            }
        };
        Ok(Self { backend, source, buffers: Pool::default(), runtime: Handle::current() })
    }

    /// Fetches the first frames of `group` concurrently: all of them, or as many as fit the memory for responses.
    pub(super) async fn fetch(&self, worker: &Worker, share: &Share, group: Range<usize>) -> Result<Fetched, FrameError> {
        match &self.backend {
            Backend::Images(source) => self.responses(share, source, group).await,
            Backend::Array(zarr, array) => {
                Ok(Fetched { deliveries: self.chunks(worker, share, (zarr, array), group).await?, admitted: None })
            }
        }
    }

    /// Fetches the response of a delivery once more, while the compute thread waits. `None` for a Zarr array.
    pub(super) fn fetch_again(&self, share: &Share, delivery: &Delivery) -> Option<Delivery> {
        match &self.backend {
            Backend::Images(source) => {
                let most = source.bodies.largest();
                Some(self.runtime.block_on(self.response(share, source, delivery.frames.clone(), most)))
            }
            Backend::Array(..) => None,
        }
    }

    /// Fetches responses with the memory for the largest body so far. If a body is larger, more memory is reserved before the next attempt:
    /// a response does not wait for memory while others hold theirs.
    async fn responses(&self, share: &Share, source: &ImageSource, group: Range<usize>) -> Result<Fetched, FrameError> {
        let (depth, bodies) = (source.images.depth, &source.bodies);
        loop {
            let admitted = bodies.admit(group.len().div_ceil(depth)).await;
            let some = group.start..group.end.min(group.start + admitted.responses * depth);
            let parts = api::geometry::cut(some.len(), depth).map(|part| some.start + part.start..some.start + part.end);
            let deliveries = futures_util::future::join_all(parts.map(|frames| self.response(share, source, frames, admitted.each))).await;
            let too_large = deliveries.iter().find_map(Delivery::too_large);
            if too_large.is_none() || !bodies.expect_larger(admitted.each) {
                return match too_large {
                    Some((frame, url)) if bodies.largest() < super::largest_body(&share.job) => {
                        Err(FrameError::Memory { frame, url: crate::objects::redacted(url), limit: bodies.largest() })
                    }
                    _ => Ok(Fetched { deliveries, admitted: Some(admitted) }),
                };
            }
        }
    }

    /// Waits until the scratch of a decoder of `fetched` fits the memory for responses.
    pub(super) async fn decoder(&self, share: &Share, fetched: &Fetched) -> Option<MutexGuard<'_, ()>> {
        let (Backend::Images(source), Some(admitted)) = (&self.backend, &fetched.admitted) else { return None };
        let received = fetched.deliveries.iter().filter_map(Delivery::body);
        let (mut bytes, mut scratch) = (0, 0);
        for body in received {
            bytes += body.len() as u64;
            scratch = scratch.max(formats::scratch::beyond_plan(body, share.plan.partition.frame));
        }
        source.bodies.decoder(admitted, bytes, scratch).await
    }

    async fn response(&self, share: &Share, source: &ImageSource, frames: Range<usize>, most: u64) -> Delivery {
        let url = source.template.url(source.images.index(frames.start), frames.len());
        let mut body = self.buffers.take().unwrap_or_default();
        let fetched = self.source.of_frame(frames.start).at_most(most).fetch(&url, &mut body).await;
        let body = match fetched {
            Ok(fetched) => {
                share.counters.load.retried(u64::from(fetched.retries));
                Ok(body)
            }
            Err(error) => Err(Arc::new(error)),
        };
        Delivery { frames, payload: Payload::Response { url, body } }
    }

    async fn chunks(
        &self,
        worker: &Worker,
        share: &Share,
        (zarr, array): (&Zarr, &Arc<FrameArray>),
        group: Range<usize>,
    ) -> Result<Vec<Delivery>, FrameError> {
        let progress = || {
            let Transferred { bytes, retries } = array.take_transferred();
            share.counters.load.received(bytes);
            share.counters.load.retried(retries);
        };
        let buffers = group.clone().map_while(|_| self.buffers.take()).collect();
        let in_array = zarr.start + group.start..zarr.start + group.end;
        let read = array.read(&worker.compute, in_array, buffers, share.job.on_error == OnError::Blank, progress).await;
        let frames = read.map_err(|(frame, source)| FrameError::Array { frame: frame - zarr.start, source })?;
        Ok(group.zip(frames).map(|(frame, pixels)| Delivery { frames: frame..frame + 1, payload: Payload::Pixels(pixels) }).collect())
    }

    /// Decodes one frame of a delivery into `into`.
    pub(super) fn decode(
        &self,
        decoder: &mut Decoder,
        share: &Share,
        frame: usize,
        delivery: &Delivery,
        into: &mut [u8],
    ) -> Result<Decoded, FrameError> {
        let body = match &delivery.payload {
            Payload::Response { body, .. } => body,
            Payload::Pixels(Ok(pixels)) => {
                into.copy_from_slice(pixels);
                return Ok(Decoded { fetched: 0, digest: FrameDigests::of(pixels) });
            }
            Payload::Pixels(Err(source)) => return Err(FrameError::Array { frame, source: Arc::clone(source) }),
        };
        let url = || self.url(delivery);
        let body = body.as_ref().map_err(|source| FrameError::Fetch { frame, source: Arc::clone(source) })?;
        if let Backend::Images(ImageSource { images: Images { depth: 1, color, .. }, .. }) = &self.backend {
            decoder.decode(body, share.plan.partition.frame, *color, into).map_err(|source| FrameError::Decode {
                frame,
                url: url(),
                source,
            })?;
            return Ok(Decoded { fetched: body.len() as u64, digest: FrameDigests::of(body) });
        }
        let expected = delivery.frames.len() * into.len();
        if body.len() != expected {
            return Err(FrameError::Volume { frame, url: url(), found: body.len(), expected });
        }
        let at = (frame - delivery.frames.start) * into.len();
        into.copy_from_slice(&body[at..at + into.len()]);
        Ok(Decoded { fetched: into.len() as u64, digest: FrameDigests::of(into) })
    }

    /// The URL of a delivery, without secrets; the URL of the array for a Zarr array.
    pub(super) fn url(&self, delivery: &Delivery) -> String {
        let url = match (&delivery.payload, &self.backend) {
            (Payload::Response { url, .. }, _) => url,
            (Payload::Pixels(_), Backend::Array(zarr, _)) => &zarr.url,
            // Pixels come from arrays alone.
            (Payload::Pixels(_), Backend::Images(source)) => &source.images.url_template,
        };
        crate::objects::redacted(url)
    }

    /// Keeps the buffers of decoded deliveries for later ones.
    pub(super) fn reuse(&self, deliveries: Vec<Delivery>) {
        let keeps = |bytes| match &self.backend {
            Backend::Images(source) => source.bodies.keeps(bytes),
            Backend::Array(..) => true,
        };
        for delivery in deliveries {
            if let Payload::Response { body: Ok(body), .. } | Payload::Pixels(Ok(body)) = delivery.payload
                && keeps(body.capacity())
            {
                self.buffers.put(body);
            }
        }
    }
}

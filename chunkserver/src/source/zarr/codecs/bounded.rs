//! Decompression with a limit: the decoded size that the array's metadata state.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use zarrs::array::{
    ArrayBytesRaw, BytesRepresentation, BytesToBytesCodecTraits, CodecError, CodecMetadataOptions, CodecOptions, CodecTraits,
    RecommendedConcurrency,
};
use zarrs::metadata::Configuration;
use zarrs::plugin::{ExtensionName, ZarrVersion};
use zarrs_codec::{PartialDecoderCapability, PartialEncoderCapability};

/// Allowed excess over a size that is an upper bound, in bytes: for optional fields of headers, for example the file name of gzip.
const HEADERS: u64 = 64 << 10;
/// Length of a Blosc header: <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>.
const BLOSC_HEADER: usize = 16;

/// The format of compressed bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compression {
    /// <https://www.rfc-editor.org/rfc/rfc1952>
    Gzip,
    /// <https://www.rfc-editor.org/rfc/rfc1950>
    Zlib,
    /// <https://www.rfc-editor.org/rfc/rfc8878>
    Zstd,
    /// <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>
    Blosc,
}

/// A codec of zarrs whose decoder stops at the size that the array's metadata state.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: Arc<dyn BytesToBytesCodecTraits>,
    compression: Compression,
}

impl Bounded {
    pub(super) fn new(inner: Arc<dyn BytesToBytesCodecTraits>, compression: Compression) -> Self {
        Self { inner, compression }
    }
}

impl ExtensionName for Bounded {
    fn name(&self, version: ZarrVersion) -> Option<Cow<'static, str>> {
        self.inner.name(version)
    }
}

impl CodecTraits for Bounded {
    fn as_any(&self) -> &dyn std::any::Any {
        self.inner.as_any()
    }

    fn configuration(&self, version: ZarrVersion, options: &CodecMetadataOptions) -> Option<Configuration> {
        self.inner.configuration(version, options)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        PartialDecoderCapability { partial_read: false, partial_decode: false }
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        self.inner.partial_encoder_capability()
    }
}

impl BytesToBytesCodecTraits for Bounded {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn BytesToBytesCodecTraits> {
        self
    }

    fn recommended_concurrency(&self, decoded: &BytesRepresentation) -> Result<RecommendedConcurrency, CodecError> {
        self.inner.recommended_concurrency(decoded)
    }

    fn encoded_representation(&self, decoded: &BytesRepresentation) -> BytesRepresentation {
        self.inner.encoded_representation(decoded)
    }

    fn encode<'a>(&self, decoded: ArrayBytesRaw<'a>, options: &CodecOptions) -> Result<ArrayBytesRaw<'a>, CodecError> {
        self.inner.encode(decoded, options)
    }

    fn decode<'a>(
        &self,
        encoded: ArrayBytesRaw<'a>,
        decoded: &BytesRepresentation,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        let limit = match *decoded {
            BytesRepresentation::FixedSize(size) => size,
            BytesRepresentation::BoundedSize(size) => size.saturating_add(HEADERS),
            BytesRepresentation::UnboundedSize => return Err("the array's metadata state no decoded size".into()),
        };
        match self.compression {
            Compression::Gzip => read(flate2::bufread::GzDecoder::new(&*encoded), decoded, limit).map(Cow::Owned),
            Compression::Zlib => read(flate2::bufread::ZlibDecoder::new(&*encoded), decoded, limit).map(Cow::Owned),
            Compression::Zstd => zstd_frames(&encoded, limit).map(Cow::Owned),
            Compression::Blosc => {
                check_blosc(&encoded, limit)?;
                self.inner.decode(encoded, decoded, options)
            }
        }
    }
}

fn too_large(limit: u64) -> CodecError {
    CodecError::Other(format!("it decodes to more than {limit} bytes, the size that the array's metadata state"))
}

/// Reads to the end, but not beyond `limit`.
fn read(reader: impl Read, decoded: &BytesRepresentation, limit: u64) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if let BytesRepresentation::FixedSize(size) = *decoded {
        reserve(&mut out, size)?;
    }
    reader.take(limit.saturating_add(1)).read_to_end(&mut out)?;
    if out.len() as u64 > limit { Err(too_large(limit)) } else { Ok(out) }
}

/// Reserves memory. A failure is an error and does not abort the process.
fn reserve(out: &mut Vec<u8>, bytes: u64) -> Result<(), CodecError> {
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    out.try_reserve_exact(size).map_err(|_| CodecError::Other(format!("no memory for its {bytes} bytes")))
}

/// Decodes frames into a buffer of `limit` bytes. A decoder with a given buffer allocates no window, whose size the frame states.
fn zstd_frames(encoded: &[u8], limit: u64) -> Result<Vec<u8>, CodecError> {
    let stated = zstd::zstd_safe::get_frame_content_size(encoded).ok().flatten();
    if stated.is_some_and(|stated| stated > limit) {
        return Err(too_large(limit));
    }
    let mut out = Vec::new();
    reserve(&mut out, limit)?;
    let size = zstd::bulk::Decompressor::new()?.decompress_to_buffer(encoded, &mut out);
    size.map_err(|error| CodecError::Other(format!("{error}; the array's metadata state {limit} bytes")))?;
    Ok(out)
}

/// Compares the sizes in a Blosc header with `limit`: the decoder allocates the decoded bytes and blocks of the stated sizes.
fn check_blosc(encoded: &[u8], limit: u64) -> Result<(), CodecError> {
    let size = |at: usize| encoded.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let (Some(decoded), Some(block), true) = (size(4), size(8), encoded.len() >= BLOSC_HEADER) else {
        return Err("it is shorter than a Blosc header".into());
    };
    if u64::from(decoded) > limit || u64::from(block) > limit.max(u64::from(decoded)) {
        return Err(too_large(limit));
    }
    Ok(())
}

//! The header `Content-Encoding`: <https://www.rfc-editor.org/rfc/rfc9110#field.content-encoding>.

use super::error::{Failure, Reason};
use reqwest::header::HeaderValue;
use std::io::Read;

/// Largest window of a zstd frame, as a power of two: 8 MiB, the limit of <https://www.rfc-editor.org/rfc/rfc9659>.
#[cfg(feature = "zarr")]
const ZSTD_WINDOW_LOG: u32 = 23;
/// Longest name that an error shows, in characters.
const SHOWN: usize = 40;

/// An encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    /// zlib, or deflate without a header, as some servers send.
    Deflate,
    #[cfg(feature = "zarr")]
    Zstd,
}

/// The encodings of a body, in the order in which they were applied.
pub(super) fn parse<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Vec<Encoding>, Reason> {
    let mut encodings = Vec::new();
    for header in headers {
        let Ok(text) = header.to_str() else { return Err(Reason::Encoding { name: "?".into() }) };
        for name in text.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                // Some object stores report the framing of the upload, which the body does not have.
                "" | "identity" | "aws-chunked" => {}
                "gzip" | "x-gzip" => encodings.push(Encoding::Gzip),
                "deflate" => encodings.push(Encoding::Deflate),
                #[cfg(feature = "zarr")]
                "zstd" => encodings.push(Encoding::Zstd),
                _ => return Err(Reason::Encoding { name: name.chars().take(SHOWN).collect() }),
            }
        }
    }
    Ok(encodings)
}

/// Decodes a body in place. The decoded body has at most `limit` bytes.
pub(super) async fn decode(encodings: Vec<Encoding>, body: &mut Vec<u8>, limit: u64) -> Result<(), Failure> {
    if encodings.is_empty() {
        return Ok(());
    }
    let mut encoded = std::mem::take(body);
    let task = tokio::task::spawn_blocking(move || {
        for encoding in encodings.into_iter().rev() {
            encoded = decode_one(encoding, &encoded, limit)?;
        }
        Ok::<_, Failure>(encoded)
    });
    *body = task.await.map_err(|error| Failure::with_source(Reason::Broken, error))??;
    Ok(())
}

fn decode_one(encoding: Encoding, encoded: &[u8], limit: u64) -> Result<Vec<u8>, Failure> {
    match encoding {
        Encoding::Gzip => read("gzip", flate2::bufread::MultiGzDecoder::new(encoded), limit),
        Encoding::Deflate if has_zlib_header(encoded) => read("deflate", flate2::bufread::ZlibDecoder::new(encoded), limit),
        Encoding::Deflate => read("deflate", flate2::bufread::DeflateDecoder::new(encoded), limit),
        #[cfg(feature = "zarr")]
        Encoding::Zstd => {
            let invalid = |error| Failure::with_source(Reason::Encoded { name: "zstd" }, error);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(encoded).map_err(invalid)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(invalid)?;
            read("zstd", decoder, limit)
        }
    }
}

fn read(name: &'static str, decoder: impl Read, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let read = decoder.take(limit.saturating_add(1)).read_to_end(&mut out);
    read.map_err(|error| Failure::with_source(Reason::Encoded { name }, error))?;
    if out.len() as u64 > limit { Err(Reason::TooLarge { limit }.into()) } else { Ok(out) }
}

/// Method 8 and a checksum: <https://www.rfc-editor.org/rfc/rfc1950#section-2.2>.
fn has_zlib_header(encoded: &[u8]) -> bool {
    matches!(encoded, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

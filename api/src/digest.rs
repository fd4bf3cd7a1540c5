//! Digests of frames between programs. The digest of a frame identifies the bytes that the source sent; a frame that is fetched again must
//! have the same digest.

use thiserror::Error;

/// The digest of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDigest {
    /// The number of the frame in the job.
    pub frame: usize,
    /// A hash of the bytes, or [`BLANK`]; never 0.
    pub digest: u64,
}

/// The digest of a frame that is zero because it could not be fetched or decoded.
pub const BLANK: u64 = u64::MAX;

/// A frame has other bytes than at its first fetch.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the source changed while the job runs: frame {frame} was fetched again after the loss of a server, and has other bytes than \
     before; run the job again, from a source that stays as it is"
)]
pub struct SourceChanged {
    /// The number of the frame in the job.
    pub frame: usize,
}

/// Bytes of one digest in a body.
const BYTES: usize = 16;

/// Digests as a body: for each frame its number and its digest, 8 bytes each, little endian.
pub fn encode(digests: &[FrameDigest]) -> Vec<u8> {
    digests.iter().flat_map(|each| [(each.frame as u64).to_le_bytes(), each.digest.to_le_bytes()]).flatten().collect()
}

/// The digests in a body; `None` if the body has another form.
pub fn decode(body: &[u8]) -> Option<Vec<FrameDigest>> {
    let (pairs, []) = body.as_chunks::<BYTES>() else { return None };
    pairs
        .iter()
        .map(|pair| {
            let (numbers, _) = pair.as_chunks::<8>();
            let frame = usize::try_from(u64::from_le_bytes(numbers[0])).ok()?;
            let digest = u64::from_le_bytes(numbers[1]);
            (digest != 0).then_some(FrameDigest { frame, digest })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_contains_the_digests_in_order() {
        let digests = [FrameDigest { frame: 7, digest: 1 << 40 }, FrameDigest { frame: 0, digest: BLANK }];
        let body = encode(&digests);
        assert_eq!(body.len(), 32);
        assert_eq!(decode(&body).unwrap(), digests);
        assert_eq!(decode(&[]), Some(Vec::new()));
        assert_eq!(decode(&body[1..]), None);
        assert_eq!(decode(&[0; 16]), None, "no digest is 0");
    }
}

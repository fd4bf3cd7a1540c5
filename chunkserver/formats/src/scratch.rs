//! Memory that a decoder allocates beyond the frame, from the first bytes of an image.

use crate::decode::{self, ImageFormat};
use api::geometry::FrameSpec;

/// Bytes of a coefficient of a JPEG.
const COEFFICIENT: u64 = 2;

/// Bytes that the decoder of `body` allocates beyond the frame and beyond the plan of a job over gray images.
///
/// A baseline JPEG, a PNG and a TIFF in gray are decoded into the frame, with buffers for some rows. A progressive JPEG (ITU-T T.81, G.1,
/// <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>) needs the coefficients of the whole image, padded to blocks of 8×8. A TIFF whose
/// bytes have their bits in reverse order is copied, a strip at a time. A TIFF that is not readable counts as a frame.
pub fn beyond_plan(body: &[u8], frame: FrameSpec) -> u64 {
    match ImageFormat::of(body) {
        Some(ImageFormat::Jpeg) if is_progressive(body) => {
            let padded = frame.height.next_multiple_of(16) as u64 * frame.width.next_multiple_of(16) as u64;
            padded.saturating_mul(COEFFICIENT)
        }
        Some(ImageFormat::Tiff) => decode::tiff_copies(body).map_or(frame.bytes() as u64, |bytes| bytes as u64),
        Some(ImageFormat::Jpeg | ImageFormat::Png) | None => 0,
    }
}

/// Whether the frame header of a JPEG is that of a progressive mode (T.81, table B.1).
fn is_progressive(jpeg: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker]) = jpeg.get(at..at + 2) {
        match marker {
            // Fill bytes before a marker (T.81, B.1.1.2).
            0xff => {
                at += 1;
                continue;
            }
            0xc2 | 0xc6 | 0xca | 0xce => return true,
            // The scan follows the frame header.
            0xda => return false,
            _ => {}
        }
        let Some(&[high, low]) = jpeg.get(at + 2..at + 4) else { return false };
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::geometry::Dtype;
    use jpeg_encoder::{ColorType, Encoder};

    #[test]
    fn a_progressive_jpeg_needs_its_coefficients() {
        let frame = FrameSpec { height: 20, width: 30, dtype: Dtype::Uint8 };
        let jpeg = |progressive| {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, 90);
            encoder.set_progressive(progressive);
            encoder.encode(&[7; 600], 30, 20, ColorType::Luma).unwrap();
            out
        };
        assert_eq!(beyond_plan(&jpeg(false), frame), 0);
        assert_eq!(beyond_plan(&jpeg(true), frame), 2 * 32 * 32);
        assert_eq!(beyond_plan(b"II*\0", frame), 600);
        assert_eq!(beyond_plan(&[0xff, 0xd8, 0xff, 0xe0, 0xff], frame), 0);
        let case = |name: &str| std::fs::read(format!("{}/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(beyond_plan(&case("no_stripbytecounts.tif"), frame), 0);
        let reversed = case("fillorder2_u1_raw.tif");
        assert_eq!(beyond_plan(&reversed, frame), reversed.len() as u64);
        assert_eq!(beyond_plan(b"", frame), 0);
    }
}

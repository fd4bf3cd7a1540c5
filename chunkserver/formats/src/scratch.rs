//! Memory that a decoder allocates beyond the frame, from the first bytes of an image.

use crate::decode::{self, ImageFormat};
use api::geometry::FrameSpec;

/// Bytes that the decoder of `body` allocates beyond the frame and beyond the plan of a job over gray images.
///
/// An ordinary JPEG, a PNG and a TIFF in gray are decoded into the frame, with buffers for some rows. A progressive JPEG (ITU-T T.81, G.1,
/// <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>) and other JPEG that are not ordinary need the coefficients and the samples of the whole
/// image, padded to blocks of 8×8. A TIFF whose bytes have their bits in reverse order is copied, a strip at a time. A TIFF that is not
/// readable counts as a frame.
pub fn beyond_plan(body: &[u8], frame: FrameSpec) -> u64 {
    match ImageFormat::of(body) {
        Some(ImageFormat::Jpeg) => decode::jpeg_scratch(body),
        Some(ImageFormat::Tiff) => decode::tiff_copies(body).map_or(frame.bytes() as u64, |bytes| bytes as u64),
        Some(ImageFormat::Png) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::geometry::Dtype;
    use jpeg_encoder::{ColorType, Encoder};

    #[test]
    fn a_progressive_jpeg_needs_its_coefficients() {
        let frame = FrameSpec { height: 20, width: 30, dtype: Dtype::Uint8 };
        let jpeg = |progressive, restarts| {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, 90);
            encoder.set_progressive(progressive);
            encoder.set_restart_interval(restarts);
            encoder.encode(&[7; 600], 30, 20, ColorType::Luma).unwrap();
            out
        };
        assert_eq!(beyond_plan(&jpeg(false, 0), frame), 0);
        let all = 3 * 24 * 32;
        assert_eq!([beyond_plan(&jpeg(true, 0), frame), beyond_plan(&jpeg(false, 2), frame)], [all, all]);
        assert_eq!(beyond_plan(b"II*\0", frame), 600);
        assert_eq!(beyond_plan(&[0xff, 0xd8, 0xff, 0xe0, 0xff], frame), 0);
        let case = |name: &str| std::fs::read(format!("{}/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(beyond_plan(&case("no_stripbytecounts.tif"), frame), 0);
        let reversed = case("fillorder2_u1_raw.tif");
        assert_eq!(beyond_plan(&reversed, frame), reversed.len() as u64);
        assert_eq!(beyond_plan(b"", frame), 0);
    }
}

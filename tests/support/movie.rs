//! A synthetic movie: a bright blob that moves and flickers over noise. The pixels depend only on the index of the frame.

use api::geometry::{Dtype, FrameSpec};

/// A movie whose frames have one shape and type.
#[derive(Clone, Copy, Debug)]
pub struct Movie {
    /// Height, width and element type of its frames.
    pub frame: FrameSpec,
}

impl Movie {
    /// A movie of `height` × `width` frames.
    pub const fn of(height: usize, width: usize, dtype: Dtype) -> Self {
        Self { frame: FrameSpec { height, width, dtype } }
    }

    /// The pixels of frame `index`, little endian.
    pub fn raw(&self, index: i64) -> Vec<u8> {
        let FrameSpec { height, width, dtype } = self.frame;
        let time = index as f64;
        let center = [0.5 + 0.3 * (time / 2.7).sin(), 0.5 + 0.3 * (time / 3.6).cos()];
        let bright = 0.7 + 0.2 * (time * 1.3).sin();
        let mut pixels = Vec::with_capacity(self.frame.bytes());
        for y in 0..height {
            for x in 0..width {
                let (dy, dx) = (y as f64 / height as f64 - center[0], x as f64 / width as f64 - center[1]);
                let value = bright * (-(dy * dy + dx * dx) * 40.0).exp() + 0.1 * noise(index, y, x);
                match dtype {
                    Dtype::Uint8 => pixels.push((value * 255.0) as u8),
                    Dtype::Uint16 => pixels.extend(((value * 65535.0) as u16).to_le_bytes()),
                    Dtype::Float32 => pixels.extend((value as f32).to_le_bytes()),
                }
            }
        }
        pixels
    }

    /// The pixels of `depth` frames from `first`, axes (t, y, x).
    pub fn volume(&self, first: i64, depth: i64) -> Vec<u8> {
        (first..first + depth).flat_map(|index| self.raw(index)).collect()
    }

    /// Frame `index` as a PNG.
    pub fn png(&self, index: i64) -> Vec<u8> {
        png(self.frame, &self.raw(index))
    }
}

/// Uniform noise from 0 to 1: a hash of the position.
fn noise(index: i64, y: usize, x: usize) -> f64 {
    let mut h = (index as u64) << 40 ^ (y as u64) << 20 ^ x as u64;
    for _ in 0..2 {
        h = (h ^ h >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (h >> 40) as f64 / (1_u64 << 24) as f64
}

/// A gray PNG of little-endian pixels.
///
/// # Panics
/// For `Float32`: PNG has no floats.
pub fn png(frame: FrameSpec, pixels: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, frame.width as u32, frame.height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let samples = match frame.dtype {
        Dtype::Uint8 => pixels.to_vec(),
        Dtype::Uint16 => {
            encoder.set_depth(png::BitDepth::Sixteen);
            pixels.chunks_exact(2).flat_map(|b| [b[1], b[0]]).collect()
        }
        Dtype::Float32 => panic!("PNG has no floats"),
    };
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&samples).unwrap();
    writer.finish().unwrap();
    out
}

/// A PNG whose header states a larger image than the data contains.
pub fn png_with_false_header(height: u32, width: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    // A zlib header and an empty last block. A decoder that trusts the image header has allocated the whole image before this block.
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]).unwrap();
    // The encoder reports the incomplete image, which is intended.
    let _ = writer.finish();
    out
}

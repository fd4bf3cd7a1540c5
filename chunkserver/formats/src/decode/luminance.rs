//! Pixels of several channels in, their luminance out.
//!
//! Two channels are gray and alpha, three are RGB, four are RGB and alpha. Alpha is dropped.

/// 8-bit channels to 8-bit gray.
pub(super) fn from_u8(pixels: &[u8], channels: usize, out: &mut [u8]) {
    if channels < 3 {
        for (gray, pixel) in out.iter_mut().zip(pixels.chunks_exact(channels)) {
            *gray = pixel[0];
        }
    } else {
        for (gray, pixel) in out.iter_mut().zip(pixels.chunks_exact(channels)) {
            *gray = of_u8(pixel[0], pixel[1], pixel[2]);
        }
    }
}

/// 16-bit channels, in the byte order that `sample` reads, to 16-bit gray, little endian.
pub(super) fn from_u16(pixels: &[u8], channels: usize, sample: fn([u8; 2]) -> u16, out: &mut [u8]) {
    let read = |pixel: &[u8], channel: usize| u32::from(sample([pixel[2 * channel], pixel[2 * channel + 1]]));
    for (gray, pixel) in out.chunks_exact_mut(2).zip(pixels.chunks_exact(2 * channels)) {
        let value = if channels < 3 { read(pixel, 0) } else { weigh(read(pixel, 0), read(pixel, 1), read(pixel, 2)) };
        gray.copy_from_slice(&(value as u16).to_le_bytes());
    }
}

/// The luminance of one pixel.
pub(super) fn of_u8(red: u8, green: u8, blue: u8) -> u8 {
    weigh(red.into(), green.into(), blue.into()) as u8
}

/// The luma of ITU-R BT.601, <https://www.itu.int/rec/R-REC-BT.601>: 0.299 R + 0.587 G + 0.114 B, with the integer weights of Pillow. The
/// weights sum to 2^16, so the sums of 16-bit samples fit 32 bits.
fn weigh(red: u32, green: u32, blue: u32) -> u32 {
    (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grays_are_unchanged_and_primaries_match_pillow() {
        for v in 0..=255 {
            assert_eq!(of_u8(v, v, v), v);
        }
        // Image.new("RGB", (1, 1), colour).convert("L")
        assert_eq!(of_u8(255, 0, 0), 76);
        assert_eq!(of_u8(0, 255, 0), 150);
        assert_eq!(of_u8(0, 0, 255), 29);
        assert_eq!(weigh(65535, 65535, 65535), 65535);
    }
}

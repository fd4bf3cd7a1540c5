//! LZW in TIFF: every kind of chunk, and noise that the `tiff` crate refuses.

use super::*;
use std::error::Error as _;

/// Bytes that do not compress.
fn noise(count: usize, mut state: u32) -> Vec<u8> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn image(tile: Option<usize>, lzw: usize, dtype: Dtype) -> Tiff {
    Tiff { big: false, tile, lzw: Some(lzw), white_is_zero: false, spec: spec(dtype), pages: 1 }
}

#[test]
fn strips_and_tiles_of_every_type_order_and_predictor() {
    for dtype in [Dtype::Uint8, Dtype::Uint16, Dtype::Float32] {
        for pixels in [samples(H * W * dtype.size()), noise(H * W * dtype.size(), 5)] {
            for (big, tile) in [(false, None), (true, None), (false, Some(16)), (true, Some(16)), (false, Some(64))] {
                for predictor in 1..=3 {
                    let white_is_zero = dtype != Dtype::Float32 && predictor == 1;
                    let image = Tiff { big, white_is_zero, ..image(tile, predictor, dtype) }.encode(&pixels);
                    if predictor == 3 && dtype != Dtype::Float32 {
                        assert!(matches!(try_decode(&image, spec(dtype), Color::Refuse), Err(Error::Unsupported { .. })));
                    } else {
                        check(&image, spec(dtype), Color::Refuse, &pixels);
                    }
                }
            }
        }
    }
}

/// The LZW decoder resets at a position that depends on the data. Many images of noise cover every case.
#[test]
fn noise_of_any_length_is_read_to_its_end() {
    for side in 16..=90 {
        let expected = FrameSpec { height: side, width: 2 * side, dtype: Dtype::Uint8 };
        for tile in [None, Some(32), Some(64)] {
            let pixels = noise(expected.bytes(), side as u32);
            let image = Tiff { spec: expected, ..image(tile, 1, Dtype::Uint8) }.encode(&pixels);
            check(&image, expected, Color::Refuse, &pixels);
        }
    }
}

/// Rows that are longer than one band, and chunks of several bands.
#[test]
fn large_chunks_are_decompressed_in_bands() {
    for (height, width, tile) in [(12, 70_000, None), (300, 1_000, Some(512))] {
        let expected = FrameSpec { height, width, dtype: Dtype::Uint16 };
        let pixels = noise(expected.bytes(), 9);
        let image = Tiff { spec: expected, ..image(tile, 2, Dtype::Uint16) }.encode(&pixels);
        check(&image, expected, Color::Refuse, &pixels);
    }
}

#[test]
fn chunks_with_a_wrong_size_or_offset_are_refused() {
    let pixels = noise(H * W, 3);
    let whole = image(Some(16), 1, Dtype::Uint8).encode(&pixels);
    let chunks = H.div_ceil(16) * W.div_ceil(16);
    let word = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
    let forged = |at: usize, value: u32| {
        let mut image = whole.clone();
        image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        try_decode(&image, spec(Dtype::Uint8), Color::Refuse).unwrap_err()
    };
    for chunk in 0..chunks {
        let (offset, size) = (8 + 4 * chunk, 8 + 4 * (chunks + chunk));
        for length in [0, 1, word(size) / 2] {
            let error = forged(size, length);
            assert!(error.source().unwrap().to_string().contains("before its last pixel"), "{error:?}");
        }
        for error in [forged(size, u32::MAX), forged(offset, u32::MAX), forged(offset, whole.len() as u32)] {
            assert!(matches!(error, Error::Truncated { .. }), "{error:?}");
        }
    }
    // A clear code and an end code.
    let mut ended = whole.clone();
    let start = word(8) as usize;
    ended[start..start + 3].copy_from_slice(&[0x80, 0x40, 0x40]);
    assert!(matches!(try_decode(&ended, spec(Dtype::Uint8), Color::Refuse), Err(Error::Corrupt { .. })));
}

/// The decoder skips any number of codes that only reset the decoder.
#[test]
fn consecutive_clear_codes_are_skipped() {
    let expected = FrameSpec { height: 20, width: 4, dtype: Dtype::Uint8 };
    let pixels = noise(80, 1);
    let mut file = Tiff { spec: expected, ..image(None, 1, Dtype::Uint8) }.encode(&pixels);
    for (strip, values) in pixels.chunks(40).enumerate() {
        let codes = values.iter().flat_map(|&value| std::iter::repeat_n(256, 40).chain([u32::from(value)]));
        let bits: Vec<bool> = codes.flat_map(|code| (0..9).rev().map(move |i| code >> i & 1 == 1)).collect();
        let packed = bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |v, (i, &bit)| v | u8::from(bit) << (7 - i)));
        let start = file.len();
        file.extend(packed);
        let length = file.len() - start;
        for (at, value) in [(8 + 4 * strip, start), (16 + 4 * strip, length)] {
            file[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        }
    }
    // Without an end code, as in the files of some writers.
    check(&file, expected, Color::Refuse, &pixels);
}

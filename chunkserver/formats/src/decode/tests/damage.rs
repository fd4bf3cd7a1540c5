//! Forged, truncated and damaged images of every kind: an error or the right pixels, never a panic.

use super::*;

#[test]
fn a_forged_header_allocates_nothing() {
    let started = std::time::Instant::now();
    let mut images = vec![png_by_hand(50_000, 50_000, 8, 0, false, &[0; 100]), png_by_hand(50_000, 50_000, 16, 6, true, &[0; 100])];
    let forged = FrameSpec { height: 50_000, width: 50_000, dtype: Dtype::Float32 };
    images.push(Tiff { big: false, tile: Some(16), lzw: None, white_is_zero: false, spec: forged, pages: 1 }.encode(&[]));
    let mut jpeg = jpeg(jpeg_encoder::ColorType::Luma, false, &samples(H * W));
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[at + 5..at + 9].copy_from_slice(&[0xc3, 0x50, 0xc3, 0x50]);
    assert_eq!(probe(&jpeg, Color::Refuse).unwrap(), FrameSpec { dtype: Dtype::Uint8, ..forged });
    images.push(jpeg);
    for image in images {
        assert!(try_decode(&image, spec(Dtype::Uint8), Color::Luminance).is_err());
    }
    assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
}

/// One image of every kind.
fn every_kind() -> Vec<(Vec<u8>, FrameSpec)> {
    let mut images = vec![
        (gray_png(), spec(Dtype::Uint8)),
        (png(ColorType::Rgb, BitDepth::Eight, None, &samples(3 * H * W)), spec(Dtype::Uint8)),
        (png(ColorType::Grayscale, BitDepth::Two, None, &samples(H * W.div_ceil(4))), spec(Dtype::Uint8)),
        (png(ColorType::Indexed, BitDepth::Four, Some(samples(48)), &samples(H * W.div_ceil(2))), spec(Dtype::Uint8)),
    ];
    let passes = by_hand::adam7(H, W, 8, |y, x| (y * x) as u8);
    images.push((png_by_hand(W as u32, H as u32, 8, 0, true, &passes), spec(Dtype::Uint8)));
    for progressive in [false, true] {
        images.push((jpeg(jpeg_encoder::ColorType::Luma, progressive, &samples(H * W)), spec(Dtype::Uint8)));
        images.push((jpeg(jpeg_encoder::ColorType::Rgb, progressive, &samples(3 * H * W)), spec(Dtype::Uint8)));
    }
    for compression in compressions() {
        images.push((tiff::<colortype::Gray8>(compression, &samples(H * W)), spec(Dtype::Uint8)));
        images.push((tiff::<colortype::RGB8>(compression, &samples(3 * H * W)), spec(Dtype::Uint8)));
        images.push((tiff::<colortype::Gray32Float>(compression, &vec![0.5; H * W]), spec(Dtype::Float32)));
    }
    for dtype in [Dtype::Uint8, Dtype::Uint16, Dtype::Float32] {
        let image = Tiff { big: true, tile: Some(16), lzw: None, white_is_zero: false, spec: spec(dtype), pages: 1 };
        images.push((image.encode(&samples(H * W * dtype.size())), spec(dtype)));
        let predictor = if dtype == Dtype::Float32 { 3 } else { 2 };
        let image = Tiff { big: false, lzw: Some(predictor), ..image };
        images.push((image.encode(&samples(H * W * dtype.size())), spec(dtype)));
    }
    images
}

#[test]
fn a_truncated_image_is_an_error() {
    for (image, expected) in every_kind() {
        let whole = try_decode(&image, expected, Color::Luminance).unwrap();
        for end in (0..image.len()).step_by(37).chain([image.len() - 1]) {
            let _ = probe(&image[..end], Color::Luminance);
            // The bytes after the last pixel (IEND, a directory) may be missing, pixels may not.
            if let Ok(pixels) = try_decode(&image[..end], expected, Color::Luminance) {
                assert!(pixels == whole, "{end} of {} bytes gave other pixels", image.len());
            }
        }
    }
}

/// Other decoders fill the missing part with gray.
#[test]
fn entropy_coded_data_that_lacks_bytes_before_the_end_marker_is_an_error() {
    let pixels = samples(3 * H * W);
    for progressive in [false, true] {
        for (kind, channels) in [(jpeg_encoder::ColorType::Luma, 1), (jpeg_encoder::ColorType::Rgb, 3)] {
            let image = jpeg(kind, progressive, &pixels[..channels * H * W]);
            let whole = try_decode(&image, spec(Dtype::Uint8), Color::Luminance).unwrap();
            let start = image.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
            let (mut refused, ends) = (0, start + 20..image.len() - 2);
            for end in ends.clone() {
                let cut = [&image[..end], &[0xff, 0xd9]].concat();
                match try_decode(&cut, spec(Dtype::Uint8), Color::Luminance) {
                    // Padding may be missing, and bits of the last value of an ordinary image.
                    Ok(pixels) => {
                        let different = pixels.iter().zip(&whole).filter(|(a, b)| a != b).count();
                        assert!(different <= if progressive { 0 } else { 8 * 8 }, "{end} of {} bytes", image.len());
                    }
                    Err(_) => refused += 1,
                }
            }
            assert!(refused + 3 >= ends.len(), "{refused} of {} were refused", ends.len());
        }
    }
}

#[test]
fn a_flipped_bit_never_panics_and_checksums_detect_it() {
    for (image, expected) in every_kind() {
        let whole = try_decode(&image, expected, Color::Luminance).unwrap();
        let bits = image.len() * 8;
        // Every bit of the header, and samples of the rest.
        for bit in (0..bits.min(8 * 120)).chain((0..bits).step_by(bits / 300 + 1)) {
            let mut damaged = image.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let _ = probe(&damaged, Color::Luminance);
            let decoded = try_decode(&damaged, expected, Color::Luminance);
            if ImageFormat::of(&image) == Some(ImageFormat::Png)
                && let Ok(pixels) = decoded
            {
                assert!(pixels == whole, "bit {bit} of a PNG changed pixels without an error");
            }
        }
    }
}

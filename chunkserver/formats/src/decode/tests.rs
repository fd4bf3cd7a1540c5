//! Every format is encoded and decoded, and every error occurs.

mod by_hand;
mod damage;
mod tiff_lzw;

use super::{Color, Decoder, Error, ImageFormat, probe};
use ::png::{BitDepth, ColorType};
use ::tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};
use api::geometry::{Dtype, FrameSpec};
use by_hand::{Tiff, png_by_hand};
use std::io::Cursor;

const H: usize = 37;
const W: usize = 53;

fn spec(dtype: Dtype) -> FrameSpec {
    FrameSpec { height: H, width: W, dtype }
}

/// A smooth ramp with texture: the bytes compress, and all rows differ.
fn samples(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i / 7 + (i * i / 13) % 11) as u8).collect()
}

fn try_decode(bytes: &[u8], expected: FrameSpec, color: Color) -> Result<Vec<u8>, Error> {
    // Not zero, so that a decoder that needs a cleared buffer fails.
    let mut out = vec![0xa5; expected.bytes()];
    let mut decoder = Decoder { scratch: vec![0xa5; 100_000] };
    decoder.decode(bytes, expected, color, &mut out)?;
    Ok(out)
}

#[track_caller]
fn check(bytes: &[u8], expected: FrameSpec, color: Color, pixels: &[u8]) {
    if ImageFormat::of(bytes).is_some() {
        assert_eq!(probe(bytes, color).unwrap(), expected);
    }
    assert!(try_decode(bytes, expected, color).unwrap() == pixels, "pixels differ");
}

fn png(kind: ColorType, depth: BitDepth, palette: Option<Vec<u8>>, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, W as u32, H as u32);
    encoder.set_color(kind);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

fn gray_png() -> Vec<u8> {
    png(ColorType::Grayscale, BitDepth::Eight, None, &samples(H * W))
}

fn jpeg(kind: jpeg_encoder::ColorType, progressive: bool, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    encoder.set_progressive(progressive);
    encoder.encode(data, W as u16, H as u16, kind).unwrap();
    bytes
}

fn tiff<C: colortype::ColorType>(compression: Compression, data: &[C::Inner]) -> Vec<u8>
where
    [C::Inner]: ::tiff::encoder::TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(compression);
    encoder.write_image::<C>(W as u32, H as u32, data).unwrap();
    bytes.into_inner()
}

fn compressions() -> [Compression; 4] {
    [Compression::Uncompressed, Compression::Lzw, Compression::Deflate(DeflateLevel::Fast), Compression::Packbits]
}

#[test]
fn a_gray_png_is_unchanged() {
    check(&gray_png(), spec(Dtype::Uint8), Color::Refuse, &samples(H * W));
    let little: Vec<u8> = samples(2 * H * W);
    let big: Vec<u8> = little.chunks_exact(2).flat_map(|s| [s[1], s[0]]).collect();
    check(&png(ColorType::Grayscale, BitDepth::Sixteen, None, &big), spec(Dtype::Uint16), Color::Refuse, &little);
}

#[test]
fn samples_below_eight_bits_are_scaled_to_the_full_range() {
    for (depth, bits) in [(BitDepth::One, 1), (BitDepth::Two, 2), (BitDepth::Four, 4)] {
        let row = (W * bits).div_ceil(8);
        let packed = samples(H * row);
        let gray = |y: usize, x: usize| {
            let value = (packed[y * row + x * bits / 8] >> (8 - bits - x * bits % 8)) & ((1 << bits) - 1);
            (usize::from(value) * 255 / ((1 << bits) - 1)) as u8
        };
        let pixels: Vec<u8> = (0..H * W).map(|i| gray(i / W, i % W)).collect();
        check(&png(ColorType::Grayscale, depth, None, &packed), spec(Dtype::Uint8), Color::Refuse, &pixels);
    }
}

#[test]
fn the_passes_of_an_interlaced_png_are_combined() {
    let pixels = samples(H * W);
    let passes = by_hand::adam7(H, W, 8, |y, x| pixels[y * W + x]);
    check(&png_by_hand(W as u32, H as u32, 8, 0, true, &passes), spec(Dtype::Uint8), Color::Refuse, &pixels);
    let passes = by_hand::adam7(H, W, 1, |y, x| pixels[y * W + x] & 1);
    let bits: Vec<u8> = pixels.iter().map(|v| (v & 1) * 255).collect();
    check(&png_by_hand(W as u32, H as u32, 1, 0, true, &passes), spec(Dtype::Uint8), Color::Refuse, &bits);
}

#[test]
fn a_palette_of_grays_is_gray_and_a_palette_of_colours_is_colour() {
    let indices: Vec<u8> = samples(H * W).iter().map(|v| v % 4).collect();
    let grays = vec![9, 9, 9, 100, 100, 100, 0, 0, 0, 255, 255, 255];
    let gray = png(ColorType::Indexed, BitDepth::Eight, Some(grays), &indices);
    let pixels: Vec<u8> = indices.iter().map(|&i| [9, 100, 0, 255][usize::from(i)]).collect();
    check(&gray, spec(Dtype::Uint8), Color::Refuse, &pixels);

    let colours = vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
    let colour = png(ColorType::Indexed, BitDepth::Eight, Some(colours), &indices);
    let refused = probe(&colour, Color::Refuse).unwrap_err();
    assert!(matches!(refused, Error::ColourRefused { format: ImageFormat::Png, .. }));
    assert!(matches!(try_decode(&colour, spec(Dtype::Uint8), Color::Refuse), Err(Error::ColourRefused { .. })));
    let pixels: Vec<u8> = indices.iter().map(|&i| [76, 150, 29, 255][usize::from(i)]).collect();
    check(&colour, spec(Dtype::Uint8), Color::Luminance, &pixels);

    let short = png(ColorType::Indexed, BitDepth::Eight, Some(vec![1; 9]), &indices);
    assert!(matches!(try_decode(&short, spec(Dtype::Uint8), Color::Refuse), Err(Error::Corrupt { .. })));
}

#[test]
fn colour_and_alpha_are_refused_or_become_luminance() {
    let of = |p: &[u32]| {
        if p.len() < 3 { p[0] } else { (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16 }
    };
    for (kind, channels) in [(ColorType::Rgb, 3), (ColorType::Rgba, 4), (ColorType::GrayscaleAlpha, 2)] {
        let data = samples(H * W * channels);
        let wide: Vec<u32> = data.iter().map(|&v| v.into()).collect();
        let pixels: Vec<u8> = wide.chunks(channels).map(|p| of(p) as u8).collect();
        let image = png(kind, BitDepth::Eight, None, &data);
        check(&image, spec(Dtype::Uint8), Color::Luminance, &pixels);
        assert!(matches!(probe(&image, Color::Refuse), Err(Error::ColourRefused { .. })));
        let refused = try_decode(&image, spec(Dtype::Uint8), Color::Refuse).unwrap_err();
        assert!(refused.to_string().contains("set source.images.color: Luminance"), "{refused}");

        let data = samples(2 * H * W * channels);
        let wide: Vec<u32> = data.chunks(2).map(|s| u16::from_be_bytes([s[0], s[1]]).into()).collect();
        let pixels: Vec<u8> = wide.chunks(channels).flat_map(|p| (of(p) as u16).to_le_bytes()).collect();
        check(&png(kind, BitDepth::Sixteen, None, &data), spec(Dtype::Uint16), Color::Luminance, &pixels);
    }
    let data = samples(3 * H * W);
    let pixels: Vec<u8> = data.chunks(3).map(|p| of(&[p[0].into(), p[1].into(), p[2].into()]) as u8).collect();
    for compression in compressions() {
        let image = tiff::<colortype::RGB8>(compression, &data);
        check(&image, spec(Dtype::Uint8), Color::Luminance, &pixels);
        assert!(matches!(probe(&image, Color::Refuse), Err(Error::ColourRefused { .. })));
    }
}

#[test]
fn a_decoded_jpeg_is_close_to_the_original() {
    let data: Vec<u8> = (0..H * W).map(|i| (2 * (i % W) + 3 * (i / W)) as u8).collect();
    let colours: Vec<u8> = data.iter().flat_map(|&v| [v, v, v]).collect();
    let close = |image: &[u8], color| {
        assert_eq!(probe(image, color).unwrap(), spec(Dtype::Uint8));
        let pixels = try_decode(image, spec(Dtype::Uint8), color).unwrap();
        let worst = pixels.iter().zip(&data).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(8), "off by {worst:?}");
    };
    for progressive in [false, true] {
        close(&jpeg(jpeg_encoder::ColorType::Luma, progressive, &data), Color::Refuse);
        let colour = jpeg(jpeg_encoder::ColorType::Rgb, progressive, &colours);
        close(&colour, Color::Luminance);
        assert!(matches!(probe(&colour, Color::Refuse), Err(Error::ColourRefused { .. })));
        assert!(matches!(try_decode(&colour, spec(Dtype::Uint8), Color::Refuse), Err(Error::ColourRefused { .. })));
    }
}

#[test]
fn a_tiff_is_unchanged() {
    for compression in compressions() {
        check(&tiff::<colortype::Gray8>(compression, &samples(H * W)), spec(Dtype::Uint8), Color::Refuse, &samples(H * W));
        let words: Vec<u16> = samples(H * W).iter().map(|&v| u16::from(v) * 201).collect();
        let little: Vec<u8> = words.iter().flat_map(|v| v.to_le_bytes()).collect();
        check(&tiff::<colortype::Gray16>(compression, &words), spec(Dtype::Uint16), Color::Refuse, &little);
        let floats: Vec<f32> = samples(H * W).iter().map(|&v| f32::from(v) / 3.0 - 7.0).collect();
        let little: Vec<u8> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
        check(&tiff::<colortype::Gray32Float>(compression, &floats), spec(Dtype::Float32), Color::Refuse, &little);
    }
    let doubles = tiff::<colortype::Gray64Float>(Compression::Uncompressed, &vec![1.0; H * W]);
    assert!(matches!(probe(&doubles, Color::Refuse), Err(Error::Unsupported { format: ImageFormat::Tiff, .. })));
}

#[test]
fn a_tiff_has_either_byte_order_strips_or_tiles_and_either_interpretation() {
    for big in [false, true] {
        for tile in [None, Some(16)] {
            for white_is_zero in [false, true] {
                for dtype in [Dtype::Uint8, Dtype::Uint16, Dtype::Float32] {
                    let pixels = samples(H * W * dtype.size());
                    let image = Tiff { big, tile, lzw: None, white_is_zero, spec: spec(dtype), pages: 1 }.encode(&pixels);
                    check(&image, spec(dtype), Color::Refuse, &pixels);
                }
            }
        }
    }
    let pages =
        Tiff { big: false, tile: None, lzw: None, white_is_zero: false, spec: spec(Dtype::Uint8), pages: 2 }.encode(&samples(H * W));
    assert!(probe(&pages, Color::Refuse).unwrap_err().to_string().contains("several pages"));
}

#[test]
fn a_raw_body_has_the_size_of_one_frame() {
    check(&samples(4 * H * W), spec(Dtype::Float32), Color::Refuse, &samples(4 * H * W));
    assert!(matches!(probe(&samples(H * W), Color::Refuse), Err(Error::NoHeader)));
    let short = try_decode(&samples(H * W - 1), spec(Dtype::Uint8), Color::Refuse);
    assert!(matches!(short, Err(Error::RawSize { found: 1960, expected: 1961 })));
    assert!(matches!(try_decode(&[], spec(Dtype::Uint8), Color::Refuse), Err(Error::RawSize { found: 0, .. })));
}

#[test]
fn raw_pixels_that_start_like_another_format_are_raw() {
    for start in [&b"\xff\xd8\xff"[..], b"\xff\xd8\xff\xe0", b"<html", b"{"] {
        let mut pixels = samples(H * W);
        pixels[..start.len()].copy_from_slice(start);
        assert_eq!(try_decode(&pixels, spec(Dtype::Uint8), Color::Refuse).unwrap(), pixels);
    }
}

#[test]
fn a_text_body_is_reported_by_its_kind_alone() {
    for (page, kind) in [
        (&b"\n <html><body>hidden</body></html>"[..], "HTML"),
        (b"<!DOCTYPE HTML>hidden", "HTML"),
        (b"<?xml version=\"1.0\"?><hidden/>", "HTML or XML"),
        (b"{\"hidden\": 1}", "JSON"),
    ] {
        for error in [probe(page, Color::Refuse).unwrap_err(), try_decode(page, spec(Dtype::Uint8), Color::Refuse).unwrap_err()] {
            assert_eq!(error.to_string(), format!("the body is text, not an image: {kind}"));
        }
    }
}

#[test]
fn another_shape_is_refused() {
    let expected = FrameSpec { height: W, width: H, dtype: Dtype::Uint8 };
    for image in [
        gray_png(),
        jpeg(jpeg_encoder::ColorType::Luma, false, &samples(H * W)),
        tiff::<colortype::Gray8>(Compression::Lzw, &samples(H * W)),
    ] {
        let error = try_decode(&image, expected, Color::Refuse).unwrap_err();
        assert_eq!(error.to_string(), "the image is 37×53 uint8, the job expects 53×37 uint8");
    }
    let deeper = try_decode(&gray_png(), spec(Dtype::Uint16), Color::Refuse);
    assert!(matches!(deeper, Err(Error::WrongShape { .. })));
}

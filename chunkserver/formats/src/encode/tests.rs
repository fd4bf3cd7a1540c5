use super::*;

const FLOATS: [f32; 6] = [0.5, 1.0, -2.25, 1e20, f32::NAN, f32::INFINITY];

fn floats() -> Vec<u8> {
    FLOATS.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn refusal(element: Element, shape: &[usize], format: Format) -> String {
    let data = vec![0; shape.iter().product::<usize>() * element.size()];
    encode(&ArrayRef { element, shape, data: &data }, format).unwrap_err().to_string()
}

fn text(element: Element, shape: &[usize], data: &[u8], format: Format) -> String {
    String::from_utf8(encode(&ArrayRef { element, shape, data }, format).unwrap()).unwrap()
}

#[test]
fn npy_headers_match_numpy() {
    let check = |element: Element, shape: &[usize], dictionary: &str| {
        let data = vec![7; shape.iter().product::<usize>() * element.size()];
        let file = encode(&ArrayRef { element, shape, data: &data }, Format::Npy).unwrap();
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!(start % 64, 0);
        let header = std::str::from_utf8(&file[10..start]).unwrap();
        assert!(header.ends_with('\n'));
        assert_eq!(header.trim_end(), dictionary);
        assert_eq!(&file[start..], data);
    };
    check(Element::Uint8, &[3, 4], "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }");
    check(Element::Uint16, &[2, 3, 4], "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3, 4), }");
    check(Element::Uint64, &[5], "{'descr': '<u8', 'fortran_order': False, 'shape': (5,), }");
    check(Element::Int32, &[0, 2], "{'descr': '<i4', 'fortran_order': False, 'shape': (0, 2), }");
    check(Element::Float32, &[1], "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    check(Element::Float64, &[], "{'descr': '<f8', 'fortran_order': False, 'shape': (), }");
    check(Element::Complex64, &[2], "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }");
    // One more character would add 64 bytes to the header.
    check(Element::Uint8, &[1; 22], &format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {}, }}", tuple(&[1; 22])));
}

fn decoded(png: &[u8]) -> (::png::BitDepth, (u32, u32), Vec<u8>) {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, ::png::ColorType::Grayscale);
    (info.bit_depth, (info.height, info.width), pixels)
}

#[test]
fn png_keeps_small_integers_and_scales_other_types() {
    let check = |element, data: &[u8], depth, pixels: &[u8]| {
        let png = encode(&ArrayRef { element, shape: &[2, 3], data }, Format::Png).unwrap();
        assert_eq!(decoded(&png), (depth, (2, 3), pixels.to_vec()), "{element}");
    };
    check(Element::Uint8, &[1, 2, 3, 4, 5, 6], ::png::BitDepth::Eight, &[1, 2, 3, 4, 5, 6]);
    let words: Vec<u8> = (1000u16..1006).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = (1000u16..1006).flat_map(u16::to_be_bytes).collect();
    check(Element::Uint16, &words, ::png::BitDepth::Sixteen, &big);
    let signed: Vec<u8> = [-10i32, 0, 10, 20, 30, 41].iter().flat_map(|v| v.to_le_bytes()).collect();
    check(Element::Int32, &signed, ::png::BitDepth::Eight, &[0, 50, 100, 150, 200, 255]);
    check(Element::Float32, &floats(), ::png::BitDepth::Eight, &[0, 0, 0, 255, 0, 255]);
}

#[test]
fn contrast_maps_the_finite_range_to_all_grays() {
    let check = |values: &[f64], contrast, expected: &[u8]| {
        assert_eq!(gray(values.iter().copied(), contrast), expected);
    };
    check(&[-1.0, 0.0, 1.0], Contrast::Linear, &[0, 128, 255]);
    check(&[f64::NAN, f64::NEG_INFINITY, 5.0, 6.0, f64::INFINITY], Contrast::Linear, &[0, 0, 0, 255, 255]);
    check(&[f64::MIN, 0.0, f64::MAX], Contrast::Linear, &[0, 128, 255]);
    check(&[0.0, 9.0, 99.0, -3.0, f64::NAN], Contrast::Log, &[0, 128, 255, 0, 0]);
    check(&[7.0, 7.0], Contrast::Linear, &[0, 0]);
    check(&[], Contrast::Log, &[]);
}

#[test]
fn csv_has_one_line_per_row() {
    let check = |element, shape: &[usize], data: &[u8], expected: &str| {
        assert_eq!(text(element, shape, data, Format::Csv), expected);
    };
    check(Element::Uint8, &[2, 3], &[1, 2, 3, 4, 5, 6], "1,2,3\n4,5,6\n");
    check(Element::Uint8, &[3], &[1, 2, 3], "1\n2\n3\n");
    check(Element::Uint8, &[], &[9], "9\n");
    check(Element::Uint8, &[0, 3], &[], "");
    check(Element::Uint8, &[3, 0], &[], "");
    check(Element::Int32, &[1], &(-5i32).to_le_bytes(), "-5\n");
    check(Element::Uint64, &[1], &u64::MAX.to_le_bytes(), "18446744073709551615\n");
    check(Element::Float64, &[1], &0.1f64.to_le_bytes(), "0.1\n");
    check(Element::Float32, &[6], &floats(), "0.5\n1.0\n-2.25\n1e20\nNaN\ninf\n");
    check(Element::Complex64, &[3], &floats(), "0.5+1.0j\n-2.25+1e20j\nNaN+infj\n");
    let pair: Vec<u8> = [0.0f32, -0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    check(Element::Complex64, &[], &pair, "0.0-0.0j\n");
}

#[test]
fn json_nests_one_list_per_axis() {
    let check = |element, shape: &[usize], data: &[u8], expected: &str| {
        let json = text(element, shape, data, Format::Json);
        assert_eq!(json, expected);
        let _: serde_json::Value = serde_json::from_str(&json).unwrap();
    };
    check(Element::Uint8, &[2, 1, 2], &[1, 2, 3, 4], r#"{"shape":[2,1,2],"dtype":"uint8","data":[[[1,2]],[[3,4]]]}"#);
    check(Element::Uint8, &[], &[4], r#"{"shape":[],"dtype":"uint8","data":4}"#);
    check(Element::Uint8, &[2, 0], &[], r#"{"shape":[2,0],"dtype":"uint8","data":[[],[]]}"#);
    let values = floats();
    check(Element::Float32, &[6], &values, r#"{"shape":[6],"dtype":"float32","data":[0.5,1.0,-2.25,1e20,null,null]}"#);
    let pairs = r#"{"shape":[3],"dtype":"complex64","data":[[0.5,1.0],[-2.25,1e20],[null,null]]}"#;
    check(Element::Complex64, &[3], &values, pairs);
    check(Element::Float64, &[1], &f64::NAN.to_le_bytes(), r#"{"shape":[1],"dtype":"float64","data":[null]}"#);
}

#[test]
fn tiff_has_one_page_per_frame() {
    let check = |element: Element, shape: &[usize], pages: usize| {
        let data: Vec<u8> = (0..shape.iter().product::<usize>() * element.size()).map(|i| (i % 101) as u8).collect();
        let file = encode(&ArrayRef { element, shape, data: &data }, Format::Tiff).unwrap();
        let mut reader = ::tiff::decoder::Decoder::new(std::io::Cursor::new(file)).unwrap();
        let mut found = Vec::new();
        for page in 0..pages {
            assert_eq!(reader.dimensions().unwrap(), (4, 3));
            use ::tiff::decoder::DecodingResult as Pixels;
            match reader.read_image().unwrap() {
                Pixels::U8(v) => found.extend(v),
                Pixels::U16(v) => found.extend(v.into_iter().flat_map(u16::to_le_bytes)),
                Pixels::U64(v) => found.extend(v.into_iter().flat_map(u64::to_le_bytes)),
                Pixels::I32(v) => found.extend(v.into_iter().flat_map(i32::to_le_bytes)),
                Pixels::F32(v) => found.extend(v.into_iter().flat_map(f32::to_le_bytes)),
                Pixels::F64(v) => found.extend(v.into_iter().flat_map(f64::to_le_bytes)),
                other => panic!("{element}: {other:?}"),
            }
            assert_eq!(reader.more_images(), page + 1 < pages);
            if reader.more_images() {
                reader.next_image().unwrap();
            }
        }
        assert_eq!(found, data, "{element}");
    };
    check(Element::Uint8, &[3, 4], 1);
    check(Element::Uint16, &[5, 3, 4], 5);
    check(Element::Uint64, &[3, 4], 1);
    check(Element::Int32, &[2, 3, 4], 2);
    check(Element::Float32, &[2, 3, 4], 2);
    check(Element::Float64, &[3, 4], 1);
}

#[test]
fn error_messages_name_an_alternative() {
    let check = |element, shape: &[usize], format, expected: &str| assert_eq!(refusal(element, shape, format), expected);
    check(
        Element::Uint8,
        &[10, 2, 3],
        Format::Png,
        "png holds one 2-D picture, and this array has the shape (10, 2, 3): select one frame, for example [5, :, :]",
    );
    check(Element::Uint8, &[10], Format::Png, "png holds one 2-D picture, and this array has the shape (10,): use csv, json or npy");
    check(
        Element::Float32,
        &[10, 2, 3],
        Format::Csv,
        "csv holds at most two axes, and this array has the shape (10, 2, 3): \
         select fewer axes, for example [5, :, :], or use npy, json or tiff",
    );
    check(
        Element::Float64,
        &[],
        Format::Tiff,
        "tiff holds one 2-D picture or a 3-D stack of them, and this array has the shape (): use csv, json or npy",
    );
    check(Element::Complex64, &[2, 2], Format::Tiff, "tiff cannot hold complex64 values: use npy, or select power instead of the spectrum");
    let empty = "cannot hold an array without elements, and this one has the shape (0, 2): use npy";
    check(Element::Uint8, &[0, 2], Format::Png, &format!("png {empty}"));
    check(Element::Uint8, &[0, 2], Format::Tiff, &format!("tiff {empty}"));
    let short = ArrayRef { element: Element::Uint16, shape: &[2, 2], data: &[0; 7] };
    assert_eq!(encode(&short, Format::Raw).unwrap_err().to_string(), "an array of shape (2, 2) has 8 bytes, not 7");
}

#[test]
fn formats_are_named_by_extension() {
    let check = |path: &str, expected| assert_eq!(Format::from_path(Path::new(path)).ok(), expected, "{path}");
    check("out/p.npy", Some(Format::Npy));
    check("frame.PNG", Some(Format::Png));
    check("a.b.csv", Some(Format::Csv));
    check("x.json", Some(Format::Json));
    check("x.tif", Some(Format::Tiff));
    check("x.tiff", Some(Format::Tiff));
    check("x.raw", Some(Format::Raw));
    check("x.zarr", None);
    check("npy", None);
    let unknown = "bmp".parse::<Format>().unwrap_err().to_string();
    assert_eq!(unknown, r#""bmp" is not a known format: use npy, png, jpg, csv, json, tiff or raw"#);
}

#[test]
fn a_higher_jpeg_quality_is_closer_to_the_picture() {
    let (height, width) = (40, 64);
    let smooth: Vec<u8> = (0..height * width).map(|i| (2 * (i % width) + 2 * (i / width)) as u8).collect();
    let distance = |quality: u8| {
        let a = ArrayRef { element: Element::Uint8, shape: &[height, width], data: &smooth };
        let jpeg = encode(&a, Format::Jpeg { quality }).unwrap();
        assert!(jpeg.starts_with(b"\xff\xd8\xff") && jpeg.len() < smooth.len());
        let spec = api::geometry::FrameSpec { height, width, dtype: api::geometry::Dtype::Uint8 };
        let mut seen = vec![0; spec.bytes()];
        crate::decode::Decoder::new().decode(&jpeg, spec, api::job::Color::Refuse, &mut seen).unwrap();
        smooth.iter().zip(seen).map(|(&a, b)| u32::from(a.abs_diff(b))).sum::<u32>() as f64 / smooth.len() as f64
    };
    assert!(distance(100) <= 0.5 && distance(100) < distance(20) && distance(20) < 8.0, "{} {}", distance(100), distance(20));
}

#[test]
fn the_jpeg_quality_follows_the_name() {
    let check = |name: &str, quality| assert_eq!(name.parse::<Format>().unwrap(), Format::Jpeg { quality }, "{name}");
    check("jpg", 80);
    check("JPEG", 80);
    check("jpg:1", 1);
    check("jpeg:100", 100);
    for wrong in ["jpg:0", "jpg:101", "jpg:", "jpg:x", "jpg:-5"] {
        assert!(matches!(wrong.parse::<Format>(), Err(Error::Quality(_))), "{wrong}");
    }
    for name in Format::NAMES {
        assert_eq!(name.parse::<Format>().unwrap().name(), name);
    }
    let long = refusal(Element::Uint8, &[1, 65536], Format::Jpeg { quality: 80 });
    assert!(long.starts_with("jpg cannot hold an array as large as (1, 65536)"), "{long}");
}

#[test]
fn an_encoder_of_pieces_gives_the_bytes_of_the_whole() {
    let data: Vec<u8> = (0..240).collect();
    for (element, shape) in [
        (Element::Uint8, vec![4, 5, 12]),
        (Element::Uint8, vec![240]),
        (Element::Uint16, vec![12, 1, 10]),
        (Element::Float32, vec![3, 20, 1]),
        (Element::Complex64, vec![5, 6]),
        (Element::Float64, vec![1, 1, 30]),
    ] {
        for format in [Format::Npy, Format::Raw, Format::Csv, Format::Json] {
            let Ok(encoder) = StreamEncoder::new(format, element, &shape) else {
                assert!(format == Format::Csv && shape.len() > 2);
                continue;
            };
            let mut encoder = encoder.unwrap();
            let mut pieces = encoder.head().unwrap();
            let length = encoder.length();
            data.chunks(3 * element.size()).for_each(|piece| encoder.append(piece, &mut pieces));
            pieces.extend(encoder.tail());
            let whole = encode(&ArrayRef { element, shape: &shape, data: &data }, format).unwrap();
            assert_eq!(pieces, whole, "{format} {element} {shape:?}");
            assert!(length.is_none_or(|length| length == whole.len() as u64), "{format} {element} {shape:?}");
        }
    }
    let scalar = StreamEncoder::new(Format::Json, Element::Uint8, &[1 << 30, 1 << 20, 0]).unwrap_err().to_string();
    assert!(scalar.starts_with("json cannot hold an array without elements"), "{scalar}");
}

#[test]
fn encoded_arrays_are_not_larger_than_counted() {
    // Bytes without a pattern do not compress, and have long texts.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let data: Vec<u8> = (0..64 * 64 * 8)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let elements =
        [Element::Uint8, Element::Uint16, Element::Uint64, Element::Int32, Element::Float32, Element::Float64, Element::Complex64];
    for element in elements {
        let shape = [64 * 8 / element.size(), 64, 1];
        let pixels = (data.len() / element.size()) as u64;
        for name in Format::NAMES {
            let format: Format = name.parse().unwrap();
            let of = if matches!(format, Format::Png | Format::Jpeg { .. } | Format::Csv) { &shape[..2] } else { &shape };
            let Ok(encoded) = encode(&ArrayRef { element, shape: of, data: &data }, format) else { continue };
            let counted = format.scratch_bytes(element, pixels, 64);
            assert!(encoded.len() as u64 <= counted, "{name} of {element}: {} bytes, counted {counted}", encoded.len());
        }
    }
}

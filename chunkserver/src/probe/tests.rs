//! Probes and peeks of files whose size or header promises too much.

use super::*;
use crate::source::Options;
use std::io::Write as _;

/// The start of a gray PNG of 8 bits: signature, header, and the beginning of the pixels.
fn png_start(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(&[&kind[..], data].concat());
        [&(data.len() as u32).to_be_bytes(), &kind[..], data, &crc.sum().to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &[0x78, 0x9c, 1, 0, 0])].concat()
}

fn images(path: &std::path::Path) -> job::Source {
    job::Source::Images(Images::new(format!("file://{}", path.display())))
}

async fn with_context<T>(run: impl AsyncFnOnce(&ProbeContext<'_>) -> T) -> T {
    let client = Source::new(Options { allow_local_files: true, max_bytes: MAX_FRAME_BYTES, ..Options::default() }).unwrap();
    let compute = Compute::new(1).unwrap();
    run(&ProbeContext { client: &client, access: &Access::new([], true), compute: &compute }).await
}

#[tokio::test]
async fn the_shape_comes_from_the_first_bytes() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&png_start(640, 480)).unwrap();
    // A sparse file, larger than any frame.
    file.as_file().set_len(MAX_FRAME_BYTES + 1).unwrap();
    let probed = with_context(async |context| describe(context, &images(file.path()), 1).await).await.unwrap();
    assert_eq!((probed.frame.height, probed.frame.width), (480, 640));
}

#[tokio::test]
async fn an_empty_file_has_no_shape() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = with_context(async |context| describe(context, &images(file.path()), 1).await).await.unwrap_err();
    assert_eq!(error.reason(), Some(reason::CHUNK_DECODE_FAILED), "{error}");
}

#[tokio::test]
async fn a_peek_refuses_a_header_with_too_many_pixels() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&png_start(50_000, 50_000)).unwrap();
    let fetched = with_context(async |context| fetch(context, &images(file.path()), 1, 0).await).await.unwrap();
    let error = fetched.pixels(None).unwrap_err();
    assert!(matches!(error, Error::TooLarge { frame: 0, .. }), "{error}");
    assert!(error.to_string().contains("50000×50000") && error.to_string().contains("268435456 pixels"), "{error}");
}

#[tokio::test]
async fn an_error_contains_no_text_of_the_source() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\"password\": \"hidden\"}").unwrap();
    for probe in [true, false] {
        let error = with_context(async |context| {
            let source = images(file.path());
            if probe {
                describe(context, &source, 1).await.unwrap_err()
            } else {
                fetch(context, &source, 1, 0).await.unwrap().pixels(None).unwrap_err()
            }
        })
        .await;
        let text = api::words::chain(&error);
        assert!(text.contains("text, not an image: JSON") && !text.contains("hidden") && !text.contains("password"), "{text}");
    }
}

//! Chunks, shards and servers that state sizes and positions that are not true.

use super::{FILL, expected, file, little, open, read, sharded, v2, v3, write};
use crate::source::tests::handler::{Asked, HandlerServer, ranged, respond};
use api::phase::reason;
use axum::response::Response;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

/// The damaged chunk: frames 4 to 7 of the array.
const CHUNK: &str = "c/1/0/0";
const CHUNK_V2: &str = "1.0.0";

fn codec(name: &str, configuration: &Value) -> Value {
    json!([little(), {"name": name, "configuration": configuration}])
}

fn gzip(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![0; bytes]).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![0; bytes]).unwrap();
    encoder.finish().unwrap()
}

/// A zstd frame that states `size` bytes and has one block of zeros: <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1>.
fn zstd_frame(size: u64) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    frame.extend(size.to_le_bytes());
    // The last block, of 100 equal bytes.
    frame.extend([(100 << 3 | 1 << 1 | 1) as u8, (100_u32 >> 5) as u8, 0, 0]);
    frame
}

async fn check_damaged(folder: &Path, chunk: &str, message: &str) {
    let stack = open(&file(folder)).await.unwrap();
    // One frame, and all frames of the chunk.
    for frames in [5..6, 4..8, 0..11] {
        let error = read(&stack, frames).await.unwrap_err();
        assert_eq!(error.reason(), reason::CHUNK_DECODE_FAILED, "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("chunk {chunk} of file://")) && text.contains(message), "{message}: {text}");
    }
    for (t, found) in
        [(0..4), (8..11)].into_iter().flatten().zip([read(&stack, 0..4).await.unwrap(), read(&stack, 8..11).await.unwrap()].concat())
    {
        assert_eq!(found, expected(t, &[]), "frame {t}");
    }
}

#[tokio::test]
async fn no_codec_decodes_beyond_the_size_of_a_chunk() {
    const BOMB: usize = 64 << 20;
    let blosc = json!({"cname": "zstd", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0});
    let zstd = json!({"level": 1, "checksum": false});
    let large = "it decodes to more than 504 bytes, the size that the array's metadata state";
    // The sizes of a Blosc header: version, flags, decoded bytes, block, encoded bytes.
    let header = |decoded: u32, block: u32| {
        [vec![2, 1, 0, 2], decoded.to_le_bytes().into(), block.to_le_bytes().into(), 17_u32.to_le_bytes().into(), vec![0]].concat()
    };
    let cases = [
        (v3([4, 7, 9], codec("zstd", &zstd)), CHUNK, zstd_frame(1 << 50), large),
        (v3([4, 7, 9], codec("zstd", &zstd)), CHUNK, zstd_frame(505), large),
        (
            v3([4, 7, 9], codec("zstd", &zstd)),
            CHUNK,
            zstd::encode_all(&vec![0; BOMB][..], 1).unwrap(),
            "the array's metadata state 504 bytes",
        ),
        (v3([4, 7, 9], codec("gzip", &json!({"level": 1}))), CHUNK, gzip(BOMB), large),
        (v3([4, 7, 9], codec("blosc", &blosc)), CHUNK, header(i32::MAX as u32, 1 << 20), large),
        (v3([4, 7, 9], codec("blosc", &blosc)), CHUNK, header(504, i32::MAX as u32), large),
        (v3([4, 7, 9], codec("blosc", &blosc)), CHUNK, vec![2; 7], "shorter than a Blosc header"),
        (v2([4, 7, 9], "<u2", json!({"id": "zlib", "level": 1}), "C"), CHUNK_V2, zlib(BOMB), large),
        (v2([4, 7, 9], "<u2", json!({"id": "gzip", "level": 1}), "C"), CHUNK_V2, gzip(BOMB), large),
        (v2([4, 7, 9], "<u2", json!({"id": "zstd", "level": 1}), "C"), CHUNK_V2, zstd_frame(1 << 62), large),
        (
            v2([4, 7, 9], "<u2", json!({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}), "C"),
            CHUNK_V2,
            header(505, 505),
            large,
        ),
    ];
    for (metadata, chunk, bytes, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &metadata);
        std::fs::write(folder.path().join(chunk), bytes).unwrap();
        check_damaged(folder.path(), chunk, message).await;
    }
}

#[tokio::test]
async fn two_codecs_in_sequence_are_both_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let twice = json!([little(), {"name": "gzip", "configuration": {"level": 1}}, {"name": "zstd", "configuration": {"level": 1, "checksum": false}}]);
    write(folder.path(), &v3([4, 7, 9], twice));
    super::check(&file(folder.path()), &json!("gzip and zstd")).await;
    std::fs::write(folder.path().join(CHUNK), zstd_frame(1 << 40)).unwrap();
    check_damaged(folder.path(), CHUNK, "it decodes to more than").await;
}

/// The entries of a shard's index at the end of the file, with the checksum.
fn index(entries: &[[u64; 2]]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

#[tokio::test]
async fn an_index_that_lies_is_an_error_of_the_shard() {
    let folder = tempfile::tempdir().unwrap();
    // Each shard has four inner chunks of one frame.
    write(folder.path(), &v3([4, 7, 9], sharded([1, 7, 9])));
    let path = folder.path().join(CHUNK);
    let shard = std::fs::read(&path).unwrap();
    let (data, encoded) = shard.split_at(shard.len() - 4 * 16 - 4);
    let words: Vec<u64> = encoded.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let entries = words.as_chunks::<2>().0.to_vec();
    let write_index = |entries: &[[u64; 2]]| std::fs::write(&path, [data, &index(entries)].concat()).unwrap();
    write_index(&entries);
    super::check(&file(folder.path()), &json!("the undamaged shard")).await;
    let length = data.len() as u64;
    for (entry, message) in [
        ([u64::MAX - 1, 10], "lies outside of the shard's data"),
        ([10, u64::MAX - 1], "lies outside of the shard's data"),
        ([u64::MAX, 0], ""),
        ([0, u64::MAX], ""),
        ([0, 1 << 50], ""),
        ([1 << 50, 8], ""),
        ([length - 1, 2], ""),
        ([length + 1, 8], ""),
        (entries[0], "overlaps another inner chunk"),
        ([entries[0][0] + 1, 2], "overlaps another inner chunk"),
    ] {
        let mut lying = entries.clone();
        lying[1] = entry;
        write_index(&lying);
        let stack = open(&file(folder.path())).await.unwrap();
        for frames in [5..6, 4..8] {
            let error = read(&stack, frames).await.unwrap_err();
            assert_eq!(error.reason(), reason::CHUNK_DECODE_FAILED, "{error}");
            let text = error.to_string();
            assert!(!text.contains("panicked") && text.contains(CHUNK) && text.contains(message), "{entry:?}: {text}");
        }
    }
    // The index is larger than the shard.
    std::fs::write(&path, [0; 20]).unwrap();
    let error = read(&open(&file(folder.path())).await.unwrap(), 4..8).await.unwrap_err();
    assert!(error.reason() == reason::CHUNK_DECODE_FAILED && error.to_string().contains(CHUNK), "{error}");
}

#[tokio::test]
async fn metadata_of_other_writers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    // An integral fill value with a decimal point, as published OME-Zarr has it; constants of Python in attributes, as xarray writes them.
    let metadata = v3([4, 3, 4], json!([little()]));
    write(folder.path(), &metadata);
    std::fs::remove_file(folder.path().join("c/1/0/0")).unwrap();
    let text =
        metadata.to_string().replace("\"fill_value\":5", "\"fill_value\":5.0,\"attributes\":{\"missing\":NaN,\"valid_max\":-Infinity}");
    assert!(text.contains("5.0"));
    std::fs::write(folder.path().join("zarr.json"), &text).unwrap();
    let found = read(&open(&file(folder.path())).await.unwrap(), 4..5).await.unwrap();
    assert_eq!(found[0], expected(4, &[(0..3, 0..4)]), "the fill value is {FILL}");
    for (fill, message) in [("5.5", "its fill value 5.5 is not a value of its elements, uint16"), ("65536.0", "65536.0"), ("-1.0", "-1.0")]
    {
        std::fs::write(folder.path().join("zarr.json"), text.replace("5.0", fill)).unwrap();
        let error = open(&file(folder.path())).await.unwrap_err();
        assert!(error.reason() == reason::INVALID_SPEC && error.to_string().contains(message), "{error}");
    }

    let folder = tempfile::tempdir().unwrap();
    let metadata = v2([4, 3, 4], "<u2", Value::Null, "C");
    write(folder.path(), &metadata);
    std::fs::remove_file(folder.path().join("1.0.0")).unwrap();
    std::fs::write(folder.path().join(".zarray"), metadata.to_string().replace("\"fill_value\":5", "\"fill_value\":5.0")).unwrap();
    let found = read(&open(&file(folder.path())).await.unwrap(), 4..5).await.unwrap();
    assert_eq!(found[0], expected(4, &[(0..3, 0..4)]));
}

#[tokio::test]
async fn a_large_metadata_document_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("zarr.json"), vec![b' '; (16 << 20) + 1]).unwrap();
    let keys = super::Keys::new(
        super::Source::new(super::Options { max_bytes: 1 << 40, ..super::options() }).unwrap(),
        &super::Access::new([], true),
        &file(folder.path()),
        "",
    )
    .unwrap();
    let error = super::FrameArray::open(keys, 1).await.unwrap_err();
    assert!(api::words::chain(&error).contains("larger than 16.0 MiB"), "{}", api::words::chain(&error));
}

#[tokio::test]
async fn local_folders_with_unusual_names_are_read() {
    let root = tempfile::tempdir().unwrap();
    for name in ["50%20power", "back\\slash", "a\ttab"] {
        let folder = root.path().join(name).join("0");
        write(&folder, &v3([4, 3, 4], json!([little()])));
        let given = format!("file://{}/{name}", root.path().display());
        let stack = super::open_with(&super::Access::new([], true), &given, "0").await.unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(read(&stack, 3..4).await.unwrap()[0], expected(3, &[]));
    }
}

/// A server of the files in `folder`, whose response to requests for a chunk is changed by `chunk`.
async fn serve(folder: &Path, chunk: impl Fn(&Asked, &[u8]) -> Response + Clone + Send + Sync + 'static) -> HandlerServer {
    let folder = folder.to_owned();
    HandlerServer::start(move |asked| {
        let path = folder.join(asked.path.trim_start_matches('/'));
        match std::fs::read(path) {
            Ok(body) if asked.path.ends_with(CHUNK) => chunk(asked, &body),
            Ok(body) => ranged(asked, &[], &body),
            Err(_) => respond(404, &[], ""),
        }
    })
    .await
}

#[tokio::test]
async fn chunks_with_a_content_encoding_give_their_pixels() {
    for metadata in [v3([4, 7, 9], json!([little()])), v3([4, 7, 9], sharded([1, 7, 9]))] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &metadata);
        let server = serve(folder.path(), |asked, body| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body).unwrap();
            ranged(asked, &[("content-encoding", "gzip")], &encoder.finish().unwrap())
        })
        .await;
        super::check(&server.url(), &metadata).await;
    }
}

#[tokio::test]
async fn a_page_in_the_place_of_a_chunk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &v3([4, 7, 9], json!([little()])));
    // A page of the size of the chunk.
    let page = || format!("<html>{}", " ".repeat(498)).into_bytes();
    let html = ("content-type", "text/html; charset=utf-8");
    for status in [200, 206] {
        let server = serve(
            folder.path(),
            move |asked, _| if status == 206 { ranged(asked, &[html], &page()) } else { respond(200, &[html], page()) },
        )
        .await;
        for frames in [5..6, 4..8] {
            let error = read(&open(&server.url()).await.unwrap(), frames).await.unwrap_err();
            let text = api::words::chain(&*error);
            assert!(text.contains("text/html instead of the object") && text.contains(CHUNK), "{text}");
            assert_eq!(error.reason(), reason::SOURCE_UNAVAILABLE);
        }
    }
}

#[tokio::test]
async fn an_uncompressed_chunk_of_another_length_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &v3([4, 7, 9], json!([little()])));
    for length in [0_usize, 100, 503, 505, 5000] {
        let server = serve(folder.path(), move |asked, _| {
            let body = vec![1; length];
            if length < 200 && asked.range.is_some() { respond(416, &[], "") } else { ranged(asked, &[], &body) }
        })
        .await;
        for frames in [5..6, 4..8] {
            let error = read(&open(&server.url()).await.unwrap(), frames.clone()).await.unwrap_err();
            assert!(error.reason() == reason::CHUNK_DECODE_FAILED && error.to_string().contains(CHUNK), "{length} {frames:?}: {error}");
        }
    }
}

//! Stores as other programs write them: complete and damaged, on disk and behind HTTP servers.

mod hostile;
pub(crate) mod store_server;

use super::{Error, FrameArray, Keys, Transferred};
use crate::compute::Compute;
use crate::objects::Access;
use crate::source::{Options, Source};
use api::geometry::Dtype;
use api::job::ArrayLayout;
use api::phase::reason;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store_server::StoreServer;
use zarrs::array::{Array, ArrayMetadata};
use zarrs::storage::store::MemoryStore;
use zarrs::storage::{ListableStorageTraits as _, ReadableStorageTraits as _};

pub(crate) const SHAPE: [usize; 3] = [11, 7, 9];
const FILL: u16 = 5;

pub(crate) fn value(t: usize, y: usize, x: usize) -> u16 {
    (t * 300 + y * 20 + x) as u16
}

/// The metadata of an array of version 3.
pub(crate) fn v3(chunks: [usize; 3], codecs: Value) -> Value {
    json!({
        "zarr_format": 3, "node_type": "array", "shape": SHAPE, "data_type": "uint16", "fill_value": FILL,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs, "dimension_names": ["t", "y", "x"],
    })
}

fn v2(chunks: [usize; 3], dtype: &str, compressor: Value, order: &str) -> Value {
    json!({
        "zarr_format": 2, "shape": SHAPE, "chunks": chunks, "dtype": dtype, "fill_value": FILL, "order": order,
        "compressor": compressor, "filters": null, "dimension_separator": ".",
    })
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

pub(crate) fn sharded(inner: [usize; 3]) -> Value {
    json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": inner, "index_location": "end",
        "codecs": [little(), {"name": "zstd", "configuration": {"level": 1, "checksum": false}}],
        "index_codecs": [little(), {"name": "crc32c"}],
    }}])
}

/// Writes the test array below `folder`.
pub(crate) fn write(folder: &Path, metadata: &Value) {
    let store = Arc::new(MemoryStore::new());
    let parsed: ArrayMetadata = serde_json::from_value(metadata.clone()).unwrap();
    let array = Array::new_with_metadata(Arc::clone(&store), "/", parsed).unwrap();
    let pixels = |t| (0..SHAPE[1]).flat_map(move |y| (0..SHAPE[2]).map(move |x| value(t, y, x)));
    let all: Vec<u16> = (0..SHAPE[0]).flat_map(pixels).collect();
    array.store_array_subset(&array.subset_all(), all).unwrap();
    for key in store.list().unwrap() {
        let path = folder.join(key.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, store.get(&key).unwrap().unwrap()).unwrap();
    }
    let name = if metadata["zarr_format"] == 3 { "zarr.json" } else { ".zarray" };
    std::fs::write(folder.join(name), metadata.to_string()).unwrap();
}

fn options() -> Options {
    Options { backoff: Duration::from_millis(1), attempts: 3, max_bytes: 1 << 20, allow_local_files: true, ..Options::default() }
}

async fn open_with(access: &Access, url: &str, array: &str) -> Result<Arc<FrameArray>, Error> {
    let keys = Keys::new(Source::new(options()).unwrap(), access, url, array)?;
    FrameArray::open(keys, 3).await.map(Arc::new)
}

async fn open(url: &str) -> Result<Arc<FrameArray>, Error> {
    open_with(&Access::new([], true), url, "").await
}

fn file(folder: &Path) -> String {
    url::Url::from_file_path(folder).unwrap().to_string()
}

async fn read(stack: &Arc<FrameArray>, frames: Range<usize>) -> Result<Vec<Vec<u16>>, Arc<Error>> {
    let compute = Compute::new(2).unwrap();
    let found = stack.read(&compute, frames, vec![vec![1, 2, 3]], true, || ()).await.map_err(|(_, error)| error)?;
    found.into_iter().map(|frame| Ok(frame?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())).collect()
}

/// Frame `t`, with the fill value in the rows and columns of `missing`.
fn expected(t: usize, missing: &[(Range<usize>, Range<usize>)]) -> Vec<u16> {
    let is_missing = |y, x| missing.iter().any(|(rows, columns)| rows.contains(&y) && columns.contains(&x));
    let pixel = |y, x| if is_missing(y, x) { FILL } else { value(t, y, x) };
    (0..SHAPE[1]).flat_map(|y| (0..SHAPE[2]).map(move |x| (y, x))).map(|(y, x)| pixel(y, x)).collect()
}

async fn check(url: &str, what: &Value) {
    let stack = open(url).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    for frames in [0..SHAPE[0], 3..9, 10..11, 4..5] {
        let found = read(&stack, frames.clone()).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(found.len(), frames.len());
        for (t, found) in frames.zip(found) {
            assert_eq!(found, expected(t, &[]), "frame {t} of {what}");
        }
    }
}

#[tokio::test]
async fn common_codecs_of_both_versions_are_read() {
    let big = json!({"name": "bytes", "configuration": {"endian": "big"}});
    let blosc = |cname| json!({"name": "blosc", "configuration": {"cname": cname, "clevel": 5, "shuffle": "shuffle", "typesize": 2, "blocksize": 0}});
    let transpose = json!({"name": "transpose", "configuration": {"order": [2, 0, 1]}});
    let gzip = json!({"name": "gzip", "configuration": {"level": 5}});
    let zstd = json!({"name": "zstd", "configuration": {"level": 3, "checksum": true}});
    let around = json!([transpose, {"name": "sharding_indexed", "configuration": {
        "chunk_shape": [3, 2, 2], "index_location": "start", "codecs": [big, gzip, {"name": "crc32c"}], "index_codecs": [little()],
    }}]);
    let stores = [
        v3([4, 3, 4], json!([little()])),
        v3([4, 3, 4], json!([big])),
        v3([4, 3, 4], json!([little(), gzip])),
        v3([1, 7, 9], json!([little(), zstd])),
        v3([20, 2, 2], json!([little(), blosc("lz4")])),
        v3([3, 7, 9], json!([little(), blosc("zstd"), {"name": "crc32c"}])),
        v3([4, 3, 4], json!([transpose, big, zstd])),
        v3([4, 4, 6], sharded([2, 2, 3])),
        v3([20, 7, 9], sharded([1, 7, 9])),
        v3([8, 2, 3], sharded([8, 1, 1])),
        v3([4, 4, 6], around),
        v2([4, 3, 4], "<u2", Value::Null, "C"),
        v2([4, 3, 4], ">u2", json!({"id": "gzip", "level": 1}), "C"),
        v2([4, 3, 4], "<u2", json!({"id": "zlib", "level": 1}), "F"),
        v2([4, 3, 4], "<u2", json!({"id": "zstd", "level": 1}), "C"),
        v2([4, 3, 4], "<u2", json!({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}), "C"),
    ];
    for metadata in stores {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &metadata);
        check(&file(folder.path()), &metadata).await;
    }
}

#[tokio::test]
async fn a_missing_key_means_the_fill_value() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &v3([4, 3, 4], json!([little()])));
    std::fs::remove_file(folder.path().join("c/1/0/2")).unwrap();
    let sharded_folder = tempfile::tempdir().unwrap();
    write(sharded_folder.path(), &v3([4, 6, 6], sharded([2, 2, 3])));
    std::fs::remove_file(sharded_folder.path().join("c/1/0/1")).unwrap();
    for (folder, columns, rows) in [(&folder, 8..9, 0..3), (&sharded_folder, 6..9, 0..6)] {
        let store_server = StoreServer::start(folder.path().to_owned(), true).await;
        for url in [file(folder.path()), store_server.url()] {
            let found = read(&open(&url).await.unwrap(), 3..9).await.unwrap();
            for (t, found) in (3..9).zip(found) {
                let missing = if (4..8).contains(&t) { vec![(rows.clone(), columns.clone())] } else { vec![] };
                assert_eq!(found, expected(t, &missing), "frame {t} of {url}");
            }
        }
    }
}

#[tokio::test]
async fn parts_of_chunks_depend_on_the_codecs_and_on_the_server() {
    let parts = async |metadata: &Value, ranges| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), metadata);
        let store_server = StoreServer::start(folder.path().to_owned(), ranges).await;
        check(&store_server.url(), metadata).await;
        open(&store_server.url()).await.unwrap().layout()
    };
    let layout = |chunks, parts| ArrayLayout { shape: SHAPE, dtype: Dtype::Uint16, chunks, parts };
    let shards = v3([4, 4, 6], sharded([2, 2, 3]));
    assert_eq!(parts(&shards, true).await, layout([4, 4, 6], [2, 2, 3]));
    assert_eq!(parts(&shards, false).await, layout([4, 4, 6], [4, 4, 6]));
    assert_eq!(parts(&v3([4, 3, 4], json!([little()])), true).await, layout([4, 3, 4], [1, 3, 4]));
    assert_eq!(parts(&v3([4, 3, 4], json!([little(), {"name": "crc32c"}])), true).await, layout([4, 3, 4], [4, 3, 4]));
    assert_eq!(parts(&v2([4, 3, 4], "<u2", Value::Null, "C"), true).await, layout([4, 3, 4], [1, 3, 4]));
    assert_eq!(parts(&v2([4, 3, 4], "<u2", Value::Null, "F"), true).await, layout([4, 3, 4], [4, 3, 4]));
}

#[tokio::test]
async fn only_needed_bytes_are_fetched() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &v3([20, 7, 9], json!([little()])));
    let store_server = StoreServer::start(folder.path().to_owned(), true).await;
    let stack = open(&store_server.url()).await.unwrap();
    assert!(
        stack.take_transferred().bytes > 0 && stack.take_transferred() == Transferred::default(),
        "transferred bytes are reported once"
    );
    store_server.log();
    read(&stack, 2..4).await.unwrap();
    assert_eq!(store_server.log(), ["/c/0/0/0 bytes=252-503"]);
    assert_eq!(stack.take_transferred(), Transferred { bytes: 252, retries: 0 });
    // A whole shard is one request, although inner chunks can be fetched separately.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &v3([11, 7, 9], sharded([1, 7, 9])));
    let store_server = StoreServer::start(folder.path().to_owned(), true).await;
    let stack = open(&store_server.url()).await.unwrap();
    store_server.log();
    read(&stack, 0..11).await.unwrap();
    assert_eq!(store_server.log(), ["/c/0/0/0"]);
    read(&stack, 3..5).await.unwrap();
    // Requests for the index and for two inner chunks.
    assert_eq!(store_server.log().len(), 3);
}

#[tokio::test]
async fn a_refusing_or_failing_store_does_not_give_the_fill_value() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("bucket"), &v3([4, 4, 6], sharded([2, 2, 3])));
    let store_server = StoreServer::start(folder.path().to_owned(), true).await;
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let access = Access::new(
        [
            own("AWS_ENDPOINT", &store_server.url()),
            own("AWS_ACCESS_KEY_ID", "id"),
            own("AWS_SECRET_ACCESS_KEY", "hidden"),
            own("AWS_REGION", "here"),
            own("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false"),
        ],
        false,
    );
    for url in [format!("{}/bucket", store_server.url()), "s3://bucket".into()] {
        let stack = open_with(&access, &url, "/").await.unwrap();
        let set_status = |status: &[StatusCode]| store_server.refuse("c/1/0/0", status);
        set_status(&[StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK]);
        stack.take_transferred();
        for (t, found) in (0..11).zip(read(&stack, 0..11).await.unwrap()) {
            assert_eq!(found, expected(t, &[]), "frame {t} of {url}");
        }
        assert_eq!(stack.take_transferred().retries, 1, "{url}");
        set_status(&[StatusCode::NOT_FOUND]);
        assert_eq!(read(&stack, 4..5).await.unwrap()[0], expected(4, &[(0..4, 0..6)]), "{url}");
        for (status, message) in [(StatusCode::FORBIDDEN, "source.secretRef"), (StatusCode::SERVICE_UNAVAILABLE, "3 attempts in")] {
            set_status(&[status]);
            let compute = Compute::new(1).unwrap();
            let found = stack.read(&compute, 2..10, vec![], true, || ()).await.unwrap();
            let lost: Vec<usize> = (2..10).zip(&found).filter(|(_, frame)| frame.is_err()).map(|(t, _)| t).collect();
            assert_eq!(lost, [4, 5, 6, 7], "{url}");
            let (frame, error) = stack.read(&compute, 2..10, vec![], false, || ()).await.unwrap_err();
            assert_eq!((frame, error.reason()), (4, reason::SOURCE_UNAVAILABLE));
            let text = api::words::chain(&*error);
            assert!(text.contains(message) && text.contains("/c/1/0/0") && !text.contains("hidden"), "{text}");
        }
        store_server.refuse("c/1/0/0", &[StatusCode::OK]);
        store_server.refuse("zarr.json", &[StatusCode::FORBIDDEN]);
        let error = open_with(&access, &url, "").await.unwrap_err();
        assert_eq!(error.reason(), reason::SOURCE_UNAVAILABLE, "{error}");
        store_server.refuse("zarr.json", &[StatusCode::OK]);
    }
}

#[tokio::test]
async fn the_error_names_the_damaged_chunk() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &v3([4, 7, 9], json!([little(), {"name": "gzip", "configuration": {"level": 1}}])));
    std::fs::write(folder.path().join("c/1/0/0"), b"no gzip").unwrap();
    let shards = tempfile::tempdir().unwrap();
    write(shards.path(), &v3([4, 4, 6], sharded([2, 2, 3])));
    std::fs::write(shards.path().join("c/1/0/0"), b"not long enough").unwrap();
    for folder in [&folder, &shards] {
        let stack = open(&file(folder.path())).await.unwrap();
        let error = read(&stack, 0..11).await.unwrap_err();
        assert_eq!(error.reason(), reason::CHUNK_DECODE_FAILED);
        assert!(error.to_string().contains("chunk c/1/0/0 of file://"), "{error}");
        assert!(read(&stack, 0..4).await.is_ok() && read(&stack, 8..11).await.is_ok());
    }
}

#[tokio::test]
async fn arrays_that_are_not_stacks_are_refused() {
    let cases = [
        (json!({"shape": [3, 2, 4, 5], "dimension_names": ["t", "c", "y", "x"]}), "it has 4 axes (t, c, y, x), shape [3,2,4,5]"),
        (json!({"shape": [3], "dimension_names": null}), "it has 1 axis, shape [3]"),
        (json!({"shape": [3, 0, 4]}), "has an empty axis"),
        (json!({"dimension_names": ["x", "y", "t"]}), "its axes are (x, y, t)"),
        (json!({"data_type": "int64"}), "its elements are int64; supported types: uint8, uint16 and float32"),
        (json!({"codecs": [little(), {"name": "bz2", "configuration": {"level": 1}}]}), "bz2"),
        (json!({"codecs": sharded([3, 3, 3])}), "do not divide shards"),
        (json!({"chunk_grid": {"name": "rectilinear", "configuration": {}}}), "its chunk grid is \"rectilinear\""),
        (
            json!({"node_type": "group", "consolidated_metadata": {"metadata": {"raw": {"node_type": "array"}, "a": {"node_type": "group"}}}}),
            "is a group of a Zarr store; set source.zarr.array to one of its arrays: raw",
        ),
        (json!({"node_type": "group"}), "set source.zarr.array to the path of one of its arrays"),
    ];
    for (other, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut metadata = v3([4, 4, 4], json!([little()]));
        metadata.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        std::fs::write(folder.path().join("zarr.json"), metadata.to_string()).unwrap();
        let error = open(&file(folder.path())).await.unwrap_err();
        assert!(error.to_string().contains(message) && error.reason() == reason::INVALID_SPEC, "{message}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = open(&file(folder.path())).await.unwrap_err();
    assert!(error.to_string().contains("it has neither zarr.json nor .zarray") && error.reason() == reason::SOURCE_UNAVAILABLE, "{error}");
    for (file_name, text, message) in [
        (".zgroup", "{}", "do not list them"),
        (".zmetadata", r#"{"metadata": {"0/.zarray": {}, "1/.zarray": {}, ".zgroup": {}}}"#, "one of its arrays: 0, 1"),
        (".zarray", r#"{"shape": [3, 4, 5], "dtype": "|b1"}"#, "its elements are |b1"),
        ("zarr.json", "<html>", "cannot use the metadata of"),
    ] {
        std::fs::write(folder.path().join(file_name), text).unwrap();
        let error = open(&file(folder.path())).await.unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

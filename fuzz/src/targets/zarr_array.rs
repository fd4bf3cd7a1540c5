//! Arrays of a Zarr store: metadata and one chunk as a store sends them. The reader neither panics nor allocates more than a chunk needs.
//!
//! Input: the metadata, a byte 0, and the bytes of every chunk.

use crate::allocation::at_most;
use chunkserver::compute::Compute;
use chunkserver::objects::Access;
use chunkserver::source::zarr::{Error, FrameArray, Keys};
use chunkserver::source::{Options, Source};
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Largest chunk of a run, in bytes. The limit keeps runs fast.
const LARGEST: u64 = 1 << 16;
/// Bytes of documents, codecs and runtimes.
const BASE: usize = 8 << 20;

struct Bench {
    runtime: Runtime,
    compute: Compute,
    folder: TempDir,
    source: Source,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench {
    runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
    compute: Compute::new(1).unwrap(),
    folder: tempfile::tempdir().unwrap(),
    source: Source::new(Options {
        attempts: 1,
        backoff: Duration::ZERO,
        max_bytes: 1 << 20,
        allow_local_files: true,
        ..Options::default()
    })
    .unwrap(),
});

pub(super) fn run(input: &[u8]) {
    let at = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    let (metadata, chunk) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Bench { runtime, compute, folder, source } = &*BENCH;
    write(folder.path(), metadata, chunk);
    let url = url::Url::from_file_path(folder.path()).unwrap();
    let opened = runtime.block_on(async {
        let keys = Keys::new(source.clone(), &Access::new([], true), url.as_str(), "").unwrap();
        FrameArray::open(keys, 2).await
    });
    let Ok(array) = opened.map(Arc::new) else { return };
    let layout = array.layout();
    let frames = layout.shape[0].min(layout.chunks[0]);
    let decoded = array.frame().bytes().saturating_mul(frames);
    if layout.chunk_bytes() > LARGEST || decoded as u64 > LARGEST {
        return;
    }
    // The frames, and the chunk before and after each codec.
    let limit = BASE + decoded + 16 * layout.chunk_bytes() as usize + 4 * chunk.len();
    let read = at_most(limit, || runtime.block_on(array.read(compute, 0..frames, Vec::new(), true, || ())));
    for frame in read.unwrap() {
        match frame {
            Ok(pixels) => assert_eq!(pixels.len(), array.frame().bytes()),
            Err(error) => assert!(!matches!(*error, Error::Lost { .. }), "{error}"),
        }
    }
}

/// Writes the metadata under the name of their version, and the chunk under each name of the first chunk.
fn write(folder: &Path, metadata: &[u8], chunk: &[u8]) {
    let is_v2 = metadata.windows(4).any(|word| word == b"\"<u2" || word == b"\"|u1" || word == b"\"<f4" || word == b"\">u2");
    let (name, other) = if is_v2 { (".zarray", "zarr.json") } else { ("zarr.json", ".zarray") };
    fs::create_dir_all(folder.join("c/0/0")).unwrap();
    let _ = fs::remove_file(folder.join(other));
    fs::write(folder.join(name), metadata).unwrap();
    for key in ["c/0/0/0", "0.0.0", "c.0.0.0"] {
        fs::write(folder.join(key), chunk).unwrap();
    }
}

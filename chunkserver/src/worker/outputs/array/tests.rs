use super::*;
use crate::objects::Location;
use object_store::memory::InMemory;
use object_store::path::Path as Key;

const ARRAY: &[u8] = br#"{"zarr_format": 3, "node_type": "array"}"#;
const GROUP: &[u8] = br#"{"zarr_format": 3, "node_type": "group"}"#;

/// A target in a new store.
fn store() -> ArrayTarget {
    let location = Location { store: Arc::new(InMemory::new()), path: Key::from("data/p.zarr"), shown: "memory:/data/p.zarr".into() };
    ArrayTarget { shown: location.shown.clone(), sink: Sink::Store(location), folder: None }
}

async fn put(target: &ArrayTarget, objects: &[(&str, &[u8])]) {
    for (key, bytes) in objects {
        target.sink.put(key, bytes.to_vec()).await.unwrap();
    }
}

async fn keys(sink: &Sink) -> Vec<String> {
    let mut keys: Vec<String> = sink.list().await.unwrap().into_keys().collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn an_array_is_unreadable_while_it_is_replaced() {
    let target = store();
    put(&target, &[("zarr.json", ARRAY), ("c/0/0", b"old"), (".zattrs", b"{}")]).await;
    open_target(&target, "uid").await.unwrap();
    assert_eq!(keys(&target.sink).await, [MARKER]);
    // A replaced server opens the array again, which keeps the written objects.
    put(&target, &[("c/0/0", b"new")]).await;
    open_target(&target, "uid").await.unwrap();
    assert_eq!(keys(&target.sink).await, [MARKER, "c/0/0"]);
    // An array that another job has opened is replaced.
    open_target(&target, "other").await.unwrap();
    assert_eq!(keys(&target.sink).await, [MARKER]);
    assert!(target.is_open("other").await.unwrap() && !target.is_open("uid").await.unwrap());
}

#[tokio::test]
async fn data_other_than_arrays_are_never_removed() {
    let group = store();
    put(&group, &[("zarr.json", GROUP), ("power/zarr.json", ARRAY)]).await;
    let error = open_target(&group, "uid").await.unwrap_err().to_string();
    assert!(error.contains("is a Zarr group") && error.contains("p.zarr/power"), "{error}");
    assert_eq!(keys(&group.sink).await, ["power/zarr.json", "zarr.json"]);
    let notes = store();
    put(&notes, &[("thesis.txt", b"years")]).await;
    assert!(matches!(open_target(&notes, "uid").await, Err(Error::Foreign(_))));
    assert_eq!(keys(&notes.sink).await, ["thesis.txt"]);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("p.zarr");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("thesis.txt"), "years").unwrap();
    let array = ArrayTarget { sink: Sink::Folder(partial_path(&target, "uid")), folder: Some(target.clone()), shown: "p.zarr".into() };
    assert!(matches!(open_target(&array, "uid").await, Err(Error::Foreign(_))));
    assert!(target.join("thesis.txt").exists());
}

#[tokio::test]
async fn a_multipart_upload_gives_one_object() {
    let target = store();
    let large: Vec<u8> = (0..40_000_000u32).map(|i| (i % 251) as u8).collect();
    target.sink.put("c/0", large.clone()).await.unwrap();
    assert!(target.sink.get("c/0").await.unwrap().unwrap() == large);
    assert_eq!(target.sink.list().await.unwrap()["c/0"], 40_000_000);
}

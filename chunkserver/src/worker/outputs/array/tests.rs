use super::*;
use crate::objects::Location;
use object_store::memory::InMemory;
use object_store::path::Path as Key;

const ARRAY: &[u8] = br#"{"zarr_format": 3, "node_type": "array"}"#;
const GROUP: &[u8] = br#"{"zarr_format": 3, "node_type": "group"}"#;

/// A store of its own, and a place in it.
fn store() -> Place {
    let location = Location { store: Arc::new(InMemory::new()), path: Key::from("data/p.zarr"), shown: "memory:/data/p.zarr".into() };
    Place { shown: location.shown.clone(), sink: Sink::Store(location), target: None }
}

async fn filled(place: &Place, objects: &[(&str, &[u8])]) {
    for (key, bytes) in objects {
        place.sink.put(key, bytes.to_vec()).await.unwrap();
    }
}

async fn keys(sink: &Sink) -> Vec<String> {
    let mut keys: Vec<String> = sink.list().await.unwrap().into_keys().collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn an_array_is_replaced_and_not_readable_meanwhile() {
    let place = store();
    filled(&place, &[("zarr.json", ARRAY), ("c/0/0", b"old"), (".zattrs", b"{}")]).await;
    open_place(&place, "uid").await.unwrap();
    assert_eq!(keys(&place.sink).await, [MARKER]);
    // A second time, as a replaced server does, leaves what is there.
    filled(&place, &[("c/0/0", b"new")]).await;
    open_place(&place, "uid").await.unwrap();
    assert_eq!(keys(&place.sink).await, [MARKER, "c/0/0"]);
    // What another job has begun is not this one's.
    open_place(&place, "other").await.unwrap();
    assert_eq!(keys(&place.sink).await, [MARKER]);
    assert!(place.is_open("other").await.unwrap() && !place.is_open("uid").await.unwrap());
}

#[tokio::test]
async fn what_is_no_array_is_never_removed() {
    let group = store();
    filled(&group, &[("zarr.json", GROUP), ("power/zarr.json", ARRAY)]).await;
    let error = open_place(&group, "uid").await.unwrap_err().to_string();
    assert!(error.contains("is a Zarr group") && error.contains("p.zarr/power"), "{error}");
    assert_eq!(keys(&group.sink).await, ["power/zarr.json", "zarr.json"]);
    let notes = store();
    filled(&notes, &[("thesis.txt", b"years")]).await;
    assert!(matches!(open_place(&notes, "uid").await, Err(Error::Foreign(_))));
    assert_eq!(keys(&notes.sink).await, ["thesis.txt"]);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("p.zarr");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("thesis.txt"), "years").unwrap();
    let place = Place { sink: Sink::Folder(partial_path(&target, "uid")), target: Some(target.clone()), shown: "p.zarr".into() };
    assert!(matches!(open_place(&place, "uid").await, Err(Error::Foreign(_))));
    assert!(target.join("thesis.txt").exists());
}

#[tokio::test]
async fn large_objects_go_in_parts_and_are_one() {
    let place = store();
    let large: Vec<u8> = (0..40_000_000u32).map(|i| (i % 251) as u8).collect();
    place.sink.put("c/0", large.clone()).await.unwrap();
    assert!(place.sink.get("c/0").await.unwrap().unwrap() == large);
    assert_eq!(place.sink.list().await.unwrap()["c/0"], 40_000_000);
}

use super::*;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn left(folder: &Path) -> Vec<String> {
    let mut names = names(folder);
    names.sort();
    names
}

/// The outputs of a run: a file and a folder.
fn write_partial(folder: &Path, uid: &str) -> [PathBuf; 2] {
    let [file, array] = [".a.npy", ".b.zarr"].map(|name| folder.join(format!("{name}.partial-{uid}")));
    std::fs::write(&file, "half").unwrap();
    std::fs::create_dir_all(array.join("c/0")).unwrap();
    [file, array]
}

fn locks(folder: &Path, uid: &str) -> OutputLocks {
    OutputLocks::new(uid, BTreeSet::from([folder.to_owned()]))
}

#[test]
fn outputs_of_an_ended_run_are_removed_and_those_of_a_live_run_stay() {
    let folder = tempfile::tempdir().unwrap();
    let live = locks(folder.path(), "1a");
    let kept = write_partial(folder.path(), "1a");
    // As after `kill -9`: the lock is free, and its file exists.
    std::fs::write(folder.path().join(".arrayjob-2b.lock"), "").unwrap();
    let dead = write_partial(folder.path(), "2b");
    let unknown = write_partial(folder.path(), "3c");
    let next = locks(folder.path(), "4d");
    assert!(kept.iter().all(|path| path.exists()), "the run is alive");
    assert!(!dead.iter().any(|path| path.exists()), "{:?}", left(folder.path()));
    assert!(unknown.iter().all(|path| path.exists()), "without a lock file, the owner is unknown");
    drop((live, next));
    assert_eq!(left(folder.path()), [".a.npy.partial-1a", ".a.npy.partial-3c", ".b.zarr.partial-1a", ".b.zarr.partial-3c"]);
}

#[test]
fn scratch_folders_of_ended_commands_are_removed() {
    let parent = tempfile::tempdir().unwrap();
    let live = Scratch::new(parent.path()).unwrap();
    let dead = parent.path().join("arrayjob-scratch-dead");
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join(".tmp"), "scratch").unwrap();
    std::fs::create_dir(parent.path().join("arrayjob-other")).unwrap();
    Scratch::sweep(parent.path());
    assert!(live.path().exists() && !dead.exists());
    drop(live);
    assert_eq!(left(parent.path()), ["arrayjob-other"]);
}

#[test]
fn a_link_or_a_file_with_an_owner_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(take_over(&link).is_none());
    let owner = take_over(&file).unwrap();
    assert!(take_over(&file).is_none(), "two open files have two locks, also in one process");
    drop(owner);
    assert!(take_over(&file).is_some());
}

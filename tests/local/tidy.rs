//! Checks of project rules in the source files.

use std::path::{Path, PathBuf};
use tests::place::Place;
use tests::repository;

/// Longest permitted file, in lines.
const MAX_LINES: usize = 400;
/// Exceptions from the length rule, with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// All .rs files of a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The text of a file before its test module.
fn without_tests(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

fn check_absent(folder: &str, forbidden: &[&str]) {
    let files = sources(folder);
    assert!(!files.is_empty(), "{folder} has no sources");
    for path in files.iter().filter(|path| !path.ends_with("tests.rs") && !path.components().any(|part| part.as_os_str() == "tests")) {
        let text = without_tests(path);
        for word in forbidden {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}

/// The normal dependencies of a crate.
fn dependencies(of: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(of).join("Cargo.toml")).unwrap();
    let section = text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn api_depends_only_on_serde_and_thiserror() {
    assert_eq!(dependencies("api"), ["serde", "thiserror"]);
}

#[test]
fn api_does_no_io_and_reads_no_clock() {
    check_absent("api/src", &["tokio", "reqwest", "kube", "Instant::now", "SystemTime", "std::fs", "std::net", "std::env"]);
}

#[test]
fn the_data_path_does_not_use_kubernetes() {
    for folder in ["api/src", "chunkserver/src"] {
        check_absent(folder, &["kube::", "k8s_openapi"]);
    }
    assert!(!dependencies("chunkserver").iter().any(|name| name.starts_with("kube") || name.starts_with("k8s") || name == "crds"));
}

/// The permitted workspace dependencies of each crate: in one direction, from the shared types to the command.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("api", &[]),
    ("crds", &[]),
    ("chunkserver/kernels", &["api"]),
    ("chunkserver/formats", &["api"]),
    ("chunkserver/store", &[]),
    ("chunkserver/transport", &["api"]),
    ("chunkserver/journal", &["transport"]),
    ("chunkserver", &["api", "kernels", "formats", "store", "transport", "journal"]),
    ("operator", &["api", "crds", "transport"]),
];

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let ours = |name: &String| MAY_USE.iter().any(|(folder, _)| folder.rsplit('/').next() == Some(name));
    for (folder, allowed) in MAY_USE {
        let used: Vec<String> = dependencies(folder).into_iter().filter(ours).collect();
        assert!(!dependencies(folder).is_empty(), "{folder}/Cargo.toml has no dependencies; is the path right?");
        for name in used {
            assert!(allowed.contains(&name.as_str()), "{folder} depends on {name}");
        }
    }
}

#[test]
fn only_a_test_enables_the_features_of_the_simulation() {
    let manifests = ["chunkserver/transport", "chunkserver/journal", "chunkserver", "operator", "cli", "tests", "benches", "."];
    for folder in manifests {
        let text = std::fs::read_to_string(repository().join(folder).join("Cargo.toml")).unwrap();
        assert!(!text.contains("features = [\"simulation\"]"), "{folder}/Cargo.toml enables the simulation");
    }
    let text = std::fs::read_to_string(repository().join("simulation/Cargo.toml")).unwrap();
    let (before, after) = text.split_once("[dev-dependencies]").unwrap();
    assert!(!before.contains("\"simulation\"]") && after.contains("features = [\"simulation\"]"));
}

#[test]
fn no_crate_holds_more_than_a_third_of_the_code() {
    let lines = |folder: &str| -> usize { sources(folder).iter().map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum() };
    let nested: usize =
        ["kernels", "formats", "store", "transport", "journal"].map(|name| lines(&format!("chunkserver/{name}"))).iter().sum();
    let all: usize = ["api", "chunkserver", "operator", "crds", "cli", "tests", "simulation", "benches"].map(lines).iter().sum();
    let server = lines("chunkserver") - nested;
    assert!(3 * server < all, "chunkserver has {server} of {all} lines");
}

#[test]
fn every_file_is_shorter_than_400_lines() {
    for folder in ["api", "chunkserver", "operator", "crds", "cli", "tests", "simulation", "benches", "fuzz"] {
        for path in sources(folder) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            let excepted = LONG_FILES.iter().any(|(file, _)| repository().join(file) == path);
            assert!(lines < MAX_LINES || excepted, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn the_crd_in_the_repository_matches_the_types() {
    let place = Place::default();
    let ended = place.call(["crd"]);
    ended.must_succeed();
    let written = std::fs::read(repository().join("crds/arrayjobs.yaml")).unwrap_or_else(|error| panic!("crds/arrayjobs.yaml: {error}"));
    assert!(ended.stdout == written, "crds/arrayjobs.yaml differs from the output of `arrayjob crd`; run `make crds`");
}

#[test]
fn the_crd_in_the_chart_matches_the_repository() {
    let read = |path: &str| std::fs::read(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let same = read("crds/arrayjobs.yaml") == read("charts/arrayjob-crds/files/arrayjobs.yaml");
    assert!(same, "the definition in the chart differs from crds/arrayjobs.yaml; run `make crds`");
}

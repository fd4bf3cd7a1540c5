//! The modules of `api` depend on each other in one direction: the order that `src/lib.rs` lists.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules in the order of the list in `lib.rs`.
fn listed() -> Vec<String> {
    let text = std::fs::read_to_string(src().join("lib.rs")).unwrap();
    let entries = text.lines().filter_map(|line| line.strip_prefix("//! ")?.split_once(". [`")?.1.split_once("`]"));
    entries.map(|(name, _)| name.trim_start_matches("mod@").to_owned()).collect()
}

/// The files of a module and of its submodules, without the files of tests.
fn files(module: &str) -> Vec<PathBuf> {
    let mut found = vec![src().join(module).with_extension("rs")];
    let mut folders = vec![src().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The other modules that a module uses, in its code without comments and tests.
fn used(module: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files(module) {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for after in lines.flat_map(|line| line.split("crate::").skip(1)) {
            found.insert(after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect());
        }
    }
    found.remove(module);
    found
}

#[test]
fn every_module_is_in_the_list() {
    let text = std::fs::read_to_string(src().join("lib.rs")).unwrap();
    let public: BTreeSet<String> =
        text.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';').to_owned())).collect();
    assert_eq!(listed().into_iter().collect::<BTreeSet<_>>(), public);
}

#[test]
fn every_module_uses_modules_above_it_alone() {
    let order = listed();
    for (place, module) in order.iter().enumerate() {
        for used in used(module) {
            assert!(order[..place].contains(&used), "{module} uses {used}, which is not above it in the list of lib.rs");
        }
    }
    assert!(used("plan").contains("job"), "the test reads no `use` lines");
}

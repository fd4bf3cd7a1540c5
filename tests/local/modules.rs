//! The modules of each crate depend on each other without circles: at every level of folders, no module uses a sibling that uses the
//! module. A parent and its children may use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tests::repository;

/// The folders of all crates that have modules.
const CRATES: [&str; 10] = [
    "api",
    "crds",
    "chunkserver/kernels",
    "chunkserver/formats",
    "chunkserver/store",
    "chunkserver/transport",
    "chunkserver/journal",
    "chunkserver",
    "operator",
    "cli",
];

/// The files of a module: its own, and those of its submodules, without tests.
fn files(folder: &Path, module: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.join(module).with_extension("rs")];
    let mut folders = vec![folder.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap_or_default();
            match path.is_dir() {
                _ if name == "tests" => {}
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// The modules whose files are directly in a folder.
fn modules(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let names = entries.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let names = names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    names.filter(|name| !["lib", "main", "tests"].contains(&name.as_str())).collect()
}

/// A tree of imports as paths: `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices().chain([(group.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(expand(&group[start..at]).into_iter().map(|path| format!("{}{path}", prefix.trim())));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The paths that a file uses, from the root of its crate. `module` is the path of the file's own module.
fn used(file: &Path, module: &[String]) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for statement in lines.split("\nuse ").skip(1).chain(lines.split("pub use ").skip(1)) {
        paths.extend(expand(statement.split(';').next().unwrap_or_default()));
    }
    for root in ["crate::", "super::"] {
        let inline = lines.match_indices(root).map(|(at, _)| &lines[at..]);
        paths.extend(inline.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || ['_', ':'].contains(c)).collect::<String>()));
    }
    let absolute = |path: String| {
        let mut base = module.to_vec();
        let mut rest = path.as_str();
        if let Some(from_root) = rest.strip_prefix("crate::") {
            (base, rest) = (Vec::new(), from_root);
        } else {
            rest = rest.strip_prefix("self::").unwrap_or(rest);
            while let Some(upwards) = rest.strip_prefix("super::") {
                base.pop();
                rest = upwards;
            }
        }
        base.into_iter().chain(rest.split("::").map(str::to_owned)).collect()
    };
    paths.into_iter().map(absolute).collect()
}

/// A module that leads back to itself, with the modules on the way.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(at: &str, edges: &BTreeMap<String, BTreeSet<String>>, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if way.iter().any(|module| module == at) {
            way.push(at.to_owned());
            return true;
        }
        if !done.insert(at.to_owned()) {
            return false;
        }
        way.push(at.to_owned());
        if edges.get(at).into_iter().flatten().any(|next| visit(next, edges, way, done)) {
            return true;
        }
        way.pop();
        false
    }
    let (mut way, mut done) = (Vec::new(), BTreeSet::new());
    edges.keys().any(|module| visit(module, edges, &mut way, &mut done)).then_some(way)
}

/// For each module of a folder, the modules beside it that it uses. `path` is the folder's own module.
fn edges(folder: &Path, path: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let siblings = modules(folder);
    let uses = |module: &String| {
        let mut uses = BTreeSet::new();
        for file in files(folder, module) {
            let own = file.strip_prefix(folder).unwrap().with_extension("");
            let own: Vec<String> = path.iter().cloned().chain(own.iter().map(|part| part.to_string_lossy().into_owned())).collect();
            for used in used(&file, &own) {
                if let Some(next) = used.strip_prefix(path).and_then(<[String]>::first) {
                    uses.extend((next != module && siblings.contains(next)).then(|| next.clone()));
                }
            }
        }
        uses
    };
    siblings.iter().map(|module| (module.clone(), uses(module))).collect()
}

/// The circles among the modules of one folder and of the folders in it.
fn check(folder: &Path, path: &[String], circles: &mut Vec<String>) {
    let edges = edges(folder, path);
    for module in edges.keys() {
        let below: Vec<String> = path.iter().chain([module]).cloned().collect();
        check(&folder.join(module), &below, circles);
    }
    circles.extend(circle(&edges).map(|way| format!("{}: {}", folder.display(), way.join(" → "))));
}

#[test]
fn imports_are_read_as_paths() {
    assert_eq!(expand("crate::{a, b::{c, d as e}, self}"), ["crate::a", "crate::b::c", "crate::b::d as e", "crate::self"]);
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, to) in pairs {
            edges.entry((*from).into()).or_default().insert((*to).into());
        }
        edges
    };
    assert_eq!(circle(&edges(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    assert_eq!(circle(&edges(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(["a", "b", "c", "b"].map(str::to_owned).to_vec()));
}

#[test]
fn no_modules_form_a_circle() {
    let mut circles = Vec::new();
    for folder in CRATES {
        let src = repository().join(folder).join("src");
        assert!(!modules(&src).is_empty(), "{} has no modules", src.display());
        check(&src, &[], &mut circles);
    }
    assert!(circles.is_empty(), "modules form circles:\n{}", circles.join("\n"));
}

/// `api/src/lib.rs` lists its modules in an order: each uses only modules above it.
#[test]
fn the_modules_of_api_are_listed_in_order_and_use_modules_above_them() {
    let src = repository().join("api/src");
    let text = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let entries = text.lines().filter_map(|line| line.strip_prefix("//! ")?.split_once(". [`")?.1.split_once("`]"));
    let order: Vec<&str> = entries.map(|(name, _)| name.trim_start_matches("mod@")).collect();
    let public: BTreeSet<&str> = text.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';'))).collect();
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), public, "every module is in the list");
    let edges = edges(&src, &[]);
    for (place, module) in order.iter().enumerate() {
        for used in &edges[*module] {
            assert!(order[..place].contains(&used.as_str()), "{module} uses {used}, which is not above it in the list of lib.rs");
        }
    }
    assert!(edges["plan"].contains("job"), "the test reads no `use` lines");
}

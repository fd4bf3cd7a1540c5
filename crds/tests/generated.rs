//! The committed YAML is what the types generate, and every example is an ArrayJob.

use std::path::Path;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_committed_definition_is_the_generated_one() {
    let committed = std::fs::read_to_string(folder().join("arrayjobs.yaml")).unwrap();
    let generated = serde_saphyr::to_string(&crds::definition()).unwrap();
    assert!(committed == generated, "types changed: cargo run --release -- crd > crds/arrayjobs.yaml");
    assert!(committed.len() < 60_000, "kubectl apply keeps a copy in an annotation");
}

#[test]
fn every_example_is_an_array_job() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            // A file may hold what its job needs beside it.
            let documents: Vec<&str> = text.split("\n---\n").filter(|document| document.contains("\nkind: ArrayJob\n")).collect();
            let [document] = documents[..] else { panic!("{}: {} ArrayJobs", path.display(), documents.len()) };
            let job: crds::ArrayJob = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(job.metadata.name.as_deref(), path.file_stem().and_then(|stem| stem.to_str()), "an example is named as its file");
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} examples");
}

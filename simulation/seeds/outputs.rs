//! The outputs of a job, as files of a folder that is removed after the run.

use crate::dice::Dice;
use api::job::{Job, Output};
use api::plan::Plan;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files by their names below the folder.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The folder of the outputs.
#[derive(Debug)]
pub(crate) struct Outputs(TempDir);

impl Outputs {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        // The name has no random part, because random bytes follow from the seed.
        let folder = tempfile::Builder::new().prefix(&format!("simulation-{}-", std::process::id())).tempdir();
        Self(folder.expect("a folder"))
    }

    /// Adds outputs to the job of a seed: files, and arrays that all servers write.
    pub(crate) fn add_to(&self, job: &mut Job, plan: &Plan, seed: u64) {
        let mut dice = Dice::new(seed, "outputs");
        let arrays: Vec<String> = plan.arrays(job).into_iter().map(|array| array.name).collect();
        if dice.percent(50) {
            return;
        }
        for number in 0..1 + dice.below(3) {
            let name = &arrays[dice.below(arrays.len())];
            let kind = dice.pick(&["npy", "zarr", "zarr"]);
            let url = format!("file://{}/{number}.{kind}", self.0.path().display());
            job.outputs.push(Output { select: name.clone(), url, chunks: None, shards: None });
        }
    }

    /// All complete files. A process that ends while it writes leaves an incomplete file under another name.
    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !is_partial(&path) {
                    let bytes = std::fs::read(&path).expect("a file");
                    files.insert(path.strip_prefix(self.0.path()).expect("a file of the folder").to_owned(), bytes);
                }
            }
        }
        files
    }
}

fn is_partial(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".partial-"))
}

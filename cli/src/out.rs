//! `--out DIR`: every kept array, pictures of means and spectra, the page and a summary. All files are written to a partial folder
//! beside DIR, which is then moved to DIR.

mod drawings;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::reader::Reader;
use api::arrays::Array;
use api::job::Job;
use api::plan::Plan;
use crds::v1alpha1 as crd;
use formats::encode::zarr;
use std::path::{Path, PathBuf};

/// The subfolder of all arrays, a Zarr v3 group.
const ARRAYS: &str = "arrays.zarr";

/// DIR, and the partial folder beside it.
#[derive(Debug)]
pub(crate) struct Out {
    folder: PathBuf,
    partial: PathBuf,
}

impl Drop for Out {
    fn drop(&mut self) {
        // After success the partial folder is already moved, or empty.
        let _ = std::fs::remove_dir_all(&self.partial);
    }
}

impl Out {
    /// Creates the partial folder, which proves that DIR is writable before a server starts.
    ///
    /// # Errors
    /// DIR is a file, or DIR or its parent is not writable.
    pub(crate) fn new(folder: &Path, job: &Job) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: folder.to_owned(), source };
        let folder = std::path::absolute(folder).map_err(failed)?;
        if folder.exists() && !folder.is_dir() {
            return Err(failed(std::io::Error::from(std::io::ErrorKind::NotADirectory)));
        }
        let parent = folder.parent().unwrap_or(&folder);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let partial = parent.join(format!(".{name}.partial-{}", job.uid));
        std::fs::create_dir_all(partial.join(ARRAYS)).map_err(failed)?;
        let out = Self { folder, partial };
        if out.folder.is_dir() {
            // `publish` will replace entries of DIR.
            tempfile::tempfile_in(&out.folder).map_err(failed)?;
        }
        Ok(out)
    }

    /// DIR, as an absolute path.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One output of the manifest for each array; the servers write them.
    pub(crate) fn outputs(&self, job: &Job, plan: &Plan) -> Vec<crd::Output> {
        let folder = self.partial.join(ARRAYS);
        let url = |name: &str| url::Url::from_file_path(folder.join(name)).map_or_else(|()| String::new(), String::from);
        plan.arrays(job)
            .iter()
            .map(|array| crd::Output { select: array.name.clone(), url: url(&array.name), ..crd::Output::default() })
            .collect()
    }

    /// Adds the files that no server writes, and moves everything to DIR.
    ///
    /// # Errors
    /// An array is not readable, a picture fails, or a file is not writable.
    pub(crate) async fn finish(&self, reader: &Reader, outcome: &Outcome) -> Result<(), Error> {
        let arrays = outcome.plan.arrays(&outcome.job);
        self.write_group(&arrays)?;
        for drawing in drawings::of(&arrays) {
            self.write(&drawing.file(), &drawing.draw(reader).await?)?;
        }
        self.write("report.html", &reader.report().await?)?;
        let text = serde_json::to_string_pretty(&outcome.summary()).unwrap_or_default();
        self.write("summary.json", format!("{text}\n").as_bytes())?;
        self.publish()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.partial.join(name);
        std::fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
    }

    /// Writes the metadata of the group, which repeats the metadata of every array.
    fn write_group(&self, arrays: &[Array]) -> Result<(), Error> {
        let mut metadata = Vec::new();
        for array in arrays {
            let path = self.partial.join(ARRAYS).join(&array.name).join("zarr.json");
            metadata.push((array.name.as_str(), std::fs::read_to_string(&path).map_err(|source| Error::Write { path, source })?));
        }
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(name, text)| (*name, text.as_str())).collect();
        self.write(&format!("{ARRAYS}/zarr.json"), zarr::group_metadata(&metadata).as_bytes())
    }

    /// Moves the partial folder to DIR. If DIR exists, entries of the same name are replaced and other entries stay.
    fn publish(&self) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Write { path, source }
        };
        if !self.folder.exists() {
            return std::fs::rename(&self.partial, &self.folder).map_err(failed(&self.folder));
        }
        for entry in std::fs::read_dir(&self.partial).map_err(failed(&self.partial))? {
            let entry = entry.map_err(failed(&self.partial))?;
            let target = self.folder.join(entry.file_name());
            if target.is_dir() {
                std::fs::remove_dir_all(&target).map_err(failed(&target))?;
            }
            std::fs::rename(entry.path(), &target).map_err(failed(&target))?;
        }
        Ok(())
    }
}

//! `--out DIR`: every kept array, pictures of means and spectra, and a summary. Made beside DIR, then moved there whole.

use crate::error::Error;
use crate::outcome::Outcome;
use crate::pictures;
use crate::reader::Reader;
use api::arrays::{Array, Base, Holder, find};
use api::job::Job;
use api::plan::Plan;
use crds::v1alpha1 as crd;
use formats::encode::{Contrast, zarr};
use std::path::{Path, PathBuf};

/// The folder, and the one where it is made.
#[derive(Debug)]
pub struct Out {
    folder: PathBuf,
    stage: PathBuf,
}

impl Drop for Out {
    fn drop(&mut self) {
        // Gone already when all went well.
        let _ = std::fs::remove_dir_all(&self.stage);
    }
}

impl Out {
    /// Makes the stage, which shows that the folder can be written.
    ///
    /// # Errors
    /// When it cannot.
    pub fn new(folder: &Path, job: &Job) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: folder.to_owned(), source };
        let folder = std::path::absolute(folder).map_err(failed)?;
        if folder.exists() && !folder.is_dir() {
            return Err(failed(std::io::Error::from(std::io::ErrorKind::NotADirectory)));
        }
        let parent = folder.parent().unwrap_or(&folder);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let stage = parent.join(format!(".{name}.partial-{}", job.uid));
        std::fs::create_dir_all(stage.join("arrays.zarr")).map_err(failed)?;
        let out = Self { folder, stage };
        if out.folder.is_dir() {
            // Shows that what is there can be replaced.
            tempfile::tempfile_in(&out.folder).map_err(failed)?;
        }
        Ok(out)
    }

    /// Where the results will be.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One output for each array.
    pub fn arrays(&self, job: &Job, plan: &Plan) -> Vec<crd::Output> {
        let folder = self.stage.join("arrays.zarr");
        let url = |name: &str| url::Url::from_file_path(folder.join(name)).map_or_else(|()| String::new(), String::from);
        plan.arrays(job)
            .iter()
            .map(|array| crd::Output { select: array.name.clone(), url: url(&array.name), ..crd::Output::default() })
            .collect()
    }

    /// Adds what the servers do not write, and moves everything to its place.
    ///
    /// # Errors
    /// When something cannot be read, drawn or written.
    pub async fn finish(&self, reader: &Reader, outcome: &Outcome) -> Result<(), Error> {
        let arrays = outcome.plan.arrays(&outcome.job);
        self.group(&arrays)?;
        for array in &arrays {
            match array.holder {
                Holder::Frame(..) => self.frame(reader, array).await?,
                Holder::Trace(..) => self.trace(reader, array).await?,
                _ => {}
            }
        }
        if let (Some(raw), Some(recentered)) = (find(&arrays, "raw_mean_frame"), find(&arrays, "recentered_mean_frame")) {
            self.side_by_side(reader, raw, recentered).await?;
        }
        if let Some(spectrum) = arrays.iter().find(|array| array.holder == Holder::Tiles(Base::Spectrum)) {
            self.center_spectrum(reader, spectrum).await?;
        }
        self.write("report.html", &reader.report().await?)?;
        let text = serde_json::to_string_pretty(&outcome.summary()).unwrap_or_default();
        self.write("summary.json", format!("{text}\n").as_bytes())?;
        self.publish()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.stage.join(name);
        std::fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
    }

    /// The group's metadata, once every array is there.
    fn group(&self, arrays: &[Array]) -> Result<(), Error> {
        let mut metadata = Vec::new();
        for array in arrays {
            let path = self.stage.join("arrays.zarr").join(&array.name).join("zarr.json");
            metadata.push((array.name.as_str(), std::fs::read_to_string(&path).map_err(|source| Error::Write { path, source })?));
        }
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(name, text)| (*name, text.as_str())).collect();
        self.write("arrays.zarr/zarr.json", zarr::group_metadata(&metadata).as_bytes())
    }

    async fn frame(&self, reader: &Reader, array: &Array) -> Result<(), Error> {
        let values = reader.values(array, "").await?;
        let log = if matches!(array.holder, Holder::Frame(Base::Spectrum, _)) { Contrast::Log } else { Contrast::Linear };
        let png = pictures::frame_png(&values, (array.shape[0], array.shape[1]), log).map_err(|error| drawn(array, error))?;
        self.write(&format!("{}.png", array.name), &png)
    }

    async fn trace(&self, reader: &Reader, array: &Array) -> Result<(), Error> {
        let values = reader.values(array, "").await?;
        let spectral = matches!(array.holder, Holder::Trace(Base::Spectrum, _));
        let svg = if spectral {
            spectrum_plot(&array.name.replace('_', " "), &array.name, &values)
        } else {
            pictures::line_plot(&array.name.replace('_', " "), "frame", "value", &[(&array.name, values)], false)
        };
        self.write(&format!("{}.svg", array.name), svg.map_err(|error| drawn(array, error))?.as_bytes())
    }

    async fn side_by_side(&self, reader: &Reader, before: &Array, after: &Array) -> Result<(), Error> {
        let mut grays = Vec::new();
        for array in [before, after] {
            let values = reader.values(array, "").await?;
            grays.push(
                pictures::Gray::new(&values, (array.shape[0], array.shape[1]), Contrast::Linear).map_err(|error| drawn(array, error))?,
            );
        }
        let png = pictures::side_by_side(&grays[0], &grays[1]).map_err(|error| drawn(after, error))?;
        self.write("mean_before_and_after.png", &png)
    }

    async fn center_spectrum(&self, reader: &Reader, array: &Array) -> Result<(), Error> {
        let (y, x) = (array.shape[1] / 2, array.shape[2] / 2);
        let values = reader.values(array, &format!(":,{y},{x}")).await?;
        let svg = spectrum_plot(&format!("{} of the pixel in the middle ({y}, {x})", array.name), &array.name, &values)
            .map_err(|error| drawn(array, error))?;
        self.write("spectrum_center.svg", svg.as_bytes())
    }

    /// Moves the stage to the folder, or its entries over what a former run left there.
    fn publish(&self) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Write { path, source }
        };
        if !self.folder.exists() {
            return std::fs::rename(&self.stage, &self.folder).map_err(failed(&self.folder));
        }
        for entry in std::fs::read_dir(&self.stage).map_err(failed(&self.stage))? {
            let entry = entry.map_err(failed(&self.stage))?;
            let target = self.folder.join(entry.file_name());
            if target.is_dir() {
                std::fs::remove_dir_all(&target).map_err(failed(&target))?;
            }
            std::fs::rename(entry.path(), &target).map_err(failed(&target))?;
        }
        Ok(())
    }
}

/// A spectrum's first half (the second mirrors it) without bin 0, on a logarithmic axis.
fn spectrum_plot(title: &str, name: &str, values: &[f64]) -> Result<String, pictures::Error> {
    let half = values.len() / 2 + 1;
    let shown: Vec<f64> = values.iter().take(half).enumerate().map(|(bin, value)| if bin == 0 { f64::NAN } else { 1.0 + value }).collect();
    pictures::line_plot(title, "cycles in the stack (bin)", &format!("1 + {name}"), &[(name, shown)], true)
}

fn drawn(array: &Array, source: pictures::Error) -> Error {
    Error::Picture { array: array.name.clone(), source: source.into() }
}

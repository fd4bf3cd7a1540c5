//! A valid job: the manifest with all defaults filled in and all rules checked.

mod source;

pub use source::{ArrayLayout, Color, GROUP, Images, MIN_BYTES_PER_SECOND, Source, Zarr};

use crate::geometry::{Dtype, Element, FrameSpec};
use serde::{Deserialize, Serialize};

/// Most frames of a job. Lists of frames in responses stay small enough below this number.
pub const MAX_FRAMES: u64 = 100_000_000;
/// Largest frame, in bytes. Sums of 16-bit pixels are exact far beyond it.
pub const MAX_FRAME_BYTES: u64 = 4 << 30;
/// Most bytes of all frames of a job. Counts of memory stay within 64 bits below this number.
pub const MAX_BYTES: u128 = 1 << 58;
use std::fmt;
use std::path::Path;

/// One valid ArrayJob: every default is filled in, every rule of the manifest holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The manifest's `metadata.name`.
    pub name: String,
    /// Unique id of this run; two runs with the same name have different ids.
    pub uid: String,
    /// The manifest's generation. A server refuses commands of another generation.
    pub generation: u64,
    /// The source of the frames.
    pub source: Source,
    /// Number of frames, T; at least 1.
    pub frames: usize,
    /// Height, width and element type of every frame.
    pub frame: FrameSpec,
    /// The reaction to a frame that cannot be fetched or decoded.
    pub on_error: OnError,
    /// Frames of one slab; at least 1, at most `frames`.
    pub slab_frames: usize,
    /// Concurrent requests of one server.
    pub concurrency: usize,
    /// The phase Recenter; `None` without that phase.
    pub recenter: Option<Recenter>,
    /// Chunk shape (t, y, x) of `rechunk.chunks`, with -1 resolved; `None` without that field.
    pub rechunk: Option<[usize; 3]>,
    /// The phase Fft; `None` without that phase.
    pub fft: Option<Fft>,
    /// Reductions of every array of the job, over axis 0 and over axes 1 and 2.
    pub reduce: Vec<Reduction>,
    /// Arrays that stay readable after the run; with `None` the plan chooses.
    pub keep: Option<Vec<Kept>>,
    /// Outputs, written after all phases are complete.
    pub outputs: Vec<Output>,
    /// Where servers store frames and spectra.
    pub storage: Storage,
    /// Permitted restarts of servers that end by themselves; one more end fails the job.
    pub backoff_limit: u32,
}

impl Job {
    /// Shape and element type of the frames that servers exchange and transform: the crops, or the raw frames without Recenter.
    pub fn stack(&self) -> FrameSpec {
        match &self.recenter {
            Some(recenter) => FrameSpec { height: recenter.crop[0], width: recenter.crop[1], dtype: self.frame.dtype },
            None => self.frame,
        }
    }

    /// Whether servers exchange pixels.
    pub fn exchanges(&self) -> bool {
        self.rechunk.is_some() || self.fft.is_some()
    }

    /// Stored bins of one pixel's spectrum: T/2 + 1, because the input is real; 0 without the phase Fft.
    pub fn bins(&self) -> usize {
        if self.fft.is_some() { self.frames / 2 + 1 } else { 0 }
    }
}

/// The reaction to a frame that cannot be fetched or decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// All pixels of the frame are 0, and the status lists the frame.
    Blank,
}

/// The phase Recenter: crop every frame around its centroid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recenter {
    /// Height and width of the crop, in pixels.
    pub crop: [usize; 2],
    /// How the center of a frame is found. Operators of earlier versions do not send this field.
    #[serde(default)]
    pub method: Method,
    /// Pixels below this value have weight 0; `None` gives every pixel its value as weight.
    pub threshold: Option<f64>,
}

/// How the center of a frame is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// The mean position of the pixels, weighted by their values.
    #[default]
    Centroid,
}

/// The phase Fft: every pixel's spectrum over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fft {
    /// The value that is stored for each bin.
    pub output: FftOutput,
    /// Window function, applied after `detrend` and before the transform.
    pub window: Window,
    /// Trend that is removed before the window function is applied.
    pub detrend: Detrend,
}

/// The value that is stored for each bin of a spectrum; not scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FftOutput {
    /// `abs(fft)**2`, float32.
    #[default]
    Power,
    /// `abs(fft)`, float32.
    Amplitude,
    /// `fft`, complex64.
    Complex,
}

impl FftOutput {
    /// The element type of a bin.
    pub const fn element(self) -> Element {
        match self {
            Self::Power | Self::Amplitude => Element::Float32,
            Self::Complex => Element::Complex64,
        }
    }

    /// float32 values of one bin: 2 if the bin is complex.
    pub const fn values(self) -> usize {
        self.element().size() / Element::Float32.size()
    }
}

/// Window function over time, periodic: <https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.get_window.html>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// No window function.
    #[default]
    None,
    /// The Hann window.
    Hann,
}

/// Trend over time that is removed: <https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.detrend.html>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detrend {
    /// No trend is removed.
    #[default]
    None,
    /// The mean is removed.
    Constant,
    /// The least-squares line is removed.
    Linear,
}

/// A reduction, as defined by NumPy with `ddof=0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Arithmetic mean.
    Mean,
    /// Sum.
    Sum,
    /// Standard deviation.
    Std,
    /// Variance.
    Var,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
}

impl Reduction {
    /// The name in array names and in the manifest, for example `mean`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
            Self::Std => "std",
            Self::Var => "var",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// An array of frames or spectra that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// Decoded frames.
    Raw,
    /// Crops around centroids.
    Recentered,
    /// The pixels of the stack, stored by tile.
    Rechunked,
    /// The spectra: the array power, amplitude or spectrum.
    Spectrum,
}

/// Where servers store frames and spectra.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// Memory if the plan fits, else frames in memory and tiles on disk, else disk.
    #[default]
    Auto,
    /// Anonymous memory.
    Memory,
    /// Scratch files.
    Disk,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Memory => "memory",
            Self::Disk => "disk",
        })
    }
}

/// One output, written after all phases are complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The selection: an array's name and NumPy's basic slicing, for example `power[:,500,500]`.
    pub select: String,
    /// URL of the file, or of the Zarr array.
    pub url: String,
    /// Chunk shape of a Zarr array, -1 for a whole axis; `None` for the chunk shape that readers see.
    pub chunks: Option<Vec<i64>>,
    /// Shard shape of a Zarr array, -1 for a whole axis; `None` for one chunk in each object.
    pub shards: Option<Vec<i64>>,
}

impl Output {
    /// The path of the URL, without query, fragment and trailing slashes.
    pub fn path(&self) -> &Path {
        Path::new(self.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/'))
    }

    /// Whether the output is a Zarr array: a path that ends in `.zarr`, or a name without extension in such a folder.
    pub fn is_zarr(&self) -> bool {
        is_zarr_root(self.path()) || (self.path().extension().is_none() && self.path().parent().is_some_and(is_zarr_root))
    }
}

/// Whether a path is the root of a Zarr hierarchy.
pub fn is_zarr_root(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zarr"))
}

impl Dtype {
    /// The element type with the given name in the manifest, for example `uint8`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Uint8, Self::Uint16, Self::Float32].into_iter().find(|dtype| dtype.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recenter_of_an_earlier_operator_is_a_centroid() {
        let earlier: Recenter = serde_json::from_str(r#"{"crop":[3,4],"threshold":null}"#).unwrap();
        assert_eq!(earlier, Recenter { crop: [3, 4], method: Method::Centroid, threshold: None });
        let known: Recenter = serde_json::from_str(&serde_json::to_string(&earlier).unwrap()).unwrap();
        assert_eq!(known, earlier);
        let unknown = serde_json::from_str::<Recenter>(r#"{"crop":[3,4],"method":"PhaseCorrelation","threshold":null}"#);
        assert!(unknown.unwrap_err().to_string().contains("unknown variant"), "a server must refuse a method of a later version");
    }

    #[test]
    fn a_complex_bin_has_two_values() {
        assert_eq!([FftOutput::Power, FftOutput::Amplitude, FftOutput::Complex].map(FftOutput::values), [1, 1, 2]);
    }

    #[test]
    fn an_output_is_a_zarr_array_by_its_path() {
        let is_zarr = |url: &str| Output { select: String::new(), url: url.into(), chunks: None, shards: None }.is_zarr();
        assert!(
            is_zarr("s3://b/o.zarr") && is_zarr("s3://b/o.ZARR/") && is_zarr("file:///o.zarr/power") && is_zarr("http://h/o.zarr?key=1")
        );
        assert!(!is_zarr("s3://b/o.npy") && !is_zarr("file:///o.zarr/power.npy") && !is_zarr("s3://b/power"));
    }
}

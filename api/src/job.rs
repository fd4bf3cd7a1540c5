//! What was asked, already valid: the manifest with its defaults filled in and its rules checked.

mod source;

pub use source::{ArrayLayout, Color, GROUP, Images, Source, Zarr};

use crate::geometry::{Dtype, FrameSpec};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// One ArrayJob, valid: every field has a value, every rule of the manifest holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The manifest's `metadata.name`.
    pub name: String,
    /// Tells this run from any other of the same name.
    pub uid: String,
    /// The manifest's generation; a server refuses commands of another one.
    pub generation: u64,
    /// Where frames come from.
    pub source: Source,
    /// Number of frames, T; at least 1.
    pub frames: usize,
    /// Height, width and element type of every frame.
    pub frame: FrameSpec,
    /// What a frame that cannot be had means.
    pub on_error: OnError,
    /// Frames of one slab; at least 1, at most `frames`.
    pub slab_frames: usize,
    /// Frames that one server fetches at a time.
    pub concurrency: usize,
    /// The phase Recenter, when asked for.
    pub recenter: Option<Recenter>,
    /// Chunk grid (t, y, x) asked for by `rechunk.chunks`, with -1 resolved; `None` without that phase.
    pub rechunk: Option<[usize; 3]>,
    /// The phase Fft, when asked for.
    pub fft: Option<Fft>,
    /// Reductions of every array of the job, over axis 0 and over axes 1 and 2.
    pub reduce: Vec<Reduction>,
    /// Arrays that stay readable after the run; `None` leaves the choice to the plan.
    pub keep: Option<Vec<Kept>>,
    /// What is written where once all is computed.
    pub outputs: Vec<Output>,
    /// Where the big arrays may live.
    pub storage: Storage,
    /// How many lost servers the job forgives.
    pub backoff_limit: u32,
}

impl Job {
    /// The frames that are exchanged and transformed: the crops, or the raw frames when nothing is recentered.
    pub fn stack(&self) -> FrameSpec {
        match &self.recenter {
            Some(recenter) => FrameSpec { height: recenter.crop[0], width: recenter.crop[1], dtype: self.frame.dtype },
            None => self.frame,
        }
    }

    /// Whether pixels are exchanged between servers.
    pub fn exchanges(&self) -> bool {
        self.rechunk.is_some() || self.fft.is_some()
    }

    /// Stored bins of one pixel's spectrum: T/2 + 1, since the input is real; 0 without an FFT.
    pub fn bins(&self) -> usize {
        if self.fft.is_some() { self.frames / 2 + 1 } else { 0 }
    }
}

/// What a frame that cannot be had means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// The frame is zero, and listed.
    Blank,
}

/// The phase Recenter: crop every frame around its centroid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recenter {
    /// Height and width of the crop, in pixels.
    pub crop: [usize; 2],
    /// Pixels below this value weigh nothing.
    pub threshold: Option<f64>,
}

/// The phase Fft: every pixel's spectrum over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fft {
    /// What is kept of each bin.
    pub output: FftOutput,
    /// Window applied before the transform, after `detrend`.
    pub window: Window,
    /// Trend removed before the window.
    pub detrend: Detrend,
}

/// What is kept of each bin of a spectrum.
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

/// Window over time, as `scipy.signal.get_window` makes it (periodic).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// No window.
    #[default]
    None,
    /// Hann.
    Hann,
}

/// Trend over time, removed as `scipy.signal.detrend` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detrend {
    /// Nothing is removed.
    #[default]
    None,
    /// The mean is removed.
    Constant,
    /// The least-squares line is removed.
    Linear,
}

/// A reduction, with NumPy's meaning (`ddof=0`).
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
    /// The name in array names and in the manifest.
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
    /// Frames as decoded.
    Raw,
    /// Crops around centroids.
    Recentered,
    /// The frames' values as tiles hold them.
    Rechunked,
    /// The FFT's result, whichever of power, amplitude and spectrum it is.
    Spectrum,
}

/// Where the big arrays live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// Memory if it fits, else disk.
    #[default]
    Auto,
    /// Anonymous memory.
    Memory,
    /// A mapped scratch file.
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

/// One thing to write once all is computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What, in NumPy's words: `power[:,500,500]`.
    pub select: String,
    /// URL of the file, or of the Zarr array.
    pub url: String,
    /// Chunk shape of a Zarr array, -1 for a whole axis; `None` for the grid that readers see.
    pub chunks: Option<Vec<i64>>,
    /// What one object of a Zarr array holds, -1 for a whole axis; `None` for one chunk.
    pub shards: Option<Vec<i64>>,
}

impl Output {
    /// The path of the URL: without query, fragment and a slash at its end.
    pub fn path(&self) -> &Path {
        Path::new(self.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/'))
    }

    /// Whether it is a Zarr array: a path that ends in `.zarr`, or a name without extension inside such a folder.
    pub fn is_zarr(&self) -> bool {
        is_zarr_root(self.path()) || (self.path().extension().is_none() && self.path().parent().is_some_and(is_zarr_root))
    }
}

/// Whether a path is that of a whole Zarr hierarchy.
pub fn is_zarr_root(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zarr"))
}

impl Dtype {
    /// Parses the manifest's name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Uint8, Self::Uint16, Self::Float32].into_iter().find(|dtype| dtype.name() == name)
    }
}

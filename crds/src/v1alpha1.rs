//! Version v1alpha1 of the manifest. Every field's comment is what `kubectl explain` shows.

#![expect(rustdoc::broken_intra_doc_links, reason = "the comments of fields are the descriptions in the definition")]

mod servers;
pub mod status;

pub use servers::{Replicas, Resources, Servers, Storage};
pub use status::ArrayJobStatus;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stack of images behind URLs as a distributed array: loaded, recentered, rechunked and Fourier-transformed over time.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "arrayjob.dev",
    version = "v1alpha1",
    kind = "ArrayJob",
    plural = "arrayjobs",
    shortname = "aj",
    category = "all",
    namespaced,
    derive = "PartialEq",
    status = "ArrayJobStatus",
    doc = "A stack of images behind URLs as a distributed array: loaded, recentered, rechunked and Fourier-transformed over time."
)]
#[serde(rename_all = "camelCase")]
pub struct ArrayJobSpec {
    /// Where the frames come from. Exactly one of images, volume, zarr.
    pub source: Source,
    /// How frames are fetched and grouped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Crop every frame around its centroid. Without it frames stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recenter: Option<Recenter>,
    /// Rearrange by pixel: the chunk grid that readers of the result see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rechunk: Option<Rechunk>,
    /// Fourier-transform every pixel over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fft: Option<Fft>,
    /// Reductions of each array, over axis 0 (a frame) and over axes 1 and 2 (a trace).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reduce: Vec<Reduction>,
    /// Arrays that stay readable after the run: raw, recentered, rechunked, and power, amplitude or spectrum. Default: all that the memory allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<String>>,
    /// What is written where once all is computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// The chunk servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Servers>,
    /// Whether no servers run for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How many lost servers are forgiven before the job fails. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<u32>,
    /// Seconds until every server has to be up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u64>,
    /// Seconds until the job has to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<u64>,
    /// Seconds after its end until the job's servers go. Without it they serve results until the ArrayJob is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<u64>,
}

/// Where the frames come from. Exactly one of images, volume, zarr.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// One image behind each URL: PNG, JPEG, TIFF or raw pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Many frames behind each URL, raw pixels in (t, y, x) order, as DVID answers a 3-D request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// An array of a Zarr store, axes (t, y, x).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zarr: Option<Zarr>,
    /// Height, width and dtype of one frame. Default: as the first frame says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// What a frame that cannot be had means: Fail, or Blank (it is zero, and listed in the status). Default Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// A Secret with headers or object-store keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// One image behind each URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// The URL with {index}, {index:05} (five digits, zeros first) or %d in the place of the frame's number. http, https or file.
    pub url_template: String,
    /// Number of frames.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Number of the first frame. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// From one frame's number to the next. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// What colour images become: Refuse (an error) or Luminance (ITU-R 601). Default Refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
}

/// Many frames behind each URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The URL with {index} in the place of the first frame's number and {depth} in the place of the number of frames.
    pub url_template: String,
    /// Number of frames in all.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Frames in one response; the last one may hold fewer.
    #[schemars(range(min = 1))]
    pub depth: u64,
    /// Number of the first frame. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// From one frame's number to the next. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
}

/// An array of a Zarr store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Zarr {
    /// The store, version 2 or 3: http, https, s3, gs or az.
    pub url: String,
    /// The array's path in the store. Without it the URL is the array's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Index along axis 0 of the first frame. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Number of frames. Default: all from start on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub count: Option<u64>,
}

/// Height, width and dtype of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// Rows, in pixels.
    #[schemars(range(min = 1))]
    pub height: u64,
    /// Columns, in pixels.
    #[schemars(range(min = 1))]
    pub width: u64,
    /// uint8, uint16 or float32.
    pub dtype: Dtype,
}

/// The element type of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are NumPy's")]
pub enum Dtype {
    #[default]
    Uint8,
    Uint16,
    Float32,
}

/// What a frame that cannot be had means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// The frame is zero, and listed in the status.
    Blank,
}

/// What colour images become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Color {
    /// They are an error.
    #[default]
    Refuse,
    /// ITU-R 601 luminance.
    Luminance,
}

/// A Secret in the ArrayJob's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Its name.
    pub name: String,
}

/// How frames are fetched and grouped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Frames of one slab, the unit that a server owns. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub chunk_frames: Option<u64>,
    /// Requests that one server has in hand at a time: frames, or chunks of a Zarr array. Default 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<u64>,
}

/// Crop every frame around its centroid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recenter {
    /// Height and width of the crop, in pixels.
    #[schemars(length(min = 2, max = 2))]
    pub crop: Vec<u64>,
    /// How the centre is found. Default centroid: the mean position, weighted by the pixels' values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Pixels below this value weigh nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// How the centre of a frame is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The mean position, weighted by the pixels' values.
    #[default]
    Centroid,
}

/// Rearrange by pixel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rechunk {
    /// Chunk shape (t, y, x) that readers see; -1 is the whole axis.
    #[schemars(length(min = 3, max = 3))]
    pub chunks: Vec<i64>,
}

/// Fourier-transform every pixel over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fft {
    /// The axis; time is 0, and the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<i64>,
    /// power (|X|², float32), amplitude (|X|, float32) or complex (X, complex64). Default power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<FftOutput>,
    /// none or hann, as scipy.signal.get_window (periodic). Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// none, constant or linear, as scipy.signal.detrend; before the window. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detrend: Option<Detrend>,
}

/// What is kept of each bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "described at the field")]
pub enum FftOutput {
    #[default]
    Power,
    Amplitude,
    Complex,
}

/// Window over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "described at the field")]
pub enum Window {
    #[default]
    None,
    Hann,
}

/// Trend removed before the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "described at the field")]
pub enum Detrend {
    #[default]
    None,
    Constant,
    Linear,
}

/// A reduction, with NumPy's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are NumPy's")]
pub enum Reduction {
    Mean,
    Sum,
    Std,
    Var,
    Min,
    Max,
}

/// One thing to write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// What, in NumPy's words: power[:,500,500].
    pub select: String,
    /// Where: a URL whose path ends in .zarr, .npy, .png, .tiff, .csv or .json; s3, gs, az, http, https, and file on one's own machine.
    pub url: String,
    /// Chunk shape of a Zarr array, one number for each axis of the selection; -1 is the whole axis. Default: as readers see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub chunks: Option<Vec<i64>>,
    /// What one object of a Zarr array holds, in whole chunks; -1 is the whole axis. Default: one chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub shards: Option<Vec<i64>>,
}

//! Version v1alpha1 of the manifest. `kubectl explain` shows the comment of each field.

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
    /// The source of the frames. Exactly one of images, volume and zarr must be given.
    pub source: Source,
    /// Settings of the phase Load: slabs and concurrent requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Crops each frame around its centroid. Default: no crop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recenter: Option<Recenter>,
    /// Stores the pixels as time series, in this chunk grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rechunk: Option<Rechunk>,
    /// Computes the Fourier transform of each pixel over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fft: Option<Fft>,
    /// Reductions of each array, over axis 0 (the result is a frame) and over axes 1 and 2 (the result is a trace).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reduce: Vec<Reduction>,
    /// Arrays that stay readable after the run: raw, recentered, rechunked, and power, amplitude or spectrum. Default: all arrays that fit the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<String>>,
    /// Outputs, written after all phases are complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// The chunk servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Servers>,
    /// Whether the job is suspended. A suspended job has no servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Number of permitted restarts of servers that end by themselves. One more end fails the job. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<u32>,
    /// Time limit until all servers are ready, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u64>,
    /// Time limit until the job is complete, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<u64>,
    /// Time from the end of the job to the deletion of its servers, in seconds. Default: the servers serve results until the ArrayJob is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<u64>,
}

/// The source of the frames. Exactly one of images, volume and zarr must be given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// One image per URL: PNG, JPEG, TIFF or raw pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Several frames per URL, raw pixels in (t, y, x) order, as in the response of DVID to a 3-D request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// An array of a Zarr store, axes (t, y, x).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zarr: Option<Zarr>,
    /// Height, width and dtype of one frame. Default: as in the header of the first frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// Reaction to a frame that cannot be fetched or decoded: Fail (the job fails) or Blank (the frame is zero, and the status lists the frame). Default Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// Least rate of a response, in bytes per second, measured over 30 seconds. A slower response is fetched once more, and then fails. 0: no limit. Default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub min_bytes_per_second: Option<u64>,
    /// A Secret with HTTP headers or credentials of an object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// One image per URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// The URL template. {index}, {index:05} (five digits with leading zeros) or %d is replaced with the index of the frame. Schemes: http, https and file.
    pub url_template: String,
    /// Number of frames.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Index of the first frame. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// Difference between the indices of consecutive frames. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// Treatment of colour images: Refuse (an error) or Luminance (ITU-R BT.601). Default Refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
}

/// Several frames per URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The URL template. {index} is replaced with the index of the first frame, {depth} with the number of frames.
    pub url_template: String,
    /// Total number of frames.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Frames in one response. The last response may have fewer.
    #[schemars(range(min = 1))]
    pub depth: u64,
    /// Index of the first frame. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// Difference between the indices of consecutive frames. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
}

/// An array of a Zarr store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Zarr {
    /// URL of the store, Zarr version 2 or 3. Schemes: http, https, s3, gs and az.
    pub url: String,
    /// Path of the array in the store. Default: the URL is the URL of the array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Index of the first frame along axis 0. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Number of frames. Default: all frames from start to the end.
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

/// Reaction to a frame that cannot be fetched or decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// The frame is zero, and the status lists the frame.
    Blank,
}

/// Treatment of colour images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Color {
    /// A colour image is an error.
    #[default]
    Refuse,
    /// The luminance of ITU-R BT.601.
    Luminance,
}

/// A Secret in the namespace of the ArrayJob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
}

/// Settings of the phase Load: slabs and concurrent requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Frames of one slab. A server owns whole slabs. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub chunk_frames: Option<u64>,
    /// Concurrent requests of one server, for frames or chunks of a Zarr array. Default 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<u64>,
}

/// Crops each frame around its centroid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recenter {
    /// Height and width of the crop, in pixels.
    #[schemars(length(min = 2, max = 2))]
    pub crop: Vec<u64>,
    /// Method that finds the centre. Default centroid: the mean position of the pixels, weighted by their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Pixels below this value have weight 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// Method that finds the centre of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The mean position of the pixels, weighted by their values.
    #[default]
    Centroid,
}

/// Stores the pixels as time series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rechunk {
    /// Chunk shape (t, y, x) of the array. -1 is the whole axis.
    #[schemars(length(min = 3, max = 3))]
    pub chunks: Vec<i64>,
}

/// Computes the Fourier transform of each pixel over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fft {
    /// Axis of the transform: 0 (time), or -3, which is the same axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<i64>,
    /// Values of a bin: power (|X|², float32), amplitude (|X|, float32) or complex (X, complex64). Default power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<FftOutput>,
    /// Window: none or hann (periodic, as scipy.signal.get_window). Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Trend that is removed before the window is applied: none, constant or linear, as in scipy.signal.detrend. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detrend: Option<Detrend>,
}

/// Values of a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "described at the field")]
pub enum FftOutput {
    #[default]
    Power,
    Amplitude,
    Complex,
}

/// Window function over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "described at the field")]
pub enum Window {
    #[default]
    None,
    Hann,
}

/// Trend that is removed before the window is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "described at the field")]
pub enum Detrend {
    #[default]
    None,
    Constant,
    Linear,
}

/// A reduction, as in NumPy.
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

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Selection of an array with NumPy's basic slicing, for example `power[:,500,500]`.
    pub select: String,
    /// URL of the output. The path ends in .zarr, .npy, .png, .tiff, .csv or .json. Schemes: s3, gs, az, http and https; file for a job on the local machine.
    pub url: String,
    /// Chunk shape of a Zarr array, one number for each axis of the selection; -1 is the whole axis. Default: the chunk shape of the array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub chunks: Option<Vec<i64>>,
    /// Shard shape of a Zarr array, the size of one object, in multiples of chunks; -1 is the whole axis. Default: one chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub shards: Option<Vec<i64>>,
}

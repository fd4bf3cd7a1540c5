//! A builder of manifests: `job(url, 40).frame(37, 51, "uint8").recenter(20, 31).fft("power")`.

use crate::movie::Movie;
use serde_json::{Map, Value, json};

/// The builder of a manifest.
#[derive(Clone, Debug)]
pub struct Job {
    spec: Map<String, Value>,
}

/// A job over `count` frames, one for each URL.
pub fn job(url_template: &str, count: usize) -> Job {
    Job { spec: Map::new() }.set("source", json!({"images": {"urlTemplate": url_template, "count": count}}))
}

/// A job over `count` frames, `depth` frames for each URL.
pub fn volume(url_template: &str, count: usize, depth: usize) -> Job {
    Job { spec: Map::new() }.set("source", json!({"volume": {"urlTemplate": url_template, "count": count, "depth": depth}}))
}

/// A job over the frames of an array, axes (t, y, x).
pub fn zarr(url: &str, array: &str) -> Job {
    Job { spec: Map::new() }.set("source", json!({"zarr": {"url": url, "array": array}}))
}

impl Job {
    /// Sets a field of the spec.
    #[must_use]
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.spec.insert(field.to_owned(), value);
        self
    }

    fn set_in(mut self, outer: &str, field: &str, value: Value) -> Self {
        self.spec.entry(outer).or_insert_with(|| json!({}))[field] = value;
        self
    }

    /// Sets the shape and type of frames, so that the first frame is not probed.
    #[must_use]
    pub fn frame(self, height: usize, width: usize, dtype: &str) -> Self {
        self.set_in("source", "frame", json!({"height": height, "width": width, "dtype": dtype}))
    }

    /// Sets the shape and type of frames to those of a movie.
    #[must_use]
    pub fn frame_of(self, movie: Movie) -> Self {
        self.frame(movie.frame.height, movie.frame.width, movie.frame.dtype.name())
    }

    /// Sets the index of the first frame, and the difference between two indices.
    #[must_use]
    pub fn start_step(mut self, start: i64, step: i64) -> Self {
        let source = self.spec["source"].as_object_mut().unwrap();
        let kind = if source.contains_key("images") { "images" } else { "volume" };
        source[kind]["start"] = json!(start);
        source[kind]["step"] = json!(step);
        self
    }

    /// Converts color images to their luminance.
    #[must_use]
    pub fn luminance(mut self) -> Self {
        self.spec["source"]["images"]["color"] = json!("Luminance");
        self
    }

    /// Replaces a failed frame with zeros.
    #[must_use]
    pub fn blank(self) -> Self {
        self.set_in("source", "onError", json!("Blank"))
    }

    /// Sets the number of frames in a slab.
    #[must_use]
    pub fn slabs_of(self, frames: usize) -> Self {
        self.set_in("load", "chunkFrames", json!(frames))
    }

    /// Sets the number of frames that a server fetches at a time.
    #[must_use]
    pub fn concurrency(self, frames: usize) -> Self {
        self.set_in("load", "concurrency", json!(frames))
    }

    /// Adds the phase Recenter.
    #[must_use]
    pub fn recenter(self, height: usize, width: usize) -> Self {
        self.set_in("recenter", "crop", json!([height, width]))
    }

    /// Sets the threshold below which a pixel has no weight in the centroid.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        self.set_in("recenter", "threshold", json!(threshold))
    }

    /// Adds the phase Rechunk.
    #[must_use]
    pub fn rechunk(self, chunks: [i64; 3]) -> Self {
        self.set("rechunk", json!({"chunks": chunks}))
    }

    /// Adds the phase Fft.
    #[must_use]
    pub fn fft(self, output: &str) -> Self {
        self.set_in("fft", "output", json!(output))
    }

    /// Sets the window function.
    #[must_use]
    pub fn window(self, window: &str) -> Self {
        self.set_in("fft", "window", json!(window))
    }

    /// Sets the trend that is subtracted before the window function.
    #[must_use]
    pub fn detrend(self, detrend: &str) -> Self {
        self.set_in("fft", "detrend", json!(detrend))
    }

    /// Sets the reductions.
    #[must_use]
    pub fn reduce(self, reductions: &[&str]) -> Self {
        self.set("reduce", json!(reductions))
    }

    /// Sets all six reductions.
    #[must_use]
    pub fn reduce_all(self) -> Self {
        self.reduce(&["mean", "sum", "std", "var", "min", "max"])
    }

    /// Sets the arrays to keep.
    #[must_use]
    pub fn keep(self, arrays: &[&str]) -> Self {
        self.set("keep", json!(arrays))
    }

    /// Adds an output: a selection and its URL. `more` contains `chunks` and `shards`.
    #[must_use]
    pub fn output(mut self, select: &str, url: &str, more: &Value) -> Self {
        let mut output = more.as_object().cloned().unwrap_or_default();
        output.extend([("select".to_owned(), json!(select)), ("url".to_owned(), json!(url))]);
        let outputs = self.spec.entry("outputs").or_insert_with(|| json!([]));
        outputs.as_array_mut().unwrap().push(Value::Object(output));
        self
    }

    /// Sets the storage of the large arrays: memory or disk.
    #[must_use]
    pub fn storage(self, storage: &str) -> Self {
        self.set_in("servers", "storage", json!(storage))
    }

    /// Sets the number of server failures that the job survives.
    #[must_use]
    pub fn backoff_limit(self, limit: u32) -> Self {
        self.set("backoffLimit", json!(limit))
    }

    /// Sets the number of servers.
    #[must_use]
    pub fn servers(self, replicas: usize) -> Self {
        self.set_in("servers", "replicas", json!(replicas))
    }

    /// Sets the limits of a server: processors, which slow the server down, and memory.
    #[must_use]
    pub fn each(self, cpu: &str, memory: &str) -> Self {
        let resources = json!({"requests": {"cpu": "50m", "memory": memory}, "limits": {"cpu": cpu, "memory": memory}});
        self.set_in("servers", "resources", resources)
    }

    /// Sets a label that nodes need for servers.
    #[must_use]
    pub fn on_nodes(self, label: &str, value: &str) -> Self {
        self.set_in("servers", "nodeSelector", json!({label: value}))
    }

    /// Sets the Secret with headers for the source.
    #[must_use]
    pub fn secret(self, name: &str) -> Self {
        self.set_in("source", "secretRef", json!({"name": name}))
    }

    /// The manifest with this name as JSON, which is valid YAML.
    pub fn manifest(&self, name: &str) -> String {
        let manifest = json!({"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": name}, "spec": self.spec});
        format!("{manifest:#}")
    }
}

//! Manifests that read as sentences: `job(url, 40).frame(37, 51, "uint8").recenter(20, 31).fft("power")`.

use crate::movie::Movie;
use serde_json::{Map, Value, json};

/// A manifest in the making.
#[derive(Clone, Debug)]
pub struct Job {
    spec: Map<String, Value>,
}

/// A job over `count` frames, one behind each URL.
pub fn job(url_template: &str, count: usize) -> Job {
    Job { spec: Map::new() }.set("source", json!({"images": {"urlTemplate": url_template, "count": count}}))
}

/// A job over `count` frames, `depth` behind each URL.
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

    /// Says the shape and type of frames, so that the first one is not asked.
    #[must_use]
    pub fn frame(self, height: usize, width: usize, dtype: &str) -> Self {
        self.set_in("source", "frame", json!({"height": height, "width": width, "dtype": dtype}))
    }

    /// Says the shape and type of frames as a movie has them.
    #[must_use]
    pub fn frame_of(self, movie: Movie) -> Self {
        self.frame(movie.frame.height, movie.frame.width, movie.frame.dtype.name())
    }

    /// The first frame's index, and from one to the next.
    #[must_use]
    pub fn start_step(mut self, start: i64, step: i64) -> Self {
        let source = self.spec["source"].as_object_mut().unwrap();
        let kind = if source.contains_key("images") { "images" } else { "volume" };
        source[kind]["start"] = json!(start);
        source[kind]["step"] = json!(step);
        self
    }

    /// A frame that cannot be had is zero.
    #[must_use]
    pub fn blank(self) -> Self {
        self.set_in("source", "onError", json!("Blank"))
    }

    /// Frames of one slab.
    #[must_use]
    pub fn slabs_of(self, frames: usize) -> Self {
        self.set_in("load", "chunkFrames", json!(frames))
    }

    /// Frames fetched at a time by one server.
    #[must_use]
    pub fn concurrency(self, frames: usize) -> Self {
        self.set_in("load", "concurrency", json!(frames))
    }

    /// The phase Recenter.
    #[must_use]
    pub fn recenter(self, height: usize, width: usize) -> Self {
        self.set_in("recenter", "crop", json!([height, width]))
    }

    /// Pixels below weigh nothing.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        self.set_in("recenter", "threshold", json!(threshold))
    }

    /// The phase Rechunk.
    #[must_use]
    pub fn rechunk(self, chunks: [i64; 3]) -> Self {
        self.set("rechunk", json!({"chunks": chunks}))
    }

    /// The phase Fft.
    #[must_use]
    pub fn fft(self, output: &str) -> Self {
        self.set_in("fft", "output", json!(output))
    }

    /// The window before the transform.
    #[must_use]
    pub fn window(self, window: &str) -> Self {
        self.set_in("fft", "window", json!(window))
    }

    /// What is taken off before the window.
    #[must_use]
    pub fn detrend(self, detrend: &str) -> Self {
        self.set_in("fft", "detrend", json!(detrend))
    }

    /// Reductions.
    #[must_use]
    pub fn reduce(self, reductions: &[&str]) -> Self {
        self.set("reduce", json!(reductions))
    }

    /// All six reductions.
    #[must_use]
    pub fn reduce_all(self) -> Self {
        self.reduce(&["mean", "sum", "std", "var", "min", "max"])
    }

    /// Arrays that are kept.
    #[must_use]
    pub fn keep(self, arrays: &[&str]) -> Self {
        self.set("keep", json!(arrays))
    }

    /// Writes a selection to a URL; `more` has `chunks` and `shards`.
    #[must_use]
    pub fn output(mut self, select: &str, url: &str, more: &Value) -> Self {
        let mut output = more.as_object().cloned().unwrap_or_default();
        output.extend([("select".to_owned(), json!(select)), ("url".to_owned(), json!(url))]);
        let outputs = self.spec.entry("outputs").or_insert_with(|| json!([]));
        outputs.as_array_mut().unwrap().push(Value::Object(output));
        self
    }

    /// Where the big arrays live.
    #[must_use]
    pub fn storage(self, storage: &str) -> Self {
        self.set_in("servers", "storage", json!(storage))
    }

    /// Lost servers that are forgiven.
    #[must_use]
    pub fn backoff_limit(self, limit: u32) -> Self {
        self.set("backoffLimit", json!(limit))
    }

    /// Number of servers.
    #[must_use]
    pub fn servers(self, replicas: usize) -> Self {
        self.set_in("servers", "replicas", json!(replicas))
    }

    /// What each server is given: processors as a limit, which makes it as slow as it says, and memory.
    #[must_use]
    pub fn each(self, cpu: &str, memory: &str) -> Self {
        let resources = json!({"requests": {"cpu": "50m", "memory": memory}, "limits": {"cpu": cpu, "memory": memory}});
        self.set_in("servers", "resources", resources)
    }

    /// Labels of the nodes that servers may run on.
    #[must_use]
    pub fn on_nodes(self, label: &str, value: &str) -> Self {
        self.set_in("servers", "nodeSelector", json!({label: value}))
    }

    /// The Secret with headers for the source.
    #[must_use]
    pub fn secret(self, name: &str) -> Self {
        self.set_in("source", "secretRef", json!({"name": name}))
    }

    /// The manifest of that name as JSON, which is YAML too.
    pub fn manifest(&self, name: &str) -> String {
        let manifest = json!({"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": name}, "spec": self.spec});
        format!("{manifest:#}")
    }
}

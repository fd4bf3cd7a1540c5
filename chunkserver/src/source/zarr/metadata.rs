//! Reads and checks the metadata of an array, version 2 or 3: whether the array is a supported stack of frames.

use super::Error;
use super::codecs;
use super::json::quote_constants;
use super::keys::{Keys, Value as KeyValue};
use crate::source::BodyRange;
use api::geometry::Dtype;
use api::job::ArrayLayout;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use zarrs::array::{Array, ArrayMetadata};

/// Most array names in the message about a group.
const LISTED: usize = 20;
/// Largest metadata document, in bytes.
pub(super) const DOCUMENT: u64 = 16 << 20;

/// An array whose metadata are supported.
pub(super) struct Opened {
    pub(super) array: Array<()>,
    pub(super) layout: ArrayLayout,
    /// Bytes of each stored chunk, if chunks are not compressed.
    pub(super) stored: Option<u64>,
}

/// Reads the metadata of the array of `keys`.
pub(super) async fn read(keys: &Arc<Keys>) -> Result<Opened, Error> {
    let url = keys.shown();
    if let Some(value) = get(keys, "zarr.json").await? {
        let found: Value = parse(&url, &value.body)?;
        return match found["node_type"].as_str() {
            Some("array") => Reader { url, ranges: ranges(keys, &value) }.v3(found),
            Some("group") => Err(Error::Group { url, advice: advice(&arrays_v3(&found)) }),
            _ => Err(Error::Metadata { url, message: "zarr.json has no node_type".into() }),
        };
    }
    if let Some(value) = get(keys, ".zarray").await? {
        let found: Value = parse(&url, &value.body)?;
        return Reader { url, ranges: ranges(keys, &value) }.v2(found);
    }
    if let Some(listing) = get(keys, ".zmetadata").await? {
        let arrays = arrays_v2(&parse(&url, &listing.body)?);
        return Err(Error::Group { url, advice: advice(&arrays) });
    }
    if get(keys, ".zgroup").await?.is_some() {
        return Err(Error::Group { url, advice: advice(&[]) });
    }
    Err(Error::Absent { url })
}

/// A metadata document. The request is a range from the first byte; the response shows whether the server supports ranges.
async fn get(keys: &Arc<Keys>, key: &str) -> Result<Option<KeyValue>, Error> {
    keys.get(key, Some(BodyRange::From(0, None)), 0, DOCUMENT).await.map_err(|error| Error::Fetch(Arc::new(error)))
}

fn ranges(keys: &Keys, value: &KeyValue) -> bool {
    keys.supports_ranges().unwrap_or(value.exact)
}

fn parse<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(&quote_constants(body)).map_err(|error| Error::Metadata { url: url.to_owned(), message: error.to_string() })
}

/// Parses the metadata of one array.
struct Reader {
    url: String,
    /// Whether the store supports ranges, so that parts of chunks can be fetched.
    ranges: bool,
}

impl Reader {
    fn wrong(&self, message: impl Into<String>) -> Error {
        Error::Metadata { url: self.url.clone(), message: message.into() }
    }

    fn v3(self, mut found: Value) -> Result<Opened, Error> {
        let shape = self.shape(&found["shape"], found["dimension_names"].as_array())?;
        let dtype = &found["data_type"];
        let dtype = self.dtype(dtype, Dtype::parse(name(dtype)))?;
        let grid = &found["chunk_grid"];
        if grid["name"] != "regular" {
            return Err(self.wrong(format!("its chunk grid is {}; only regular grids are supported", grid["name"])));
        }
        let chunks = self.chunks(&grid["configuration"]["chunk_shape"])?;
        let names: Vec<&str> = found["codecs"].as_array().into_iter().flatten().map(name).collect();
        let parts = match names[..] {
            _ if !self.ranges => chunks,
            ["sharding_indexed"] => self.chunks(&found["codecs"][0]["configuration"]["chunk_shape"])?,
            ["bytes"] => [1, chunks[1], chunks[2]],
            _ => chunks,
        };
        let plain = matches!(names[..], ["bytes"] | ["transpose", "bytes"]);
        self.fill(&mut found["fill_value"], dtype)?;
        let metadata: ArrayMetadata = serde_json::from_value(found).map_err(|error| self.wrong(error.to_string()))?;
        self.open(metadata, ArrayLayout { shape, dtype, chunks, parts }, plain)
    }

    fn v2(self, mut found: Value) -> Result<Opened, Error> {
        let shape = self.shape(&found["shape"], None)?;
        let dtype = &found["dtype"];
        let dtype = self.dtype(
            dtype,
            match dtype.as_str() {
                Some("|u1" | "<u1" | ">u1") => Some(Dtype::Uint8),
                Some("<u2" | ">u2") => Some(Dtype::Uint16),
                Some("<f4" | ">f4") => Some(Dtype::Float32),
                _ => None,
            },
        )?;
        let chunks = self.chunks(&found["chunks"])?;
        let plain = found["compressor"].is_null() && found["filters"].as_array().is_none_or(Vec::is_empty);
        let parts = if plain && found["order"] == "C" && self.ranges { [1, chunks[1], chunks[2]] } else { chunks };
        self.fill(&mut found["fill_value"], dtype)?;
        if found["compressor"]["id"] == "blosc" {
            found["compressor"]["id"] = codecs::BLOSC_V2.into();
        }
        let metadata: ArrayMetadata = serde_json::from_value(found).map_err(|error| self.wrong(error.to_string()))?;
        self.open(metadata, ArrayLayout { shape, dtype, chunks, parts }, plain)
    }

    /// Creates the decoder, so that an unknown codec is an error before any chunk is read.
    fn open(&self, metadata: ArrayMetadata, layout: ArrayLayout, plain: bool) -> Result<Opened, Error> {
        codecs::install();
        let array = Array::new_with_metadata(Arc::new(()), "/", metadata).map_err(|error| self.wrong(error.to_string()))?;
        let divides = layout.chunks.iter().zip(layout.parts).all(|(chunk, part)| chunk.is_multiple_of(part));
        if !divides {
            return Err(self.wrong(format!("inner chunks of {:?} do not divide shards of {:?}", layout.parts, layout.chunks)));
        }
        Ok(Opened { array, layout, stored: plain.then_some(layout.chunk_bytes()) })
    }

    /// Writes the fill value of integers as an integer: other writers write `0.0`, too.
    fn fill(&self, value: &mut Value, dtype: Dtype) -> Result<(), Error> {
        let largest = match dtype {
            Dtype::Uint8 => f64::from(u8::MAX),
            Dtype::Uint16 => f64::from(u16::MAX),
            Dtype::Float32 => return Ok(()),
        };
        let Some(number) = value.as_f64().filter(|_| value.is_f64()) else { return Ok(()) };
        if number.fract() != 0.0 || !(0.0..=largest).contains(&number) {
            return Err(self.wrong(format!("its fill value {value} is not a value of its elements, {dtype}")));
        }
        *value = Value::from(number as u64);
        Ok(())
    }

    fn shape(&self, shape: &Value, names: Option<&Vec<Value>>) -> Result<[usize; 3], Error> {
        let sizes = shape.as_array().ok_or_else(|| self.wrong("it has no shape"))?;
        let named = names.map_or_else(String::new, |names| {
            let names: Vec<&str> = names.iter().map(|name| name.as_str().unwrap_or("?")).collect();
            format!(" ({})", names.join(", "))
        });
        let found = three(sizes).ok_or_else(|| {
            let axes = sizes.len();
            let plural = if axes == 1 { "axis" } else { "axes" };
            if axes == 3 {
                return self.wrong(format!("its shape {shape} has an empty axis or is too large"));
            }
            self.wrong(format!("it has {axes} {plural}{named}, shape {shape}; a stack of frames has 3 axes: (t, y, x)"))
        })?;
        // Names of axes have no fixed meaning, but these names indicate another order of axes.
        let first = names.and_then(|names| names.first()?.as_str()).unwrap_or("t").to_ascii_lowercase();
        if ["x", "y"].contains(&first.as_str()) {
            return Err(self.wrong(format!("its axes are{named}; a stack of frames has (t, y, x)")));
        }
        Ok(found)
    }

    fn chunks(&self, chunks: &Value) -> Result<[usize; 3], Error> {
        let sizes = chunks.as_array().and_then(|sizes| three(sizes));
        sizes.ok_or_else(|| self.wrong(format!("its chunks are {chunks}; three sizes of at least 1 are required")))
    }

    fn dtype(&self, found: &Value, known: Option<Dtype>) -> Result<Dtype, Error> {
        known.ok_or_else(|| {
            let name = found.as_str().or_else(|| found["name"].as_str()).map_or_else(|| found.to_string(), str::to_owned);
            self.wrong(format!("its elements are {name}; supported types: uint8, uint16 and float32"))
        })
    }
}

/// Three sizes of at least 1, whose total size does not overflow.
fn three(sizes: &[Value]) -> Option<[usize; 3]> {
    let sizes: Vec<usize> = sizes.iter().map(|size| usize::try_from(size.as_u64()?).ok()).collect::<Option<_>>()?;
    let sizes: [usize; 3] = sizes.try_into().ok()?;
    let bytes = sizes.iter().try_fold(8usize, |product, size| product.checked_mul(*size));
    bytes.filter(|bytes| *bytes > 0 && isize::try_from(*bytes).is_ok()).map(|_| sizes)
}

/// The name of a codec: a string, or the field `name` of an object.
fn name(codec: &Value) -> &str {
    codec.as_str().or_else(|| codec["name"].as_str()).unwrap_or_default()
}

fn arrays_v3(group: &Value) -> Vec<String> {
    let nodes = group["consolidated_metadata"]["metadata"].as_object();
    let arrays = nodes.into_iter().flatten().filter(|(_, node)| node["node_type"] == "array");
    arrays.map(|(path, _)| path.clone()).collect()
}

fn arrays_v2(listing: &Value) -> Vec<String> {
    let nodes = listing["metadata"].as_object();
    nodes.into_iter().flatten().filter_map(|(key, _)| key.strip_suffix("/.zarray").map(str::to_owned)).collect()
}

fn advice(arrays: &[String]) -> String {
    if arrays.is_empty() {
        return "set source.zarr.array to the path of one of its arrays (the group's metadata do not list them)".into();
    }
    let more = if arrays.len() > LISTED { ", …" } else { "" };
    format!("set source.zarr.array to one of its arrays: {}{more}", arrays[..arrays.len().min(LISTED)].join(", "))
}

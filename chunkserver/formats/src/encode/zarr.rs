//! Zarr v3 metadata and chunk keys: <https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html>.
//!
//! Chunks are uncompressed, so that a server sends them as they lie in memory. Chunks at the edge have the full chunk shape and are padded.

use api::geometry::Element;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The `zarr.json` of one array.
///
/// `transpose` is the order of the axes in the bytes of a chunk, see
/// <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/transpose/index.html>: `[1, 2, 0]` stores (t, y, x) chunks as (y, x, t), one time
/// series after another. `None` is C order. `dimension_names` has one name per axis, or is empty.
pub fn array_metadata(
    shape: &[usize],
    chunk_shape: &[usize],
    element: Element,
    dimension_names: &[&str],
    attributes: &Map<String, Value>,
    transpose: Option<[usize; 3]>,
) -> String {
    let mut codecs = vec![bytes_codec(element)];
    if let Some(order) = transpose {
        codecs.insert(0, json!({"name": "transpose", "configuration": {"order": order}}));
    }
    metadata(shape, chunk_shape, element, dimension_names, attributes, &codecs)
}

/// The `zarr.json` of an array whose objects are shards: several chunks and an index at the end. Sharding codec:
/// <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>, checksum of the index: CRC-32C,
/// <https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4>.
pub fn sharded_metadata(
    shape: &[usize],
    shard_shape: &[usize],
    chunk_shape: &[usize],
    element: Element,
    dimension_names: &[&str],
    attributes: &Map<String, Value>,
) -> String {
    let codec = json!({"name": "sharding_indexed", "configuration": {
        "chunk_shape": chunk_shape,
        "codecs": [bytes_codec(element)],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "end",
    }});
    metadata(shape, shard_shape, element, dimension_names, attributes, &[codec])
}

fn bytes_codec(element: Element) -> Value {
    match element {
        Element::Uint8 => json!({"name": "bytes"}),
        _ => json!({"name": "bytes", "configuration": {"endian": "little"}}),
    }
}

fn metadata(
    shape: &[usize],
    object_shape: &[usize],
    element: Element,
    dimension_names: &[&str],
    attributes: &Map<String, Value>,
    codecs: &[Value],
) -> String {
    let mut metadata = json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": element.name(),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": object_shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value(element),
        "codecs": codecs,
        "attributes": attributes,
        "storage_transformers": [],
    });
    if !dimension_names.is_empty() {
        metadata["dimension_names"] = json!(dimension_names);
    }
    metadata.to_string()
}

/// The `zarr.json` of the group of the arrays, with the metadata of the arrays inline (consolidated), so that one request opens all arrays.
///
/// `arrays` has the name and the [`array_metadata`] of each array. The metadata is copied unchanged.
pub fn group_metadata(arrays: &[(&str, &str)]) -> String {
    let nodes: Vec<String> = arrays.iter().map(|(name, metadata)| format!("{}:{metadata}", json!(name))).collect();
    format!(
        concat!(
            r#"{{"zarr_format":3,"node_type":"group","attributes":{{}},"#,
            r#""consolidated_metadata":{{"kind":"inline","must_understand":false,"metadata":{{{}}}}}}}"#
        ),
        nodes.join(",")
    )
}

/// The `zarr.json` of a group without a list of its members.
pub fn empty_group_metadata() -> String {
    json!({"zarr_format": 3, "node_type": "group", "attributes": {}}).to_string()
}

/// The key of a chunk below its array, in the default encoding: `c/0/12/3`; `c` for an array without axes.
pub fn chunk_key(index: &[usize]) -> String {
    index.iter().fold("c".to_owned(), |mut key, i| {
        // A write to a String does not fail.
        let _ = write!(key, "/{i}");
        key
    })
}

/// Zero in the notation of the data type: a float for floats, a pair for complex values.
fn fill_value(element: Element) -> Value {
    match element {
        Element::Uint8 | Element::Uint16 | Element::Uint64 | Element::Int32 => json!(0),
        Element::Float32 | Element::Float64 => json!(0.0),
        Element::Complex64 => json!([0.0, 0.0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_array_of_time_series_has_a_transpose_codec() {
        let mut attributes = Map::new();
        attributes.insert("dimension_units".to_owned(), json!(["1", "8 nm", "8 nm"]));
        let axes = ["t", "y", "x"];
        let text = array_metadata(&[100, 20, 30], &[100, 10, 10], Element::Float32, &axes, &attributes, Some([1, 2, 0]));
        assert_eq!(
            parsed(&text),
            json!({
                "zarr_format": 3, "node_type": "array", "shape": [100, 20, 30], "data_type": "float32",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [100, 10, 10]}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "fill_value": 0.0,
                "codecs": [
                    {"name": "transpose", "configuration": {"order": [1, 2, 0]}},
                    {"name": "bytes", "configuration": {"endian": "little"}},
                ],
                "dimension_names": ["t", "y", "x"],
                "attributes": {"dimension_units": ["1", "8 nm", "8 nm"]}, "storage_transformers": [],
            })
        );
    }

    #[test]
    fn fill_values_and_codecs_follow_the_element_type() {
        let check = |element, fill: Value, codecs: Value| {
            let metadata = parsed(&array_metadata(&[4], &[4], element, &[], &Map::new(), None));
            assert_eq!(metadata["fill_value"].to_string(), fill.to_string(), "{element}");
            assert_eq!(metadata["codecs"], codecs, "{element}");
            assert_eq!(metadata.get("dimension_names"), None);
        };
        let little = json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
        check(Element::Uint8, json!(0), json!([{"name": "bytes"}]));
        check(Element::Uint16, json!(0), little.clone());
        check(Element::Uint64, json!(0), little.clone());
        check(Element::Int32, json!(0), little.clone());
        check(Element::Float32, json!(0.0), little.clone());
        check(Element::Float64, json!(0.0), little.clone());
        check(Element::Complex64, json!([0.0, 0.0]), little);
    }

    #[test]
    fn a_group_contains_the_metadata_of_its_arrays() {
        let array = array_metadata(&[], &[], Element::Float64, &[], &Map::new(), None);
        let group = parsed(&group_metadata(&[("power", &array), ("a \"name\"", &array)]));
        let metadata = json!({"power": parsed(&array), "a \"name\"": parsed(&array)});
        let consolidated = json!({"kind": "inline", "must_understand": false, "metadata": metadata});
        let expected = json!({
            "zarr_format": 3, "node_type": "group", "attributes": {}, "consolidated_metadata": consolidated,
        });
        assert_eq!(group, expected);
        assert_eq!(parsed(&group_metadata(&[]))["consolidated_metadata"]["metadata"], json!({}));
    }

    #[test]
    fn chunk_keys_follow_the_default_encoding() {
        assert_eq!(chunk_key(&[0, 12, 3]), "c/0/12/3");
        assert_eq!(chunk_key(&[7]), "c/7");
        assert_eq!(chunk_key(&[]), "c");
    }
}

//! A reader of ArrayJob's Zarr v3 arrays: regular chunks of raw little-endian elements
//! (<https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html>).

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// An array, in C order.
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// The Zarr data type, such as `uint8`.
    pub data_type: String,
    /// The elements, little endian.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.shape, self.data_type)
    }
}

/// Arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// Reads every array of a group.
pub fn read(group: &Path) -> Arrays {
    let metadata: Value = json(&group.join("zarr.json"));
    let named = metadata["consolidated_metadata"]["metadata"].as_object().unwrap();
    named.keys().map(|name| (name.clone(), read_array(&group.join(name)))).collect()
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn numbers(list: &Value) -> Vec<usize> {
    list.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

/// Reads one array.
pub fn read_array(folder: &Path) -> Array {
    let metadata = json(&folder.join("zarr.json"));
    let shape = numbers(&metadata["shape"]);
    let chunk = numbers(&metadata["chunk_grid"]["configuration"]["chunk_shape"]);
    let data_type = metadata["data_type"].as_str().unwrap().to_owned();
    let item = match data_type.as_str() {
        "uint8" => 1,
        "uint16" => 2,
        "int32" | "float32" => 4,
        "uint64" | "float64" | "complex64" => 8,
        other => panic!("{other} is not an element type"),
    };
    let mut bytes = vec![0; shape.iter().product::<usize>() * item];
    let grid: Vec<usize> = shape.iter().zip(&chunk).map(|(size, chunk)| size.div_ceil(*chunk)).collect();
    for index in positions(&grid) {
        let key: String = index.iter().map(|i| format!("/{i}")).collect();
        let path = folder.join(format!("c{key}"));
        let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(body.len(), chunk.iter().product::<usize>() * item, "{} is not one chunk", path.display());
        paste(&mut bytes, &shape, &body, &chunk, &index, item);
    }
    Array { shape, data_type, bytes }
}

/// Every position of a grid, in C order.
fn positions(grid: &[usize]) -> Vec<Vec<usize>> {
    grid.iter().fold(vec![vec![]], |all, &size| {
        all.into_iter().flat_map(|outer| (0..size).map(move |i| [outer.as_slice(), &[i]].concat())).collect()
    })
}

/// Copies the rows of a chunk, without padding, to their position in the array.
fn paste(bytes: &mut [u8], shape: &[usize], body: &[u8], chunk: &[usize], index: &[usize], item: usize) {
    let first: Vec<usize> = index.iter().zip(chunk).map(|(i, chunk)| i * chunk).collect();
    let covered: Vec<usize> = (0..shape.len()).map(|axis| chunk[axis].min(shape[axis] - first[axis])).collect();
    let flat = |position: &[usize], sizes: &[usize]| position.iter().zip(sizes).fold(0, |at, (p, size)| at * size + p);
    let Some((&row, outer)) = covered.split_last() else {
        return bytes.copy_from_slice(body);
    };
    for mut position in positions(outer) {
        position.push(0);
        let from = flat(&position, chunk) * item;
        let target: Vec<usize> = position.iter().zip(&first).map(|(p, first)| p + first).collect();
        let to = flat(&target, shape) * item;
        bytes[to..to + row * item].copy_from_slice(&body[from..from + row * item]);
    }
}

/// Checks that two results contain the same arrays, byte for byte.
///
/// # Panics
/// When they differ, with the name of the array.
pub fn must_be_equal(ours: &Arrays, theirs: &Arrays, what: &str) {
    assert!(ours.keys().eq(theirs.keys()), "{what}: arrays {:?}, expected {:?}", ours.keys(), theirs.keys());
    for (name, array) in ours {
        let other = &theirs[name];
        assert_eq!((&array.shape, &array.data_type), (&other.shape, &other.data_type), "{what}: {name}");
        let differ = array.bytes.iter().zip(&other.bytes).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{what}: {name} differs in {differ} of {} bytes", array.bytes.len());
    }
}

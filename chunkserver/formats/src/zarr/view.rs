//! Views: the arrays under the root. Views are the arrays of the job, magnitude and phase of complex arrays, and coordinates.

use super::attributes::attributes;
use super::grid::Grid;
use crate::aspect::Aspect;
use api::arrays::{Array, Base, Holder};
use api::geometry::Element;
use api::plan::Plan;
use serde_json::{Map, Value, json};
use std::ops::Range;

/// The name of the axis and the array of frequencies.
const FREQUENCY: &str = "frequency";

/// The source of the elements of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An array of the job.
    Array {
        /// The name of the array in the job.
        name: String,
        /// The aspect of the elements.
        aspect: Aspect,
    },
    /// [`numpy.fft.fftfreq`](https://numpy.org/doc/stable/reference/generated/numpy.fft.fftfreq.html) of the number of frames.
    Frequencies,
}

/// One array under the root.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The name in keys.
    pub name: String,
    /// The element type.
    pub element: Element,
    /// The shape.
    pub shape: Vec<usize>,
    /// The names of the dimensions.
    pub axes: Vec<&'static str>,
    /// The chunk grid, unless a key states another.
    pub grid: Grid,
    /// The source of the elements.
    pub origin: Origin,
    /// The attributes in the metadata.
    pub attributes: Map<String, Value>,
}

impl View {
    /// Whether image viewers support the view: three axes, and uint8, uint16 or float32 elements.
    pub fn is_image(&self) -> bool {
        self.shape.len() == 3 && matches!(self.element, Element::Uint8 | Element::Uint16 | Element::Float32)
    }

    /// The grid with one frame per chunk, which image viewers read.
    pub fn frame_grid(&self) -> Grid {
        let mut chunks = self.shape.clone();
        chunks[0] = 1;
        Grid::new(&self.shape, &chunks)
    }
}

/// All views of a planned job's arrays.
pub(super) fn views(arrays: &[Array], plan: &Plan) -> Vec<View> {
    let mut views = Vec::new();
    for array in arrays {
        for aspect in Aspect::ALL.into_iter().filter(|aspect| aspect.is_of(array.element)) {
            let suffix = if aspect == Aspect::Value { String::new() } else { format!("_{}", aspect.name()) };
            views.push(View {
                name: array.name.clone() + &suffix,
                element: aspect.element(array.element),
                shape: array.shape.clone(),
                axes: dimensions(array, plan),
                grid: Grid::new(&array.shape, &array.chunks(&plan.partition)),
                origin: Origin::Array { name: array.name.clone(), aspect },
                attributes: attributes(array, aspect, plan),
            });
        }
    }
    if arrays.iter().any(|array| array.axes.contains(&FREQUENCY)) {
        views.push(frequency_view(plan.partition.frames));
    }
    views
}

/// The names of the dimensions of an array. Readers that open the whole group, such as xarray, refuse the same name with two sizes. If
/// crops are smaller than the frames, the rows and columns of the frames get other names.
fn dimensions(array: &Array, plan: &Plan) -> Vec<&'static str> {
    let raw = matches!(array.holder, Holder::Frames(Base::Raw) | Holder::Frame(Base::Raw, _));
    let cropped = (plan.partition.frame.height, plan.partition.frame.width) != (plan.partition.stack.height, plan.partition.stack.width);
    let own = |axis: &'static str| match axis {
        "y" if raw && cropped => "raw_y",
        "x" if raw && cropped => "raw_x",
        other => other,
    };
    array.axes.iter().copied().map(own).collect()
}

/// The coordinate of the frequency axis. xarray uses an array with the name of an axis as its coordinate.
fn frequency_view(frames: usize) -> View {
    let mut attributes = Map::new();
    attributes.insert("units".into(), json!("cycles/frame"));
    attributes.insert("long_name".into(), json!("frequency"));
    attributes.insert("description".into(), json!("Frequency of each bin, as numpy.fft.fftfreq orders them."));
    View {
        name: FREQUENCY.into(),
        element: Element::Float64,
        shape: vec![frames],
        axes: vec![FREQUENCY],
        grid: Grid::new(&[frames], &[frames]),
        origin: Origin::Frequencies,
        attributes,
    }
}

/// A chunk of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk<'a> {
    /// The array.
    pub view: &'a View,
    /// The grid of the key.
    pub grid: Grid,
    /// The index of the chunk in the grid.
    pub index: Vec<usize>,
    /// The elements of the array in the chunk. The rest of the chunk is padding.
    pub region: Vec<Range<usize>>,
}

impl Chunk<'_> {
    /// Size in bytes, with padding.
    pub fn bytes(&self) -> u64 {
        self.grid.chunk_bytes(self.view.element.size())
    }

    /// A text that identifies the content of the chunk within a job.
    pub fn identity(&self) -> String {
        format!("{}@{:?}/{:?}", self.view.name, self.grid.chunks(), self.index)
    }
}

/// The bytes of a chunk of frequencies.
pub fn frequencies(chunk: &Chunk<'_>) -> Vec<u8> {
    let all = fftfreq(chunk.view.shape[0]);
    let mut bytes: Vec<u8> =
        chunk.region.iter().flat_map(|along| &all[along.clone()]).flat_map(|frequency| frequency.to_le_bytes()).collect();
    bytes.resize(chunk.bytes() as usize, 0);
    bytes
}

/// `numpy.fft.fftfreq(frames)`, to the last bit.
fn fftfreq(frames: usize) -> Vec<f64> {
    let step = 1.0 / frames as f64;
    let positive = frames.div_ceil(2);
    (0..frames).map(|bin| if bin < positive { bin as f64 * step } else { -((frames - bin) as f64) * step }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_match_numpy() {
        assert_eq!(fftfreq(1), [0.0]);
        assert_eq!(fftfreq(4), [0.0, 0.25, -0.5, -0.25]);
        // numpy.fft.fftfreq(5) and (10)[3], whose last bits depend on the order of operations.
        assert_eq!(fftfreq(5), [0.0, 0.2, 0.4, -0.4, -0.2]);
        assert_eq!(fftfreq(10)[3], 0.300_000_000_000_000_04);
    }
}

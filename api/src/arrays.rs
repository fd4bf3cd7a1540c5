//! The arrays of a job that readers see: name, shape, element type, and how servers hold them.

use crate::geometry::{Element, FrameSpec};
use crate::job::{FftOutput, Job, Kept, Reduction};
use crate::partition::Partition;
use serde::{Deserialize, Serialize};

/// An array that servers hold in shares. Every other array is derived from a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Decoded frames.
    Raw,
    /// Crops around centroids.
    Recentered,
    /// The pixels of the stack, stored by tile.
    Rechunked,
    /// The spectra.
    Spectrum,
}

/// How servers hold an array, or from which sums it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Each server has consecutive frames.
    Frames(Base),
    /// Each server has consecutive flattened pixels, over all of axis 0.
    Tiles(Base),
    /// The centroids (T, 2) as float64: row, column. Each server has consecutive frames.
    Centroids,
    /// The corners of the crops (T, 2) as int32: row, column. Each server has consecutive frames.
    Offsets,
    /// A reduction over axis 0, with the shape of one frame.
    Frame(Base, Reduction),
    /// A reduction over axes 1 and 2, with the length of axis 0.
    Trace(Base, Reduction),
}

/// One array that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Name in URLs and selections.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Shape. Three-dimensional arrays have the axis order (t, y, x), or (frequency, y, x).
    pub shape: Vec<usize>,
    /// Names of the axes, one for each number of `shape`.
    pub axes: Vec<&'static str>,
    /// How servers hold the array.
    pub holder: Holder,
}

impl Array {
    /// The chunk shape that readers see: the plan's for tiles, whole slabs for frames, one chunk for every small array.
    pub fn chunks(&self, partition: &Partition) -> Vec<usize> {
        let mut chunks = self.shape.clone();
        match self.holder {
            Holder::Tiles(_) => chunks.copy_from_slice(&partition.chunks),
            Holder::Frames(_) => chunks[0] = partition.slab_frames,
            Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {}
        }
        chunks
    }
}

/// The name of the array that the phase Fft computes.
pub const fn spectrum_name(output: FftOutput) -> &'static str {
    match output {
        FftOutput::Power => "power",
        FftOutput::Amplitude => "amplitude",
        FftOutput::Complex => "spectrum",
    }
}

/// All arrays of a job that keeps `keep`: frames and spectra first, then centroids and offsets, then reductions.
pub fn catalog(job: &Job, partition: &Partition, keep: &[Kept]) -> Vec<Array> {
    const TYX: [&str; 3] = ["t", "y", "x"];
    let mut arrays = Vec::new();
    let mut add = |name: String, element, shape: Vec<usize>, axes: &[&'static str], holder| {
        arrays.push(Array { name, element, shape, axes: axes.to_vec(), holder });
    };
    let Partition { frames: t, frame, stack, exchanges, .. } = *partition;
    let stack_shape = vec![t, stack.height, stack.width];
    let spectrum = job.fft.map(|fft| (spectrum_name(fft.output), fft.output.element()));
    if keep.contains(&Kept::Raw) {
        add("raw".into(), frame.dtype.into(), vec![t, frame.height, frame.width], &TYX, Holder::Frames(Base::Raw));
    }
    if job.recenter.is_some() && keep.contains(&Kept::Recentered) {
        add("recentered".into(), stack.dtype.into(), stack_shape.clone(), &TYX, Holder::Frames(Base::Recentered));
    }
    if exchanges && keep.contains(&Kept::Rechunked) {
        add("rechunked".into(), stack.dtype.into(), stack_shape.clone(), &TYX, Holder::Tiles(Base::Rechunked));
    }
    if let Some((name, element)) = spectrum
        && keep.contains(&Kept::Spectrum)
    {
        // Servers store T/2 + 1 bins. Readers see all T: the spectrum of real input is Hermitian.
        add(name.into(), element, stack_shape, &["frequency", "y", "x"], Holder::Tiles(Base::Spectrum));
    }
    if job.recenter.is_some() {
        add("centroids".into(), Element::Float64, vec![t, 2], &["t", "axis"], Holder::Centroids);
        add("offsets".into(), Element::Int32, vec![t, 2], &["t", "axis"], Holder::Offsets);
    }
    let mut bases: Vec<(&str, Base, Element, FrameSpec, &'static str)> = vec![("raw", Base::Raw, frame.dtype.into(), frame, "t")];
    if job.recenter.is_some() {
        bases.push(("recentered", Base::Recentered, stack.dtype.into(), stack, "t"));
    }
    if let Some((name, element)) = spectrum.filter(|(_, element)| element.is_real()) {
        bases.push((name, Base::Spectrum, element, stack, "frequency"));
    }
    for (name, base, element, spec, first_axis) in bases {
        for &op in &job.reduce {
            let reduced = reduced_element(element, op);
            add(format!("{name}_{}_frame", op.name()), reduced, vec![spec.height, spec.width], &["y", "x"], Holder::Frame(base, op));
            add(format!("{name}_{}_trace", op.name()), reduced, vec![t], &[first_axis], Holder::Trace(base, op));
        }
    }
    arrays
}

/// The element type of a reduction: float64 for mean, std and var; uint64 for sums of integers; the input's own type for min and max.
pub const fn reduced_element(element: Element, op: Reduction) -> Element {
    match op {
        Reduction::Min | Reduction::Max => element,
        Reduction::Sum => match element {
            Element::Uint8 | Element::Uint16 => Element::Uint64,
            Element::Uint64 | Element::Int32 | Element::Float32 | Element::Float64 | Element::Complex64 => Element::Float64,
        },
        Reduction::Mean | Reduction::Std | Reduction::Var => Element::Float64,
    }
}

/// The array with the given name.
pub fn find<'a>(arrays: &'a [Array], name: &str) -> Option<&'a Array> {
    arrays.iter().find(|array| array.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::job;
    use crate::job::{Fft, Method, Recenter};

    fn names(job: &Job, keep: &[Kept]) -> Vec<String> {
        catalog(job, &Partition::new(job, 2), keep).into_iter().map(|array| array.name).collect()
    }

    #[test]
    fn a_job_has_the_kept_arrays_and_the_reductions_of_each_base() {
        let plain = job(10, 9, 7);
        assert_eq!(names(&plain, &[]), ["raw_mean_frame", "raw_mean_trace", "power_mean_frame", "power_mean_trace"]);
        let crops = Job { recenter: Some(Recenter { crop: [3, 4], method: Method::Centroid, threshold: None }), reduce: vec![], ..plain };
        assert_eq!(names(&crops, &[Kept::Recentered, Kept::Spectrum]), ["recentered", "power", "centroids", "offsets"]);
    }

    #[test]
    fn complex_spectra_have_no_reductions() {
        let plain = job(10, 9, 7);
        let complex = Job { fft: plain.fft.map(|fft| Fft { output: FftOutput::Complex, ..fft }), ..plain };
        assert_eq!(names(&complex, &[Kept::Spectrum]), ["spectrum", "raw_mean_frame", "raw_mean_trace"]);
    }

    #[test]
    fn reductions_have_the_element_types_of_the_manifest() {
        use Element::{Float32, Float64, Uint8, Uint64};
        for (op, of_uint8, of_float32) in [
            (Reduction::Mean, Float64, Float64),
            (Reduction::Sum, Uint64, Float64),
            (Reduction::Std, Float64, Float64),
            (Reduction::Var, Float64, Float64),
            (Reduction::Min, Uint8, Float32),
            (Reduction::Max, Uint8, Float32),
        ] {
            assert_eq!((reduced_element(Uint8, op), reduced_element(Float32, op)), (of_uint8, of_float32), "{op:?}");
        }
    }
}

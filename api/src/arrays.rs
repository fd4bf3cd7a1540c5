//! Every array that readers see: its name, shape and element type, and how servers hold it.

use crate::geometry::Element;
use crate::job::{FftOutput, Job, Kept, Reduction};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};

/// Arrays that servers hold share by share; the rest are put together from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Frames as decoded.
    Raw,
    /// Crops around centroids.
    Recentered,
    /// The frames' values as tiles hold them.
    Rechunked,
    /// The FFT's result.
    Spectrum,
}

/// How an array comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// By frames: each server has a run along axis 0.
    Frames(Base),
    /// By tiles: each server has a run of flattened pixels.
    Tiles(Base),
    /// (T, 2) float64, each server has a run.
    Centroids,
    /// (T, 2) int32, each server has a run.
    Offsets,
    /// A reduction over axis 0.
    Frame(Base, Reduction),
    /// A reduction over axes 1 and 2.
    Trace(Base, Reduction),
}

/// One array that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Name in URLs and selections.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Shape; axis order (t, y, x).
    pub shape: Vec<usize>,
    /// Names of the axes.
    pub axes: Vec<&'static str>,
    /// How it comes about.
    pub holder: Holder,
}

impl Array {
    /// The chunk grid that readers see: tiles have the plan's, frames have slabs, small arrays are one chunk.
    pub fn chunks(&self, plan: &Plan) -> Vec<usize> {
        let mut chunks = self.shape.clone();
        match self.holder {
            Holder::Tiles(_) => chunks.copy_from_slice(&plan.chunks),
            Holder::Frames(_) => chunks[0] = plan.slab_frames,
            Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {}
        }
        chunks
    }
}

/// The name of the FFT's result.
pub const fn spectrum_name(output: FftOutput) -> &'static str {
    match output {
        FftOutput::Power => "power",
        FftOutput::Amplitude => "amplitude",
        FftOutput::Complex => "spectrum",
    }
}

/// All arrays of a planned job, big ones first.
pub fn catalog(job: &Job, plan: &Plan) -> Vec<Array> {
    let mut arrays = Vec::new();
    let mut add = |name: String, element, shape: Vec<usize>, axes: &[&'static str], holder| {
        arrays.push(Array { name, element, shape, axes: axes.to_vec(), holder });
    };
    const TYX: [&str; 3] = ["t", "y", "x"];
    let (t, frame, stack) = (plan.frames, plan.frame, plan.stack);
    let stack_shape = vec![t, stack.height, stack.width];
    let spectrum = job.fft.map(|fft| (spectrum_name(fft.output), fft.output));
    if plan.keeps(Kept::Raw) {
        add("raw".into(), frame.dtype.into(), vec![t, frame.height, frame.width], &TYX, Holder::Frames(Base::Raw));
    }
    if job.recenter.is_some() && plan.keeps(Kept::Recentered) {
        add("recentered".into(), stack.dtype.into(), stack_shape.clone(), &TYX, Holder::Frames(Base::Recentered));
    }
    if plan.exchanges && plan.keeps(Kept::Rechunked) {
        add("rechunked".into(), stack.dtype.into(), stack_shape.clone(), &TYX, Holder::Tiles(Base::Rechunked));
    }
    if let Some((name, output)) = spectrum
        && plan.keeps(Kept::Spectrum)
    {
        let element = if output == FftOutput::Complex { Element::Complex64 } else { Element::Float32 };
        add(name.into(), element, stack_shape, &["frequency", "y", "x"], Holder::Tiles(Base::Spectrum));
    }
    if job.recenter.is_some() {
        add("centroids".into(), Element::Float64, vec![t, 2], &["t", "axis"], Holder::Centroids);
        add("offsets".into(), Element::Int32, vec![t, 2], &["t", "axis"], Holder::Offsets);
    }
    let mut bases = vec![("raw", Base::Raw, Element::from(frame.dtype), frame, "t")];
    if job.recenter.is_some() {
        bases.push(("recentered", Base::Recentered, stack.dtype.into(), stack, "t"));
    }
    if let Some((name, output)) = spectrum
        && output != FftOutput::Complex
    {
        bases.push((name, Base::Spectrum, Element::Float32, stack, "frequency"));
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

/// The element type of a reduction: float64 means, exact sums, extremes as the input has them.
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

/// The array of that name.
pub fn find<'a>(arrays: &'a [Array], name: &str) -> Option<&'a Array> {
    arrays.iter().find(|array| array.name == name)
}

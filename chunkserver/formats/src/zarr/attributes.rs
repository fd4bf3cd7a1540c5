//! Attributes of an array: units, a long name and a description, as in the CF conventions,
//! <https://cfconventions.org/cf-conventions/cf-conventions.html#_description_of_the_data>.

use crate::aspect::Aspect;
use api::arrays::{Array, Base, Holder};
use api::job::{Detrend, Fft, FftOutput, Reduction, Window};
use api::plan::Plan;
use serde_json::{Map, Value, json};

/// The attributes of an array, or of an aspect of an array. The physical size of pixels and frames is unknown, so the attributes do not
/// contain it.
pub(super) fn attributes(array: &Array, aspect: Aspect, plan: &Plan) -> Map<String, Value> {
    let (units, name, description) = match (aspect, plan.fft) {
        (Aspect::Magnitude, _) => (VALUE.into(), "absolute value".into(), format!("Absolute value of {}.", array.name)),
        (Aspect::Phase, _) => ("radian".into(), "phase".into(), format!("Angle of {}, from -pi to pi.", array.name)),
        (Aspect::Value, fft) => of(array.holder, fft),
    };
    let texts = [("units", units), ("long_name", name), ("description", description)];
    texts.into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

/// The unit of a pixel, which the source does not state.
const VALUE: &str = "value";

fn of(holder: Holder, fft: Option<Fft>) -> (String, String, String) {
    match holder {
        Holder::Frames(base) | Holder::Tiles(base) => (units(base, fft, 1), title(base, fft).into(), sentence(base, fft)),
        Holder::Centroids => {
            ("pixel".into(), "centroid".into(), "Mean position of each frame's pixels, weighted by their values: row, column.".into())
        }
        Holder::Offsets => ("pixel".into(), "offset".into(), "Top-left corner of each crop in its frame: row, column.".into()),
        Holder::Frame(base, op) => reduced(base, op, fft, "axis 0, pixel by pixel"),
        Holder::Trace(base, op) => reduced(base, op, fft, "axes 1 and 2"),
    }
}

fn reduced(base: Base, op: Reduction, fft: Option<Fft>, over: &str) -> (String, String, String) {
    let power = match op {
        Reduction::Var => 2,
        Reduction::Mean | Reduction::Sum | Reduction::Std | Reduction::Min | Reduction::Max => 1,
    };
    let (name, title) = (op.name(), title(base, fft));
    (units(base, fft, power), format!("{name} of {title}"), format!("{name} over {over} of {title}, as NumPy's {name}."))
}

/// The unit of a base, to the power of `power`.
fn units(base: Base, fft: Option<Fft>, power: u32) -> String {
    let squared = base == Base::Spectrum && fft.is_some_and(|fft| fft.output == FftOutput::Power);
    match power * if squared { 2 } else { 1 } {
        1 => VALUE.into(),
        power => format!("{VALUE}**{power}"),
    }
}

const fn title(base: Base, fft: Option<Fft>) -> &'static str {
    match (base, fft) {
        (Base::Raw, _) => "raw frames",
        (Base::Recentered, _) => "recentered frames",
        (Base::Rechunked, _) => "rechunked frames",
        (Base::Spectrum, Some(Fft { output: FftOutput::Power, .. })) => "power spectrum",
        (Base::Spectrum, Some(Fft { output: FftOutput::Amplitude, .. })) => "amplitude spectrum",
        (Base::Spectrum, _) => "spectrum",
    }
}

fn sentence(base: Base, fft: Option<Fft>) -> String {
    match (base, fft) {
        (Base::Raw, _) => "Frames as decoded.".into(),
        (Base::Recentered, _) => "Crops of the frames around their centroids; offsets says where.".into(),
        (Base::Rechunked, _) => "The frames' values, as they were before any transform.".into(),
        (Base::Spectrum, None) => "Spectrum of every pixel over time.".into(),
        (Base::Spectrum, Some(fft)) => {
            let what = match fft.output {
                FftOutput::Power => "abs(numpy.fft.fft(x, axis=0))**2",
                FftOutput::Amplitude => "abs(numpy.fft.fft(x, axis=0))",
                FftOutput::Complex => "numpy.fft.fft(x, axis=0)",
            };
            let detrend = match fft.detrend {
                Detrend::None => "",
                Detrend::Constant => " less each pixel's mean",
                Detrend::Linear => " less each pixel's line of least squares",
            };
            let window = match fft.window {
                Window::None => "",
                Window::Hann => ", under a Hann window",
            };
            format!("{what} of the frames{detrend}{window}; all bins.")
        }
    }
}

//! The pictures of `--out`: which array is drawn how, and in which file.

use crate::error::Error;
use crate::pictures::{Gray, LinePlot, side_by_side};
use crate::reader::Reader;
use api::arrays::{Array, Base, Holder, find};
use formats::encode::Contrast;

/// One picture of the results.
#[derive(Debug)]
pub(super) enum Drawing<'a> {
    /// An array of shape (y, x), as a gray PNG.
    Frame(&'a Array),
    /// An array of shape (t,) or (bin,), as an SVG plot.
    Trace(&'a Array),
    /// Two arrays of shape (y, x), as one gray PNG.
    SideBySide { before: &'a Array, after: &'a Array },
    /// The spectrum of the middle pixel of a (bin, y, x) array, as an SVG plot.
    CenterSpectrum(&'a Array),
}

/// All pictures of these arrays.
pub(super) fn of(arrays: &[Array]) -> Vec<Drawing<'_>> {
    let mut drawings: Vec<_> = arrays
        .iter()
        .filter_map(|array| match array.holder {
            Holder::Frame(..) => Some(Drawing::Frame(array)),
            Holder::Trace(..) => Some(Drawing::Trace(array)),
            Holder::Frames(_) | Holder::Tiles(_) | Holder::Centroids | Holder::Offsets => None,
        })
        .collect();
    if let (Some(before), Some(after)) = (find(arrays, "raw_mean_frame"), find(arrays, "recentered_mean_frame")) {
        drawings.push(Drawing::SideBySide { before, after });
    }
    drawings.extend(arrays.iter().find(|array| array.holder == Holder::Tiles(Base::Spectrum)).map(Drawing::CenterSpectrum));
    drawings
}

impl Drawing<'_> {
    /// Name of the file below DIR.
    pub(super) fn file(&self) -> String {
        match self {
            Self::Frame(array) => format!("{}.png", array.name),
            Self::Trace(array) => format!("{}.svg", array.name),
            Self::SideBySide { .. } => "mean_before_and_after.png".to_owned(),
            Self::CenterSpectrum(_) => "spectrum_center.svg".to_owned(),
        }
    }

    /// Reads the values and draws them: the bytes of the file.
    ///
    /// # Errors
    /// An array is not readable, or the drawing fails.
    pub(super) async fn draw(&self, reader: &Reader) -> Result<Vec<u8>, Error> {
        match self {
            Self::Frame(array) => {
                let contrast = if matches!(array.holder, Holder::Frame(Base::Spectrum, _)) { Contrast::Log } else { Contrast::Linear };
                Gray::new(reader.picture(array).await?.view(), contrast).png().map_err(|error| failed(array, error))
            }
            Self::Trace(array) => {
                let values = reader.values(array, "").await?;
                let title = array.name.replace('_', " ");
                let svg = if matches!(array.holder, Holder::Trace(Base::Spectrum, _)) {
                    spectrum_plot(array, &title, &values)?
                } else {
                    let plot = LinePlot { title: &title, x_label: "frame", y_label: "value", log_y: false };
                    plot.svg(&[(&array.name, values)]).map_err(|error| failed(array, error))?
                };
                Ok(svg.into_bytes())
            }
            Self::SideBySide { before, after } => {
                let left = Gray::new(reader.picture(before).await?.view(), Contrast::Linear);
                let right = Gray::new(reader.picture(after).await?.view(), Contrast::Linear);
                side_by_side(&left, &right).map_err(|error| failed(after, error))
            }
            Self::CenterSpectrum(array) => {
                let (y, x) = (array.shape[1] / 2, array.shape[2] / 2);
                let values = reader.values(array, &format!(":,{y},{x}")).await?;
                let title = format!("{} of the pixel in the middle ({y}, {x})", array.name);
                Ok(spectrum_plot(array, &title, &values)?.into_bytes())
            }
        }
    }
}

/// Plots the first half of a spectrum (the second half mirrors the first) without bin 0, on a logarithmic axis.
fn spectrum_plot(array: &Array, title: &str, values: &[f64]) -> Result<String, Error> {
    let name = array.name.as_str();
    let half = values.len() / 2 + 1;
    let shown: Vec<f64> = values.iter().take(half).enumerate().map(|(bin, value)| if bin == 0 { f64::NAN } else { 1.0 + value }).collect();
    let plot = LinePlot { title, x_label: "cycles in the stack (bin)", y_label: &format!("1 + {name}"), log_y: true };
    plot.svg(&[(name, shown)]).map_err(|error| failed(array, error))
}

fn failed(array: &Array, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Picture { array: array.name.clone(), source: source.into() }
}

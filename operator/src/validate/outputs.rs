//! Outputs: what is selected has to exist, and the format has to take it.

use super::{Invalid, Place, invalid};
use api::arrays::{catalog, find};
use api::geometry::Element;
use api::job::{Job, Output};
use api::plan::Plan;
use api::selection::{Selection, resolve, shape};
use crds::v1alpha1 as crd;
use std::path::Path;

/// Extensions that can be written, and the number of axes that each can take.
const FORMATS: [(&str, std::ops::RangeInclusive<usize>); 7] =
    [("zarr", 0..=3), ("npy", 0..=3), ("json", 0..=3), ("png", 2..=2), ("csv", 0..=2), ("tiff", 2..=3), ("tif", 2..=3)];

/// One output of the manifest.
pub(super) fn parse(index: usize, output: &crd::Output, place: Place) -> Result<Output, Invalid> {
    let field = |name: &str| format!("spec.outputs[{index}].{name}");
    Selection::parse(&output.select).map_err(|error| invalid(&field("select"), error.to_string()))?;
    let url = url::Url::parse(&output.url).map_err(|error| {
        invalid(&field("url"), format!("'{}' is not a URL ({error}); a local file is file:///folder/name.npy", output.url))
    })?;
    if url.scheme() != "file" {
        return Err(invalid(&field("url"), format!("{}: cannot be written yet; use file://", url.scheme())));
    }
    if place == Place::Cluster {
        return Err(invalid(
            &field("url"),
            "file:// is this machine's, and servers on a cluster cannot write there; read results with kubectl arrayjob get",
        ));
    }
    let path =
        url.to_file_path().map_err(|()| invalid(&field("url"), "must be an absolute path of this machine: file:///folder/name.npy"))?;
    let path = path.to_string_lossy().into_owned();
    if format_of(&path).is_none() {
        let known: Vec<&str> = FORMATS.iter().map(|(extension, _)| *extension).collect();
        return Err(invalid(&field("url"), format!("the extension says the format; it must be one of {}", known.join(", "))));
    }
    Ok(Output { select: output.select.clone(), path })
}

/// The format that a path asks for: its extension, or zarr for an array inside a `.zarr` folder.
fn format_of(path: &str) -> Option<&'static (&'static str, std::ops::RangeInclusive<usize>)> {
    let path = Path::new(path);
    let named = |extension: &str| FORMATS.iter().find(|(known, _)| *known == extension);
    let own = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match own {
        Some(extension) => named(&extension),
        None => path.parent()?.extension().filter(|extension| extension.eq_ignore_ascii_case("zarr")).and_then(|_| named("zarr")),
    }
}

/// Checks every output against the arrays that the plan keeps.
///
/// # Errors
/// When an array is not there, an index is out of bounds, or the format cannot take the shape.
pub fn check(job: &Job, plan: &Plan) -> Result<(), Invalid> {
    let arrays = catalog(job, plan);
    for (index, output) in job.outputs.iter().enumerate() {
        let field = format!("spec.outputs[{index}].select");
        let wrong = |error: api::selection::Error| invalid(&field, format!("{}: {error}", output.select));
        let selection = Selection::parse(&output.select).map_err(wrong)?;
        let Some(array) = find(&arrays, &selection.array) else {
            let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
            return Err(invalid(
                &field,
                format!("there is no array '{}' (keep and reduce say which there are): {}", selection.array, names.join(", ")),
            ));
        };
        if array.element == Element::Complex64 && format_of(&output.path).is_some_and(|(format, _)| format.starts_with("tif")) {
            return Err(invalid(&field, format!("{} is complex, which TIFF cannot hold; write .npy or .zarr", output.select)));
        }
        let axes = shape(&resolve(&selection.items, &array.shape).map_err(wrong)?).len();
        if let Some((format, takes)) = format_of(&output.path)
            && !takes.contains(&axes)
        {
            let bounds =
                if takes.start() == takes.end() { takes.start().to_string() } else { format!("{} to {}", takes.start(), takes.end()) };
            return Err(invalid(
                &field,
                format!("{} has {axes} axes; a .{format} file takes {bounds}; select fewer, or write .npy", output.select),
            ));
        }
    }
    Ok(())
}

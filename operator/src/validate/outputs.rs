//! Outputs: what is selected has to exist, and the format has to take it.

use super::{Invalid, Place, invalid};
use api::geometry::Element;
use api::job::{Job, Output};
use api::output_grid::{self, OutputGrid};
use api::plan::Plan;
use api::selection::Selection;
use crds::v1alpha1 as crd;

/// Extensions that can be written, and the number of axes that each can take.
const FORMATS: [(&str, std::ops::RangeInclusive<usize>); 7] =
    [("zarr", 0..=3), ("npy", 0..=3), ("json", 0..=3), ("png", 2..=2), ("csv", 0..=2), ("tiff", 2..=3), ("tif", 2..=3)];

/// Where outputs can go.
const SCHEMES: [&str; 9] = ["file", "s3", "gs", "az", "azure", "abfs", "abfss", "http", "https"];

/// One output of the manifest.
pub(super) fn parse(index: usize, output: &crd::Output, place: Place) -> Result<Output, Invalid> {
    let field = |name: &str| format!("spec.outputs[{index}].{name}");
    Selection::parse(&output.select).map_err(|error| invalid(&field("select"), error.to_string()))?;
    let url = url::Url::parse(&output.url).map_err(|error| {
        invalid(&field("url"), format!("'{}' is not a URL ({error}); a local file is file:///folder/name.npy", output.url))
    })?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err(invalid(&field("url"), format!("{}: cannot be written; use one of {}", url.scheme(), SCHEMES.join(", "))));
    }
    if url.scheme() == "file" && place == Place::Cluster {
        return Err(invalid(
            &field("url"),
            "file:// is this machine's, and servers on a cluster cannot write there; use s3://, gs:// or az://, or read results with \
             kubectl arrayjob get",
        ));
    }
    if url.scheme() == "file" && url.to_file_path().is_err() {
        return Err(invalid(&field("url"), "must be an absolute path of this machine: file:///folder/name.npy"));
    }
    let wanted =
        Output { select: output.select.clone(), url: output.url.clone(), chunks: output.chunks.clone(), shards: output.shards.clone() };
    if format_of(&wanted).is_none() {
        let known: Vec<&str> = FORMATS.iter().map(|(extension, _)| *extension).collect();
        return Err(invalid(&field("url"), format!("the extension says the format; it must be one of {}", known.join(", "))));
    }
    for (name, given) in [("chunks", &wanted.chunks), ("shards", &wanted.shards)] {
        if given.is_some() && !wanted.is_zarr() {
            return Err(invalid(&field(name), "only a .zarr output has chunks and shards"));
        }
    }
    Ok(wanted)
}

/// Two outputs in one place would each undo the other.
pub(super) fn apart(outputs: &[Output]) -> Result<(), Invalid> {
    for (index, output) in outputs.iter().enumerate() {
        let place = |output: &Output| output.url.trim_end_matches('/').to_owned();
        if let Some(other) = outputs[..index].iter().position(|other| {
            let (one, two) = (place(other), place(output));
            one == two || one.starts_with(&format!("{two}/")) || two.starts_with(&format!("{one}/"))
        }) {
            return Err(invalid(&format!("spec.outputs[{index}].url"), format!("is, or is within, the place of outputs[{other}]")));
        }
    }
    Ok(())
}

/// The format that a URL asks for: its extension, or zarr for an array inside a `.zarr` folder.
fn format_of(output: &Output) -> Option<&'static (&'static str, std::ops::RangeInclusive<usize>)> {
    let named = |extension: &str| FORMATS.iter().find(|(known, _)| *known == extension);
    if output.is_zarr() {
        return named("zarr");
    }
    named(&output.path().extension()?.to_string_lossy().to_lowercase())
}

/// Checks every output against the arrays that the plan keeps.
///
/// # Errors
/// When an array is not there, an index is out of bounds, or the format cannot take the shape.
pub fn check(job: &Job, plan: &Plan) -> Result<(), Invalid> {
    let arrays = plan.arrays(job);
    for (index, output) in job.outputs.iter().enumerate() {
        let of = |name: &str| format!("spec.outputs[{index}].{name}");
        let field = of("select");
        let layout = OutputGrid::new(output, &arrays, &plan.partition).map_err(|error| match &error {
            output_grid::Error::NoSuchArray { .. } => invalid(&field, error.to_string()),
            output_grid::Error::Selection(_) => invalid(&field, format!("{}: {error}", output.select)),
            output_grid::Error::Count { what, .. } | output_grid::Error::NotPositive { what, .. } => invalid(&of(what), error.to_string()),
            output_grid::Error::NotWhole { .. } => invalid(&of("shards"), error.to_string()),
        })?;
        if layout.array.element == Element::Complex64 && format_of(output).is_some_and(|(format, _)| format.starts_with("tif")) {
            return Err(invalid(&field, format!("{} is complex, which TIFF cannot hold; write .npy or .zarr", output.select)));
        }
        let axes = layout.shape.len();
        if let Some((format, takes)) = format_of(output)
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

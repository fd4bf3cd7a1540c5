//! Rules of outputs: the selected array must exist, and the format must support its shape and type.

use super::{Invalid, Platform, invalid};
use api::geometry::Element;
use api::job::{Job, Output};
use api::output_grid::{self, OutputGrid};
use api::plan::Plan;
use api::selection::Selection;
use crds::v1alpha1 as crd;

/// Extensions of the formats, and the numbers of axes that each format supports.
const FORMATS: [(&str, std::ops::RangeInclusive<usize>); 7] =
    [("zarr", 0..=3), ("npy", 0..=3), ("json", 0..=3), ("png", 2..=2), ("csv", 0..=2), ("tiff", 2..=3), ("tif", 2..=3)];

/// Schemes of the URLs of outputs.
const SCHEMES: [&str; 9] = ["file", "s3", "gs", "az", "azure", "abfs", "abfss", "http", "https"];

/// Parses one output of the manifest.
pub(super) fn parse(index: usize, output: &crd::Output, platform: Platform) -> Result<Output, Invalid> {
    let field = |name: &str| format!("spec.outputs[{index}].{name}");
    Selection::parse(&output.select).map_err(|error| invalid(&field("select"), error.to_string()))?;
    let url = url::Url::parse(&output.url).map_err(|error| {
        invalid(&field("url"), format!("'{}' is not a URL ({error}); the URL of a local file is file:///folder/name.npy", output.url))
    })?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err(invalid(&field("url"), format!("the scheme {}: is not supported; use one of {}", url.scheme(), SCHEMES.join(", "))));
    }
    if url.scheme() == "file" && platform == Platform::Cluster {
        return Err(invalid(
            &field("url"),
            "servers on a cluster cannot write to file://; use s3://, gs:// or az://, or read results with kubectl arrayjob get",
        ));
    }
    if url.scheme() == "file" && url.to_file_path().is_err() {
        return Err(invalid(&field("url"), "must be an absolute path: file:///folder/name.npy"));
    }
    let parsed =
        Output { select: output.select.clone(), url: output.url.clone(), chunks: output.chunks.clone(), shards: output.shards.clone() };
    if format_of(&parsed).is_none() {
        let known: Vec<&str> = FORMATS.iter().map(|(extension, _)| *extension).collect();
        return Err(invalid(&field("url"), format!("the extension selects the format and must be one of {}", known.join(", "))));
    }
    for (name, given) in [("chunks", &parsed.chunks), ("shards", &parsed.shards)] {
        if given.is_some() && !parsed.is_zarr() {
            return Err(invalid(&field(name), "is only valid for a .zarr output"));
        }
    }
    Ok(parsed)
}

/// Refuses two outputs of which one is within the other: they would overwrite each other.
pub(super) fn check_distinct(outputs: &[Output]) -> Result<(), Invalid> {
    for (index, output) in outputs.iter().enumerate() {
        let location = |output: &Output| output.url.trim_end_matches('/').to_owned();
        if let Some(other) = outputs[..index].iter().position(|other| {
            let (one, two) = (location(other), location(output));
            one == two || one.starts_with(&format!("{two}/")) || two.starts_with(&format!("{one}/"))
        }) {
            return Err(invalid(
                &format!("spec.outputs[{index}].url"),
                format!("is the same as the URL of outputs[{other}], or one is within the other"),
            ));
        }
    }
    Ok(())
}

/// The format of an output: its extension, or zarr for an array inside a `.zarr` folder.
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
/// If an array does not exist, an index is out of bounds, or the format does not support the shape.
pub fn check(job: &Job, plan: &Plan) -> Result<(), Invalid> {
    let arrays = plan.arrays(job);
    for (index, output) in job.outputs.iter().enumerate() {
        let field_of = |name: &str| format!("spec.outputs[{index}].{name}");
        let field = field_of("select");
        let grid = OutputGrid::new(output, &arrays, &plan.partition).map_err(|error| match &error {
            output_grid::Error::NoSuchArray { .. } => invalid(&field, error.to_string()),
            output_grid::Error::Selection(_) => invalid(&field, format!("{}: {error}", output.select)),
            output_grid::Error::Count { what, .. } | output_grid::Error::NotPositive { what, .. } => {
                invalid(&field_of(what), error.to_string())
            }
            output_grid::Error::NotWhole { .. } => invalid(&field_of("shards"), error.to_string()),
        })?;
        if grid.array.element == Element::Complex64 && format_of(output).is_some_and(|(format, _)| format.starts_with("tif")) {
            return Err(invalid(&field, format!("{} is complex, which TIFF does not support; write .npy or .zarr", output.select)));
        }
        let axes = grid.shape.len();
        if let Some((format, supported)) = format_of(output)
            && !supported.contains(&axes)
        {
            let bounds = if supported.start() == supported.end() {
                supported.start().to_string()
            } else {
                format!("{} to {}", supported.start(), supported.end())
            };
            return Err(invalid(
                &field,
                format!("{} has {axes} axes; a .{format} file has {bounds}; select fewer axes, or write .npy", output.select),
            ));
        }
    }
    Ok(())
}

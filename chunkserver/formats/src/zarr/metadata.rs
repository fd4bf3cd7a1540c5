//! The documents of the hierarchy: metadata of both versions of the format, and listings.

use super::Hierarchy;
use super::grid::Grid;
use super::view::View;
use crate::encode::zarr::{array_metadata, group_metadata};
use serde_json::{Map, Value, json};

/// `zarr.json` of an array.
pub(super) fn array_v3(view: &View, grid: &Grid) -> String {
    // C order for tiles too, so that both versions of the format have the same chunks.
    array_metadata(&view.shape, grid.chunks(), view.element, &view.axes, &view.attributes, None)
}

/// `zarr.json` of the root, with the metadata of all arrays inline.
pub(super) fn group_v3(hierarchy: &Hierarchy) -> String {
    let arrays: Vec<(&str, String)> = hierarchy.views().iter().map(|view| (view.name.as_str(), array_v3(view, &view.grid))).collect();
    let arrays: Vec<(&str, &str)> = arrays.iter().map(|(name, metadata)| (*name, metadata.as_str())).collect();
    group_metadata(&arrays)
}

/// `zarr.json` of a group without arrays.
pub(super) fn bare_group_v3() -> Value {
    json!({"zarr_format": 3, "node_type": "group", "attributes": {}})
}

/// The dimensions of an image. A reader opens each image separately, so that rows and columns have their plain names.
fn image_axes(view: &View) -> Vec<&'static str> {
    view.axes.iter().map(|name| name.trim_start_matches("raw_")).collect()
}

/// `zarr.json` of the array of an image. OME-NGFF requires that the dimensions have the names of the axes.
pub(super) fn image_array_v3(view: &View, grid: &Grid) -> String {
    array_metadata(&view.shape, grid.chunks(), view.element, &image_axes(view), &view.attributes, None)
}

/// `zarr.json` of a multiscale image with one scale, OME-NGFF 0.5: <https://ngff.openmicroscopy.org/0.5/#multiscale-md>.
pub(super) fn image_v3(view: &View) -> Value {
    let axis = |name: &&str| match *name {
        "t" => json!({"name": "t", "type": "time"}),
        // Neither time nor space, and not evenly spaced: the second half of the frequencies is negative.
        "frequency" => json!({"name": "frequency"}),
        name => json!({"name": name, "type": "space"}),
    };
    let axes: Vec<Value> = image_axes(view).iter().map(axis).collect();
    let scale = json!([{"type": "scale", "scale": [1.0, 1.0, 1.0]}]);
    let multiscales = json!([{"name": view.name, "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]);
    let mut group = bare_group_v3();
    group["attributes"] = json!({"ome": {"version": "0.5", "multiscales": multiscales}});
    group
}

/// `.zarray`. The fill value is null, because some readers treat elements that are equal to the fill value as missing.
pub(super) fn array_v2(view: &View, grid: &Grid) -> Value {
    json!({
        "zarr_format": 2,
        "shape": view.shape,
        "chunks": grid.chunks(),
        "dtype": view.element.type_string(),
        "compressor": null,
        "fill_value": null,
        "order": "C",
        "filters": null,
        "dimension_separator": ".",
    })
}

/// `.zattrs` of an array.
pub(super) fn attributes_v2(view: &View) -> Value {
    let mut attributes: Map<String, Value> = view.attributes.clone();
    attributes.insert("_ARRAY_DIMENSIONS".into(), json!(view.axes));
    attributes.into()
}

/// `.zgroup` of the root.
pub(super) fn group_v2() -> Value {
    json!({"zarr_format": 2})
}

/// `.zmetadata`: all metadata of version 2 in one document.
pub(super) fn consolidated_v2(hierarchy: &Hierarchy) -> Value {
    let mut metadata = Map::new();
    metadata.insert(".zgroup".into(), group_v2());
    metadata.insert(".zattrs".into(), json!({}));
    for view in hierarchy.views() {
        metadata.insert(format!("{}/.zarray", view.name), array_v2(view, &view.grid));
        metadata.insert(format!("{}/.zattrs", view.name), attributes_v2(view));
    }
    json!({"zarr_consolidated_format": 1, "metadata": metadata})
}

/// A page with links to `entries`, each with a description. `folder` is the name of the page if its address does not end with a slash;
/// relative links need that name.
///
/// All links are relative and the text contains no address, because fsspec treats each address as an entry.
pub(super) fn listing(title: &str, folder: Option<&str>, entries: impl IntoIterator<Item = (String, String)>) -> String {
    let base = folder.map_or_else(String::new, |folder| format!(r#"<base href="{folder}/">"#));
    let items = entries.into_iter().map(|(link, words)| format!("<li><a href=\"{link}\">{link}</a> {words}</li>\n"));
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title>{base}</head>\n<body><ul>\n{}</ul></body></html>\n",
        items.collect::<String>()
    )
}

//! The targets.

mod egress;
mod image;
mod manifest;
mod output_grid;
mod requests;
mod selection;
mod template;
mod wire;
mod zarr_array;

use super::Target;

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target { name: "manifest", run: manifest::run, is_text: true },
    Target { name: "selection", run: selection::run, is_text: true },
    Target { name: "template", run: template::run, is_text: true },
    Target { name: "egress", run: egress::run, is_text: true },
    Target { name: "image", run: image::run, is_text: false },
    Target { name: "zarr_array", run: zarr_array::run, is_text: false },
    Target { name: "wire", run: wire::run, is_text: true },
    Target { name: "requests", run: requests::run, is_text: true },
    Target { name: "output_grid", run: output_grid::run, is_text: true },
];

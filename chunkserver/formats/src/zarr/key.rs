//! Resolves keys to documents and chunks.

use super::grid::Grid;
use super::metadata;
use super::view::{Chunk, View};
use super::{Error, Hierarchy};
use serde_json::Value;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// The group of images for viewers. No array of a job has this name.
const OME: &str = "ome";
/// The only scale of an image.
const SCALE: &str = "0";

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// Metadata, or a listing.
    Document(Document),
    /// A chunk.
    Chunk(Chunk<'a>),
}

/// A short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The media type.
    pub content_type: &'static str,
    /// The text.
    pub text: String,
}

fn html(text: String) -> Node<'static> {
    Node::Document(Document { content_type: HTML, text })
}

fn json(text: impl Into<String>) -> Node<'static> {
    Node::Document(Document { content_type: JSON, text: text.into() })
}

fn value(value: &Value) -> Node<'static> {
    json(value.to_string())
}

impl Hierarchy {
    /// Resolves `path`, the part of the address after the name of the root: empty, or a slash and a key.
    ///
    /// # Errors
    /// When the key does not exist.
    pub fn find(&self, path: &str) -> Result<Node<'_>, Error> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [""] => Ok(self.root(Some("arrays.zarr"))),
            ["", ""] => Ok(self.root(None)),
            ["", "zarr.json"] => Ok(json(metadata::group_v3(self))),
            ["", ".zgroup"] => Ok(value(&metadata::group_v2())),
            ["", ".zattrs"] => Ok(json("{}")),
            ["", ".zmetadata"] => Ok(value(&metadata::consolidated_v2(self))),
            ["", OME, ref rest @ ..] => self.image(path, rest),
            ["", folder, ref rest @ ..] => {
                let (view, grid) = self.gridded(folder)?;
                match rest {
                    [] | [""] => Ok(array_listing(folder, rest)),
                    [".zarray"] => Ok(value(&metadata::array_v2(view, &grid))),
                    [".zattrs"] => Ok(value(&metadata::attributes_v2(view))),
                    [key] if key.as_bytes().first().is_some_and(u8::is_ascii_digit) => chunk(path, view, grid, key.split('.')),
                    _ => array_key(path, view, grid, rest),
                }
            }
            _ => Err(Error::NoSuchKey(path.to_owned())),
        }
    }

    fn root(&self, folder: Option<&str>) -> Node<'static> {
        let entry = |view: &View| (format!("{}/", view.name), format!("{} {:?}", view.element, view.shape));
        html(metadata::listing("arrays.zarr", folder, self.views().iter().map(entry)))
    }

    /// `array`, or `array@ct,cy,cx`.
    fn gridded(&self, folder: &str) -> Result<(&View, Grid), Error> {
        let (name, grid) = folder.split_once('@').map_or((folder, None), |(name, grid)| (name, Some(grid)));
        let view = self.named(name)?;
        let grid = match grid {
            None => view.grid.clone(),
            Some(text) => Grid::parse(text, &view.shape).ok_or_else(|| Error::NoGrid {
                array: name.to_owned(),
                grid: text.to_owned(),
                shape: view.shape.clone(),
            })?,
        };
        Ok((view, grid))
    }

    fn named(&self, name: &str) -> Result<&View, Error> {
        self.view(name).ok_or_else(|| {
            let known: Vec<&str> = self.views().iter().map(|view| view.name.as_str()).collect();
            Error::NoSuchArray { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Resolves `rest` below the group of images.
    fn image(&self, path: &str, rest: &[&str]) -> Result<Node<'_>, Error> {
        let images = || self.views().iter().filter(|view| view.is_image());
        let view = |name| images().find(|view| view.name == name).ok_or_else(|| Error::NoSuchKey(path.to_owned()));
        match *rest {
            [] | [""] => {
                let entries = images().map(|view| (format!("{}/", view.name), format!("{} {:?}", view.element, view.shape)));
                Ok(html(metadata::listing(OME, rest.is_empty().then_some(OME), entries)))
            }
            ["zarr.json"] => Ok(value(&metadata::bare_group_v3())),
            [name] | [name, ""] => {
                view(name)?;
                let entries = ["zarr.json".to_owned(), format!("{SCALE}/")].map(|link| (link, String::new()));
                Ok(html(metadata::listing(name, (rest.len() == 1).then_some(name), entries)))
            }
            [name, "zarr.json"] => Ok(value(&metadata::image_v3(view(name)?))),
            [name, SCALE, "zarr.json"] => {
                let view = view(name)?;
                Ok(json(metadata::image_array_v3(view, &view.frame_grid())))
            }
            [name, SCALE, ref rest @ ..] => {
                let view = view(name)?;
                array_key(path, view, view.frame_grid(), rest)
            }
            _ => Err(Error::NoSuchKey(path.to_owned())),
        }
    }
}

fn array_listing(folder: &str, rest: &[&str]) -> Node<'static> {
    let entries = ["zarr.json", ".zarray", ".zattrs"].map(|name| (name.to_owned(), String::new()));
    html(metadata::listing(folder, rest.is_empty().then_some(folder), entries))
}

/// Resolves a key of an array in v3.
fn array_key<'a>(path: &str, view: &'a View, grid: Grid, rest: &[&str]) -> Result<Node<'a>, Error> {
    match rest {
        ["zarr.json"] => Ok(json(metadata::array_v3(view, &grid))),
        ["c", index @ ..] => chunk(path, view, grid, index.iter().copied()),
        _ => Err(Error::NoSuchKey(path.to_owned())),
    }
}

fn chunk<'a, 'k>(path: &str, view: &'a View, grid: Grid, index: impl Iterator<Item = &'k str>) -> Result<Node<'a>, Error> {
    // Each chunk has exactly one key: no sign, no leading zeros.
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| number.to_string() == text);
    let index: Vec<usize> = index.map(number).collect::<Option<_>>().ok_or_else(|| Error::NoSuchKey(path.to_owned()))?;
    match grid.region(&index) {
        Some(region) => Ok(Node::Chunk(Chunk { view, grid, index, region })),
        None => Err(Error::NoSuchChunk { array: view.name.clone(), index, counts: grid.counts() }),
    }
}

#[cfg(test)]
mod tests;

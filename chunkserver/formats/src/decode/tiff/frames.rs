//! How many frames a file holds. A frame has its own URL, so a file of several frames is refused: the first one alone would be a silent loss.
//!
//! Writers of stacks store one directory for each frame, or one directory and all frames after each other. The second form is found by the
//! rules of tifffile (<https://github.com/cgohlke/tifffile>): ImageJ's and tifffile's descriptions, MetaMorph's planes, `ImageDepth`.

use super::directory::{Directory, File};
use super::header::Header;
use super::{tag, unsupported};
use crate::decode::Error;
use std::collections::HashSet;

/// Directories that are counted before the count becomes "at least".
const MOST_COUNTED: usize = 100_000;

/// Refuses all but one page. Reduced images (overviews, thumbnails) and masks are no pages, nor are the directories of `SubIFDs`.
pub(super) fn one_page(file: &File<'_>, first: &Directory<'_>, offset: u64) -> Result<(), Error> {
    if first.next == 0 {
        return Ok(());
    }
    let mut pages = usize::from(is_page(first)?);
    let mut seen = HashSet::from([offset]);
    let mut next = first.next;
    while next != 0 && seen.insert(next) && seen.len() < MOST_COUNTED {
        let directory = file.directory(next)?;
        pages += usize::from(is_page(&directory)?);
        next = directory.next;
    }
    match pages {
        0 | 1 if !is_page(first)? => Err(unsupported("a reduced image or a mask as its first page")),
        0 | 1 => Ok(()),
        _ => {
            let least = if seen.len() < MOST_COUNTED { "" } else { "at least " };
            Err(unsupported(format!("several pages ({least}{pages}); each frame needs its own URL")))
        }
    }
}

/// Whether a directory is a page of the document: neither reduced nor a mask.
fn is_page(directory: &Directory<'_>) -> Result<bool, Error> {
    const REDUCED_OR_MASK: u64 = 1 | 4;
    const OLD_REDUCED: u64 = 2;
    match directory.value(tag::NEW_SUBFILE_TYPE)? {
        Some(kind) => Ok(kind & REDUCED_OR_MASK == 0),
        None => Ok(directory.value(tag::SUBFILE_TYPE)? != Some(OLD_REDUCED)),
    }
}

/// Refuses a directory that describes several frames.
pub(super) fn one_frame(directory: &Directory<'_>, header: &Header<'_>) -> Result<(), Error> {
    if let Some(planes) = directory.table(tag::UIC2)?.map(|table| table.len()).filter(|&planes| planes > 1) {
        return Err(several("the MetaMorph tag UIC2", planes as u64));
    }
    if let Some(depth) = directory.value(tag::IMAGE_DEPTH)?.filter(|&depth| depth > 1) {
        return Err(several("the tag ImageDepth", depth));
    }
    // tifffile writes its own description after that of the user, with the same tag.
    directory.tables(tag::IMAGE_DESCRIPTION).try_for_each(|description| one_described(description?.text(), header))
}

fn one_described(description: &[u8], header: &Header<'_>) -> Result<(), Error> {
    // A tool that splits a stack may copy the description to each file. Then the file has no room for a second frame.
    let room = || header.has_room_for_two_frames();
    if description.starts_with(b"ImageJ=") || description.starts_with(b"SCIFIO=") {
        let frames = imagej(&String::from_utf8_lossy(description), header.channels as u64);
        if frames > 1 && room()? {
            return Err(several("ImageJ's description", frames));
        }
    } else if let Some((samples, truncated)) = shape(description) {
        let frames = samples / header.samples().max(1);
        if frames > 1 && (truncated || room()?) {
            return Err(several("the shape in the description", frames));
        }
    }
    Ok(())
}

/// The frames in ImageJ's description: <https://imagej.net/ij/docs/guide/146-8.html>.
fn imagej(description: &str, channels_of_page: u64) -> u64 {
    let number = |name: &str| {
        let line = description.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        line.and_then(|value| value.trim().parse::<f64>().ok()).map_or(1, |value| value as u64)
    };
    let (images, planes) = (number("images"), number("slices").saturating_mul(number("frames")));
    // The channels of an RGB image may be listed, but are in one page.
    let channels = if channels_of_page > 1 { 1 } else { number("channels") };
    images.max(planes.saturating_mul(channels))
}

/// The number of samples in the description of tifffile, and whether the description states that the directory holds all of the samples:
/// `{"shape": [3, 45, 67], "truncated": true}`, or `shape=(3,45,67)` of older versions. Only these parts of the JSON are read, so that a long
/// description takes no memory.
fn shape(description: &[u8]) -> Option<(u64, bool)> {
    let after = |text: &[u8], key: &[u8]| text.windows(key.len()).position(|window| window == key).map(|at| at + key.len());
    let (sizes, truncated) = match description.strip_prefix(b"shape=") {
        Some(sizes) => (sizes, false),
        None if description.starts_with(b"{") => {
            let truncated =
                after(description, b"\"truncated\":").is_some_and(|at| description[at..].trim_ascii_start().starts_with(b"true"));
            (&description[after(description, b"\"shape\":")?..], truncated)
        }
        None => return None,
    };
    let list = sizes.trim_ascii_start().strip_prefix(b"[").or(sizes.trim_ascii_start().strip_prefix(b"("))?;
    let list = list.split(|byte| b"])".contains(byte)).next().unwrap_or_default();
    let sizes = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|size| !size.is_empty());
    let samples = sizes
        .map(|size| std::str::from_utf8(size).ok()?.parse::<u64>().ok())
        .try_fold(1, |product: u64, size| Some(product.saturating_mul(size?)));
    Some((samples?, truncated))
}

fn several(place: &str, frames: u64) -> Error {
    unsupported(format!("{place} states {frames} frames in one file; each frame needs its own URL"))
}

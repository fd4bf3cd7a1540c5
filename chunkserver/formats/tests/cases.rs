//! Odd images, and what the field's libraries read: each file of `tests/cases/` beside `NAME.expected.npy` or `NAME.refused.txt`.
//! `tests/generate/generate.py` writes most of these files with tifffile and Pillow.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use api::geometry::{Dtype, FrameSpec};
use formats::decode::{Color, Decoder, Error, probe};
use std::fs;
use std::path::{Path, PathBuf};

/// The shape and the bytes of an array in the NPY format, version 1.0.
struct Npy {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Npy {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let header = std::str::from_utf8(&bytes[10..end]).unwrap();
        let dtype = [("|u1", Dtype::Uint8), ("<u2", Dtype::Uint16), ("<f4", Dtype::Float32)];
        let dtype = dtype.iter().find(|(name, _)| header.contains(name)).unwrap_or_else(|| panic!("{header}")).1;
        let shape = header.split_once("'shape': (").unwrap().1.split(')').next().unwrap();
        let shape = shape.split(',').map(str::trim).filter(|size| !size.is_empty()).map(|size| size.parse().unwrap());
        Self { dtype, shape: shape.collect(), data: bytes[end..].to_vec() }
    }
}

/// Decodes as a job does: the probe of the first frame gives the shape.
fn decode(bytes: &[u8]) -> Result<(FrameSpec, Vec<u8>), Error> {
    let read = |color| {
        let spec = probe(bytes, color)?;
        // Not zero, so that a decoder that needs a cleared buffer fails.
        let mut out = vec![0xa5; spec.bytes()];
        Decoder::new().decode(bytes, spec, color, &mut out)?;
        Ok((spec, out))
    };
    match read(Color::Refuse) {
        Err(Error::ColourRefused { .. }) => read(Color::Luminance),
        other => other,
    }
}

/// Everything that an error states.
fn text(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

/// The first difference, or `None`.
fn difference(path: &Path) -> Option<String> {
    let bytes = fs::read(path).unwrap();
    let decoded = decode(&bytes);
    if let Ok(reason) = fs::read_to_string(path.with_extension("refused.txt")) {
        return match decoded {
            Ok((spec, _)) => Some(format!("is read as {spec}, not refused with `{}`", reason.trim())),
            Err(error) if text(&error).contains(reason.trim()) => None,
            Err(error) => Some(format!("is refused with `{}`, not with `{}`", text(&error), reason.trim())),
        };
    }
    let expected = Npy::read(&path.with_extension("expected.npy"));
    let (frames, shape) = expected.shape.split_at(expected.shape.len() - 2);
    if let &[frames] = frames {
        // One URL is one frame.
        return match decoded {
            Err(error) if text(&error).contains(&format!("{frames} frames in one file")) => None,
            other => Some(format!("has {frames} frames, and gives {:?}", other.map(|(spec, _)| spec))),
        };
    }
    let (spec, pixels) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Some(format!("is refused: {}", text(&error))),
    };
    if spec != (FrameSpec { height: shape[0], width: shape[1], dtype: expected.dtype }) {
        return Some(format!("is read as {spec}, expected {shape:?} {}", expected.dtype));
    }
    // The standard allows JPEG decoders to differ, and their differences add up in three components.
    let ordinary = path.extension().is_some_and(|extension| extension == "jpg") && path.to_string_lossy().contains("ordinary");
    let largest = if ordinary { 2 } else { 0 };
    let different = pixels.iter().zip(&expected.data).position(|(a, b)| a.abs_diff(*b) > largest)?;
    Some(format!("differs at byte {different}: {}, expected {}", pixels[different], expected.data[different]))
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_image =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tif" || extension == "jpg" || extension == "png");
    let mut paths: Vec<PathBuf> = paths.filter(is_image).collect();
    paths.sort();
    paths
}

/// `FORMATS_CASES` is another folder of such files, for example of more cases from the generator.
#[test]
fn every_case_is_read_as_elsewhere_or_refused_with_its_reason() {
    let folder = std::env::var_os("FORMATS_CASES").map(PathBuf::from);
    let cases = cases(&folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")));
    assert!(cases.len() > 10, "{} cases", cases.len());
    let failed = cases.iter().filter_map(|path| Some(format!("{} {}", path.file_name()?.display(), difference(path)?)));
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

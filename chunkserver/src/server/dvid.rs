//! The API of DVID (<https://github.com/janelia-flyem/dvid>, data type imageblk) for the job's arrays: planes as pictures, subvolumes as raw
//! voxels. Sizes and offsets are (x, y, t), the order of DVID.

use super::extract::Path;
use super::problem::Problem;
use super::readers::{Slice, Values};
use crate::results::Selected;
use crate::share::Share;
use crate::worker::Worker;
use api::arrays::Array;
use api::selection::Item;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use formats::encode::Format;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use thiserror::Error;

/// The names of a plane and of a subvolume.
pub(super) const SHAPES: [&str; 3] = ["xy", "0_1", "0_1_2"];

/// Why a request is refused.
#[derive(Debug, Error)]
enum Error {
    #[error("the job '{requested}' is unknown; this server's job is '{job}'")]
    OtherJob { requested: String, job: String },
    #[error("the array '{name}' is unknown or does not have the axes t, y and x; known arrays: {known}")]
    NoVolume { name: String, known: String },
    #[error("the shape '{0}' is unknown: use xy or 0_1 for a plane, or 0_1_2 for a subvolume")]
    Shape(String),
    #[error("the {what} '{text}' must be {rule}")]
    Numbers { what: &'static str, text: String, rule: &'static str },
    #[error(
        "{array} has x from 0 to {}, y from 0 to {} and t from 0 to {}; {size} at {offset} is not within the array, and the server does not pad",
        .extents[0] - 1, .extents[1] - 1, .extents[2] - 1
    )]
    Beyond { array: String, extents: [usize; 3], size: String, offset: String },
    #[error("'{0}' is not a picture format: use png, jpg, or jpg:80 for a quality from 1 to 100")]
    PictureFormat(String),
    #[error("a subvolume (0_1_2) is raw voxels without a format: omit '{0}'")]
    RawVoxels(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::OtherJob { .. } | Error::NoVolume { .. } => StatusCode::NOT_FOUND,
            Error::Shape(_) | Error::Numbers { .. } | Error::Beyond { .. } | Error::PictureFormat(_) | Error::RawVoxels(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        Self::new(status, error.to_string())
    }
}

/// The parameters of a path.
#[derive(Debug, Deserialize)]
pub(super) struct RegionPath {
    job: String,
    array: String,
    shape: String,
    size: String,
    offset: String,
    #[serde(default)]
    format: Option<String>,
}

/// A plane as a picture, or a subvolume as raw voxels.
pub(super) async fn raw(State(worker): State<Arc<Worker>>, Path(region): Path<RegionPath>) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let array = volume(&share, &region.job, &region.array)?;
    let format = region.picture_format()?;
    let items = region.items(array)?;
    let selected = Selected::new(&share, &array.name, &items)?;
    let (format, values) = format.map_or((Format::Raw, Values::Magnitudes), |format| (format, Values::Stored));
    Slice { worker, share, selected, format, values }.respond().await
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumePath {
    job: String,
    array: String,
}

/// The description of a volume.
pub(super) async fn info(State(worker): State<Arc<Worker>>, Path(path): Path<VolumePath>) -> Result<Json<Value>, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let array = volume(&share, &path.job, &path.array)?;
    let chunks = array.chunks(&share.plan.partition);
    Ok(Json(description(&share.job.uid, array, &chunks)))
}

/// The description with DVID's names. Omits the background value, because this server does not pad.
fn description(uid: &str, array: &Array, chunks: &[usize]) -> Value {
    let [x, y, t] = extents(array);
    let blocks = |axis: usize, size: usize| (size - 1) / chunks[2 - axis].max(1);
    let element = Values::Magnitudes.element(array.element).name();
    let unit = if array.axes.first() == Some(&"frequency") { "bins" } else { "frames" };
    json!({
        "Base": {
            "TypeName": format!("{element}blk"),
            "TypeURL": "github.com/janelia-flyem/dvid/datatype/imageblk",
            "Name": array.name,
            "DataUUID": uid,
            "RepoUUID": uid,
            "Versioned": false,
        },
        "Extended": {
            "Values": [{"DataType": element, "Label": array.name}],
            "Interpolable": true,
            "BlockSize": [chunks[2], chunks[1], chunks[0]],
            "VoxelSize": [1, 1, 1],
            "VoxelUnits": ["pixels", "pixels", unit],
            "MinPoint": [0, 0, 0],
            "MaxPoint": [x - 1, y - 1, t - 1],
            "MinIndex": [0, 0, 0],
            "MaxIndex": [blocks(0, x), blocks(1, y), blocks(2, t)],
        },
    })
}

/// The array `name`, if `job` is this server's job and the array has three axes.
fn volume<'a>(share: &'a Share, job: &str, name: &str) -> Result<&'a Array, Error> {
    if job != share.job.name {
        return Err(Error::OtherJob { requested: job.to_owned(), job: share.job.name.clone() });
    }
    let is_volume = |array: &&Array| array.shape.len() == 3;
    share.array(name).filter(is_volume).ok_or_else(|| {
        let known: Vec<&str> = share.arrays.iter().filter(is_volume).map(|array| array.name.as_str()).collect();
        Error::NoVolume { name: name.to_owned(), known: known.join(", ") }
    })
}

/// Lengths along x, y and t.
fn extents(array: &Array) -> [usize; 3] {
    [array.shape[2], array.shape[1], array.shape[0]]
}

impl RegionPath {
    /// The format of a plane; `None` for raw voxels.
    fn picture_format(&self) -> Result<Option<Format>, Error> {
        match (self.shape.as_str(), self.format.as_deref()) {
            ("0_1_2", None) => Ok(None),
            ("0_1_2", Some(format)) => Err(Error::RawVoxels(format.to_owned())),
            (_, None) => Ok(Some(Format::Png)),
            (_, Some(text)) => match text.parse() {
                Ok(format @ (Format::Png | Format::Jpeg { .. })) => Ok(Some(format)),
                _ => Err(Error::PictureFormat(text.to_owned())),
            },
        }
    }

    /// The selected items of `array`.
    fn items(&self, array: &Array) -> Result<Vec<Item>, Error> {
        let wrong = |what, text: &str, rule| Error::Numbers { what, text: text.to_owned(), rule };
        let size = match self.shape.as_str() {
            "xy" | "0_1" => {
                let [width, height] = numbers(&self.size).ok_or_else(|| wrong("size", &self.size, "width_height, as in 512_256"))?;
                [width, height, 1]
            }
            "0_1_2" => numbers(&self.size).ok_or_else(|| wrong("size", &self.size, "width_height_frames, as in 512_256_20"))?,
            other => return Err(Error::Shape(other.to_owned())),
        };
        let offset: [i64; 3] = numbers(&self.offset).ok_or_else(|| wrong("offset", &self.offset, "x_y_t, as in 0_0_5"))?;
        let extents = extents(array);
        let within = |axis: usize| {
            let end = offset[axis].checked_add(size[axis]).and_then(|end| usize::try_from(end).ok());
            offset[axis] >= 0 && size[axis] > 0 && end.is_some_and(|end| end <= extents[axis])
        };
        if !(0..3).all(within) {
            return Err(Error::Beyond { array: array.name.clone(), extents, size: self.size.clone(), offset: self.offset.clone() });
        }
        let slice = |axis: usize| Item::Slice(Some(offset[axis]), Some(offset[axis] + size[axis]), None);
        let time = if self.shape == "0_1_2" { slice(2) } else { Item::Index(offset[2]) };
        Ok(vec![time, slice(1), slice(0)])
    }
}

/// `N` integers, separated by `_`.
fn numbers<const N: usize>(text: &str) -> Option<[i64; N]> {
    let numbers: Vec<i64> = text.split('_').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::arrays::{Base, Holder};
    use api::geometry::Element;
    use api::selection::{resolve, shape};

    fn power() -> Array {
        Array {
            name: "power".into(),
            element: Element::Float32,
            shape: vec![10, 20, 30],
            axes: vec!["frequency", "y", "x"],
            holder: Holder::Tiles(Base::Spectrum),
        }
    }

    fn region(path: &str) -> RegionPath {
        let mut parts = path.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap();
        let (shape, size, offset) = (next(), next(), next());
        RegionPath { job: "j".into(), array: "power".into(), shape, size, offset, format: parts.next() }
    }

    #[test]
    fn sizes_and_offsets_are_x_y_t() {
        let check = |path: &str, starts: [usize; 3], lengths: &[usize]| {
            let axes = resolve(&region(path).items(&power()).unwrap(), &power().shape).unwrap();
            let found: Vec<usize> = axes.iter().map(|axis| axis.start).collect();
            assert_eq!((found.as_slice(), shape(&axes).as_slice()), (starts.as_slice(), lengths), "{path}");
        };
        check("xy/4_3/1_2_9", [9, 2, 1], &[3, 4]);
        check("0_1/30_20/0_0_0", [0, 0, 0], &[20, 30]);
        check("0_1_2/30_20_10/0_0_0", [0, 0, 0], &[10, 20, 30]);
        check("0_1_2/1_1_1/29_19_9", [9, 19, 29], &[1, 1, 1]);
    }

    #[test]
    fn a_region_that_dvid_would_pad_is_refused() {
        for path in [
            "xy/31_20/0_0_0",
            "xy/4_3/27_0_0",
            "xy/4_3/0_0_10",
            "xy/4_3/-1_0_0",
            "xy/0_3/0_0_0",
            "0_1_2/4_3_2/0_0_9",
            "xy/9223372036854775807_1/1_0_0",
        ] {
            let error = region(path).items(&power()).unwrap_err().to_string();
            assert!(error.starts_with("power has x from 0 to 29, y from 0 to 19 and t from 0 to 9;"), "{path}: {error}");
        }
        for (path, words) in [
            ("xz/4_3/0_0_0", "the shape 'xz' is unknown"),
            ("xy/4_3_1/0_0_0", "width_height, as in"),
            ("0_1_2/4_3/0_0_0", "width_height_frames"),
            ("xy/4_x/0_0_0", "the size '4_x'"),
            ("xy/4_3/0_0", "the offset '0_0'"),
        ] {
            let error = region(path).items(&power()).unwrap_err().to_string();
            assert!(error.contains(words), "{path}: {error}");
        }
    }

    #[test]
    fn planes_are_pictures_and_volumes_are_raw() {
        let of = |path: &str| region(path).picture_format().map_err(|error| error.to_string());
        assert_eq!(of("xy/1_1/0_0_0"), Ok(Some(Format::Png)));
        assert_eq!(of("xy/1_1/0_0_0/png"), Ok(Some(Format::Png)));
        assert_eq!(of("0_1/1_1/0_0_0/jpg"), Ok(Some(Format::Jpeg { quality: 80 })));
        assert_eq!(of("xy/1_1/0_0_0/jpg:35"), Ok(Some(Format::Jpeg { quality: 35 })));
        assert_eq!(of("0_1_2/1_1_1/0_0_0"), Ok(None));
        for wrong in ["xy/1_1/0_0_0/jpg:0", "xy/1_1/0_0_0/npy", "xy/1_1/0_0_0/gif", "0_1_2/1_1_1/0_0_0/png"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_description_of_a_volume_has_dvids_names() {
        let info = description("u", &power(), &[10, 8, 16]);
        assert_eq!(info["Base"]["TypeName"], "float32blk");
        let extended = &info["Extended"];
        assert_eq!(extended["MaxPoint"], json!([29, 19, 9]));
        assert_eq!(extended["BlockSize"], json!([16, 8, 10]));
        assert_eq!(extended["MaxIndex"], json!([1, 2, 0]));
        assert_eq!(extended["VoxelUnits"], json!(["pixels", "pixels", "bins"]));
        assert_eq!(extended["Values"][0]["DataType"], "float32");
    }
}

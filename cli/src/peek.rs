//! `arrayjob peek`: one frame is one fetch, before anything is started; or by a job's server, with its network and secrets.

use crate::args::Peek;
use crate::cluster::{door, is_plugin, place};
use crate::error::Error;
use crate::get::write;
use crate::probe;
use crate::run::read_manifest;
use api::geometry::{Dtype, FrameSpec};
use formats::encode::{ArrayRef, Format, encode};
use operator::validate;

/// Fetches, decodes and writes a frame.
///
/// # Errors
/// When the manifest's source is wrong, the job cannot be found, or the frame cannot be had, decoded or written.
pub async fn peek(ask: Peek) -> Result<(), Error> {
    let format = Format::from_path(&ask.output).map_err(|error| Error::Refused(error.to_string()))?;
    if !place::is_manifest(&ask.file, is_plugin(), &ask.place) {
        let door = door::find(&ask.file.to_string_lossy(), &ask.place).await?;
        return write(&ask.output, &door.reader()?.frame(ask.index, format.name()).await?);
    }
    let mut manifest = read_manifest(&ask.file)?;
    let invalid = |source: validate::Invalid| Error::Invalid { path: ask.file.clone(), source: source.into() };
    let (mut source, mut frames) = validate::source(&manifest, validate::Place::Machine).map_err(invalid)?;
    if manifest.spec.source.zarr.is_some() {
        // Only the array knows how many frames there are.
        validate::set_probed(&mut manifest, &probe::look(&source, frames).await?);
        (source, frames) = validate::source(&manifest, validate::Place::Machine).map_err(invalid)?;
    }
    if ask.index >= frames {
        return Err(Error::Refused(format!("frame {} is out of bounds: the job has frames 0 to {}", ask.index, frames - 1)));
    }
    let given = manifest.spec.source.frame.as_ref().map(|frame| FrameSpec {
        height: frame.height as usize,
        width: frame.width as usize,
        dtype: match frame.dtype {
            crds::v1alpha1::Dtype::Uint8 => Dtype::Uint8,
            crds::v1alpha1::Dtype::Uint16 => Dtype::Uint16,
            crds::v1alpha1::Dtype::Float32 => Dtype::Float32,
        },
    });
    let (spec, pixels) = probe::frame(&source, frames, ask.index, given).await?;
    let array = ArrayRef { element: spec.dtype.into(), shape: &[spec.height, spec.width], data: &pixels };
    let bytes = encode(&array, format).map_err(|source| Error::Picture { array: format!("frame {}", ask.index), source: source.into() })?;
    write(&ask.output, &bytes)
}

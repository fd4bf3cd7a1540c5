//! `arrayjob peek`: one frame of the source, fetched by this machine, or by a server of a job with the job's network and secrets.

use crate::args::Peek;
use crate::cluster::{self, is_plugin, target};
use crate::error::Error;
use crate::files::write;
use crate::{manifest, probe};
use api::geometry::{Dtype, FrameSpec};
use formats::encode::{ArrayRef, Format, encode};
use operator::validate::{self, Platform};

/// Fetches, decodes and writes a frame.
///
/// # Errors
/// The manifest's source is invalid, the job is missing, or the frame is not readable.
pub async fn peek(args: Peek) -> Result<(), Error> {
    let format = Format::from_path(&args.output).map_err(|error| Error::Refused(error.to_string()))?;
    if !target::is_manifest(&args.file, is_plugin(), &args.cluster) {
        let connection = cluster::find(&args.file.to_string_lossy(), &args.cluster).await?;
        return write(&args.output, &connection.reader()?.frame(args.index, format.name()).await?);
    }
    let mut manifest = manifest::read(&args.file)?;
    let invalid = |source: validate::Invalid| Error::Invalid { path: args.file.clone(), source: source.into() };
    let (mut source, mut frames) = validate::source(&manifest, Platform::Local).map_err(invalid)?;
    if manifest.spec.source.zarr.is_some() {
        // The number of frames is in the metadata of the array only.
        validate::set_probed(&mut manifest, &probe::look(&source, frames).await?);
        (source, frames) = validate::source(&manifest, Platform::Local).map_err(invalid)?;
    }
    if args.index >= frames {
        return Err(Error::Refused(format!("frame {} is out of bounds: the job has frames 0 to {}", args.index, frames - 1)));
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
    let (spec, pixels) = probe::frame(&source, frames, args.index, given).await?;
    let array = ArrayRef { element: spec.dtype.into(), shape: &[spec.height, spec.width], data: &pixels };
    let bytes =
        encode(&array, format).map_err(|source| Error::Picture { array: format!("frame {}", args.index), source: source.into() })?;
    write(&args.output, &bytes)
}

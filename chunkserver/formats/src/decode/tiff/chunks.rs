//! Where strips and tiles are in the file.

use super::directory::{Directory, File, Table};
use super::{corrupt, tag, truncated};
use crate::decode::Error;
use api::geometry::{Dtype, FrameSpec};

/// The grid of strips or tiles.
pub(super) struct Chunks<'a> {
    pub(super) tiled: bool,
    /// Pixels of a chunk. A strip is as wide as the image.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Chunks in a row of the grid.
    pub(super) across: usize,
    pub(super) count: usize,
    offsets: Table<'a>,
    /// `None`: the sizes follow from the shape, or from the compressed data.
    sizes: Option<Table<'a>>,
    /// The bytes of one sample in a chunk that is not in the file.
    pub(super) blank: [u8; 4],
}

impl<'a> Chunks<'a> {
    pub(super) fn read(directory: &Directory<'a>, spec: FrameSpec, bits_of_pixel: usize) -> Result<Self, Error> {
        let tiled = directory.contains(tag::TILE_WIDTH) || directory.contains(tag::TILE_OFFSETS);
        let side = |tag| {
            let length = directory.value(tag)?.and_then(|length| u32::try_from(length).ok()).filter(|&length| length > 0);
            length.map(|length| length as usize).ok_or_else(|| corrupt(format!("tag {tag} is missing or out of range")))
        };
        let (width, height) = if tiled {
            (side(tag::TILE_WIDTH)?, side(tag::TILE_LENGTH)?)
        } else if directory.contains(tag::ROWS_PER_STRIP) {
            (spec.width, side(tag::ROWS_PER_STRIP)?.min(spec.height))
        } else {
            (spec.width, spec.height)
        };
        // Some writers store the places of tiles as those of strips.
        let table = |tile, strip| Ok::<_, Error>(if tiled { directory.table(tile)? } else { None }.or(directory.table(strip)?));
        let offsets = table(tag::TILE_OFFSETS, tag::STRIP_OFFSETS)?.ok_or_else(|| corrupt("the offsets of strips or tiles are missing"))?;
        let sizes = table(tag::TILE_BYTE_COUNTS, tag::STRIP_BYTE_COUNTS)?.filter(|sizes| sizes.len() > 0);
        let across = spec.width.div_ceil(width);
        let count = across.checked_mul(spec.height.div_ceil(height)).filter(|&count| count <= offsets.len());
        let count = count.ok_or_else(|| corrupt("a strip or tile has no offset"))?;
        if offsets.len() > count || sizes.is_some_and(|sizes| sizes.len() != count) {
            return Err(corrupt(format!("{} offsets of strips or tiles, but the shape needs {count}", offsets.len())));
        }
        if width.checked_mul(bits_of_pixel).is_none() {
            return Err(corrupt("a row of a tile does not fit in memory"));
        }
        let blank = no_data(directory, spec.dtype)?;
        Ok(Self { tiled, width, height, across, count, offsets, sizes, blank })
    }

    pub(super) fn first_offset(&self) -> Result<u64, Error> {
        self.offsets.get(0)
    }

    /// The bytes of chunk `index`, which has `size` bytes if uncompressed. `None` for a chunk that was never written: offset and size are 0
    /// in sparse files, <https://gdal.org/en/stable/drivers/raster/gtiff.html>.
    pub(super) fn bytes(&self, file: &File<'a>, index: usize, size: Option<usize>) -> Result<Option<&'a [u8]>, Error> {
        let offset = self.offsets.get(index)?;
        let stored = self.sizes.map(|sizes| sizes.get(index)).transpose()?;
        if offset == 0 && stored == Some(0) {
            return Ok(None);
        }
        if offset < 8 {
            return Err(corrupt("the offset of a strip or tile lies in the header"));
        }
        match (size, stored) {
            // The size of a single strip follows from the shape. libtiff ignores a wrong size there.
            (Some(size), _) if self.count == 1 => file.slice(offset, size as u64).map(Some),
            (Some(size), Some(stored)) if stored < size as u64 => {
                Err(corrupt(format!("a strip or tile of {size} bytes has a size of {stored}")))
            }
            (Some(size), _) => file.slice(offset, size as u64).map(Some),
            (None, Some(stored)) => file.slice(offset, stored).map(Some),
            // Compressed data states its own end.
            (None, None) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| file.bytes.get(offset..));
                rest.map(Some).ok_or_else(|| truncated(file.bytes))
            }
        }
    }
}

/// The value of pixels without data, little endian: GDAL's tag, else 0.
fn no_data(directory: &Directory<'_>, dtype: Dtype) -> Result<[u8; 4], Error> {
    let Some(text) = directory.table(tag::GDAL_NODATA)? else { return Ok([0; 4]) };
    let text = String::from_utf8_lossy(text.text());
    let Ok(value) = text.trim().parse::<f64>() else { return Ok([0; 4]) };
    let fits = |largest: u16| value.fract() == 0.0 && (0.0..=f64::from(largest)).contains(&value);
    match dtype {
        Dtype::Uint8 if fits(u8::MAX.into()) => Ok([value as u8, 0, 0, 0]),
        Dtype::Uint16 if fits(u16::MAX) => {
            let [low, high] = (value as u16).to_le_bytes();
            Ok([low, high, 0, 0])
        }
        Dtype::Float32 => Ok((value as f32).to_le_bytes()),
        // Another type's value marks no pixel of this image.
        Dtype::Uint8 | Dtype::Uint16 => Ok([0; 4]),
    }
}

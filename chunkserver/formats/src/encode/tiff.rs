//! A 2-D array (y, x) as one TIFF page, a 3-D array (t, y, x) as one page per frame; uncompressed, so that readers can map the file.
//! TIFF 6.0: <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>, BigTIFF:
//! <https://www.awaresystems.be/imaging/tiff/bigtiff.html>.

use super::{ArrayRef, Error, Format, array, selection, tuple};
use ::tiff::TiffResult;
use ::tiff::encoder::{TiffEncoder, TiffKind, TiffValue, colortype};
use api::geometry::Element;
use std::io::Cursor;

/// Arrays above this size are written as BigTIFF, because offsets may exceed 32 bits. The margin below 4 GiB is for the tags of the pages.
const CLASSIC_BYTES: usize = 3 << 30;

pub(super) fn encode(a: &ArrayRef<'_>) -> Result<Vec<u8>, Error> {
    let (pages, height, width) = match *a.shape {
        [height, width] => (1, height, width),
        [pages, height, width] => (pages, height, width),
        _ => {
            let advice = if a.shape.len() > 3 {
                format!("select fewer axes, for example {}", selection(a.shape, 3))
            } else {
                "use csv, json or npy".to_owned()
            };
            let holds = "one 2-D picture or a 3-D stack of them";
            return Err(Error::Axes { format: Format::Tiff, holds, shape: tuple(a.shape), advice });
        }
    };
    if a.data.is_empty() {
        return Err(Error::Empty { format: Format::Tiff, shape: tuple(a.shape) });
    }
    let too_large = |_| Error::TooLarge { format: Format::Tiff, shape: tuple(a.shape) };
    let page = Page {
        width: u32::try_from(width).map_err(too_large)?,
        height: u32::try_from(height).map_err(too_large)?,
        bytes: a.data.len() / pages,
    };
    if a.element == Element::Complex64 {
        return Err(Error::ElementType { format: Format::Tiff, element: a.element });
    }
    let mut out = Cursor::new(Vec::with_capacity(a.data.len() + pages * 512));
    let written = if a.data.len() > CLASSIC_BYTES {
        TiffEncoder::new_big(&mut out).and_then(|file| write(file, a, &page))
    } else {
        TiffEncoder::new(&mut out).and_then(|file| write(file, a, &page))
    };
    match written {
        Ok(()) => Ok(out.into_inner()),
        Err(source) => Err(Error::Tiff { shape: tuple(a.shape), source }),
    }
}

/// The properties that all pages share.
struct Page {
    width: u32,
    height: u32,
    bytes: usize,
}

type File<'a, K> = TiffEncoder<&'a mut Cursor<Vec<u8>>, K>;

fn write<K: TiffKind>(file: File<'_, K>, a: &ArrayRef<'_>, page: &Page) -> TiffResult<()> {
    match a.element {
        Element::Uint8 => pages::<colortype::Gray8, K, 1>(file, a, page, |[b]| b),
        Element::Uint16 => pages::<colortype::Gray16, K, 2>(file, a, page, u16::from_le_bytes),
        Element::Uint64 => pages::<colortype::Gray64, K, 8>(file, a, page, u64::from_le_bytes),
        Element::Int32 => pages::<colortype::GrayI32, K, 4>(file, a, page, i32::from_le_bytes),
        Element::Float32 => pages::<colortype::Gray32Float, K, 4>(file, a, page, f32::from_le_bytes),
        Element::Float64 => pages::<colortype::Gray64Float, K, 8>(file, a, page, f64::from_le_bytes),
        // `encode` has refused complex values.
        Element::Complex64 => Ok(()),
    }
}

fn pages<C, K, const N: usize>(mut file: File<'_, K>, a: &ArrayRef<'_>, page: &Page, value: impl Fn([u8; N]) -> C::Inner) -> TiffResult<()>
where
    C: colortype::ColorType,
    K: TiffKind,
    [C::Inner]: TiffValue,
{
    for bytes in a.data.chunks_exact(page.bytes) {
        let pixels: Vec<C::Inner> = bytes.chunks_exact(N).map(|b| value(array(b))).collect();
        file.write_image::<C>(page.width, page.height, &pixels)?;
    }
    Ok(())
}

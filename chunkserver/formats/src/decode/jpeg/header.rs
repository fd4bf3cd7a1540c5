//! The segments before the first scan: T.81, annex B.

use super::{corrupt, truncated, unsupported};
use crate::decode::Error;
use api::geometry::{Dtype, FrameSpec};

pub(super) const END_OF_IMAGE: u8 = 0xd9;
pub(super) const START_OF_SCAN: u8 = 0xda;
pub(super) const QUANTIZATION: u8 = 0xdb;
pub(super) const HUFFMAN: u8 = 0xc4;
pub(super) const RESTART_INTERVAL: u8 = 0xdd;

/// A component: T.81, B.2.2.
#[derive(Clone, Copy)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors.
    pub(super) h: usize,
    pub(super) v: usize,
    /// Index of the quantization table.
    pub(super) table: usize,
}

/// The first frame header, and the segments around it.
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// Whether three components are red, green and blue instead of `YCbCr`.
    pub(super) rgb: bool,
    /// Whether all decoders agree on the colour space.
    plain_colours: bool,
    /// Whether Huffman tables and restart intervals are ordinary: every table of the scan is defined, and there are no restarts.
    ordinary_tables: bool,
    /// Whether the first scan has all components.
    one_scan: bool,
    /// Where the entropy-coded data of the first scan starts.
    pub(super) scan: usize,
}

/// A marker and the segment after it, without its length.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) data: &'a [u8],
    /// Where the next byte is.
    pub(super) end: usize,
}

/// The segment at `at`.
pub(super) fn segment(bytes: &[u8], mut at: usize) -> Result<Segment<'_>, Error> {
    if *bytes.get(at).ok_or_else(|| truncated(bytes))? != 0xff {
        return Err(corrupt("bytes between segments"));
    }
    // Fill bytes before a marker (T.81, B.1.1.2).
    while bytes.get(at) == Some(&0xff) {
        at += 1;
    }
    let marker = *bytes.get(at).ok_or_else(|| truncated(bytes))?;
    if matches!(marker, 0x01 | 0xd0..=END_OF_IMAGE) {
        return Ok(Segment { marker, data: &[], end: at + 1 });
    }
    let &[high, low] = bytes.get(at + 1..at + 3).ok_or_else(|| truncated(bytes))? else { return Err(truncated(bytes)) };
    let end = at + 1 + usize::from(u16::from_be_bytes([high, low]));
    if end < at + 3 {
        return Err(corrupt("a segment shorter than its length"));
    }
    Ok(Segment { marker, data: bytes.get(at + 3..end).ok_or_else(|| truncated(bytes))?, end })
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (mut jfif, mut adobe, mut restarts) = (false, None, false);
        // Tables that are defined: DC 0 to 3, then AC 0 to 3.
        let mut tables = [false; 8];
        let mut frame: Option<Self> = None;
        let mut at = 2;
        loop {
            let Segment { marker, data, end } = segment(bytes, at)?;
            at = end;
            match marker {
                0xc0..=0xc2 if frame.is_some() => return Err(corrupt("two frames")),
                0xc0..=0xc2 => frame = Some(start_of_frame(marker, data)?),
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xf7 => return Err(unsupported(other_process(marker))),
                0xe0 => jfif |= data.len() >= 12 && data.starts_with(b"JFIF\0"),
                0xee if data.len() >= 12 && data.starts_with(b"Adobe") => adobe = Some(data[11]),
                HUFFMAN => {
                    let mut rest = data;
                    while let [class, counts @ ..] = rest
                        && let Some((counts, values)) = counts.split_at_checked(16)
                    {
                        if let Some(defined) = tables.get_mut(usize::from((class >> 4 & 1) * 4 + (class & 3))) {
                            *defined = true;
                        }
                        rest = values.get(counts.iter().map(|&count| usize::from(count)).sum()..).unwrap_or_default();
                    }
                }
                RESTART_INTERVAL => restarts = data != [0, 0],
                START_OF_SCAN => {
                    let mut header = frame.ok_or_else(|| corrupt("a scan without a frame"))?;
                    let ids = header.components.iter().map(|component| component.id);
                    let named_rgb = ids.clone().eq(*b"RGB");
                    header.rgb = header.components.len() == 3 && is_rgb(jfif, adobe, named_rgb);
                    header.plain_colours = matches!(adobe, None | Some(1)) && !named_rgb;
                    let count = data.first().copied().unwrap_or_default();
                    let selectors = data.get(1..1 + 2 * usize::from(count)).ok_or_else(|| corrupt("a scan header that is too short"))?;
                    let pairs = || selectors.chunks_exact(2);
                    header.one_scan = ids.eq(pairs().map(|pair| pair[0]));
                    let defined = |pair: &[u8]| tables[usize::from(pair[1] >> 4 & 3)] && tables[4 + usize::from(pair[1] & 3)];
                    header.ordinary_tables = !restarts && pairs().all(defined);
                    header.scan = end;
                    return Ok(header);
                }
                END_OF_IMAGE => return Err(corrupt("an image without a scan")),
                _ => {}
            }
        }
    }

    pub(super) fn spec(&self) -> FrameSpec {
        FrameSpec { height: self.height, width: self.width, dtype: Dtype::Uint8 }
    }

    /// The largest sampling factors.
    pub(super) fn largest(&self) -> (usize, usize) {
        self.components.iter().fold((1, 1), |(h, v), component| (h.max(component.h), v.max(component.v)))
    }

    /// Whether the fast decoder, `zune-jpeg`, reads images with this header and a single scan as libjpeg does: one sequential scan of gray or
    /// `YCbCr`, without restarts, with its own Huffman tables, and with chroma at full or half resolution.
    ///
    /// Of the others, that decoder misplaces subsampled chroma in several scans, does not require implied tables, takes missing data before a
    /// restart or in a progressive scan as zeros, and differs in colour spaces.
    pub(super) fn is_ordinary(&self) -> bool {
        let sampling = match self.components[..] {
            [gray] => (gray.h, gray.v) == (1, 1),
            [luma, blue, red] => luma.h <= 2 && luma.v <= 2 && [blue.h, blue.v, red.h, red.v] == [1; 4],
            _ => false,
        };
        !self.progressive && self.plain_colours && self.one_scan && self.ordinary_tables && sampling
    }
}

/// The colour space of three components, by the rules of libjpeg: <https://github.com/libjpeg-turbo/libjpeg-turbo/blob/main/src/jdapimin.c>.
fn is_rgb(jfif: bool, adobe: Option<u8>, named_rgb: bool) -> bool {
    match adobe {
        _ if jfif => false,
        Some(transform) => transform == 0,
        None => named_rgb,
    }
}

fn start_of_frame(marker: u8, data: &[u8]) -> Result<Header, Error> {
    let [precision, y1, y0, x1, x0, count, rest @ ..] = data else { return Err(corrupt("a frame header that is too short")) };
    let (height, width) = (usize::from(u16::from_be_bytes([*y1, *y0])), usize::from(u16::from_be_bytes([*x1, *x0])));
    if *precision != 8 {
        return Err(unsupported(format!("{precision} bits (8 are supported)")));
    }
    if height == 0 {
        return Err(unsupported("a height that is stated after the first scan (DNL)"));
    }
    if width == 0 || *count == 0 || rest.len() != 3 * usize::from(*count) {
        return Err(corrupt("the frame header is inconsistent"));
    }
    let mut components: Vec<Component> = Vec::with_capacity(usize::from(*count));
    for entry in rest.chunks_exact(3) {
        let component =
            Component { id: entry[0], h: usize::from(entry[1] >> 4), v: usize::from(entry[1] & 15), table: usize::from(entry[2]) };
        if !(1..=4).contains(&component.h) || !(1..=4).contains(&component.v) || component.table > 3 {
            return Err(corrupt("a component's sampling factor or table is out of range"));
        }
        if components.iter().any(|other| other.id == component.id) {
            return Err(corrupt("two components with one identifier"));
        }
        components.push(component);
    }
    let progressive = marker == 0xc2;
    Ok(Header {
        width,
        height,
        progressive,
        components,
        rgb: false,
        ordinary_tables: false,
        one_scan: false,
        scan: 0,
        plain_colours: false,
    })
}

fn other_process(marker: u8) -> &'static str {
    match marker {
        0xc3 => "lossless JPEG",
        0xf7 => "JPEG-LS",
        0xc5..=0xc7 => "hierarchical JPEG",
        _ => "arithmetic coding",
    }
}

//! Images that the encoders of the tests do not write: interlaced PNG, tiled and big-endian TIFF, LZW after a predictor, forged headers.

use api::geometry::FrameSpec;
use ndarray::{Array3, ArrayView3, Axis, s};

/// A PNG of filtered rows, in stored deflate blocks (RFC 1951, 3.2.4).
pub(super) fn png_by_hand(width: u32, height: u32, depth: u8, kind: u8, interlaced: bool, rows: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([depth, kind, 0, 0, interlaced.into()]);
    let mut zlib = vec![0x78, 0x01];
    let blocks = rows.chunks(0xffff);
    let last = blocks.len() - 1;
    for (i, block) in blocks.enumerate() {
        zlib.push((i == last).into());
        zlib.extend((block.len() as u16).to_le_bytes());
        zlib.extend((!(block.len() as u16)).to_le_bytes());
        zlib.extend(block);
    }
    let (a, b) = rows.iter().fold((1_u32, 0_u32), |(a, b), &v| {
        let a = (a + u32::from(v)) % 65521;
        (a, (a + b) % 65521)
    });
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", &header), (b"IDAT", &zlib), (b"IEND", &Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        let checked = [&name[..], data].concat();
        let crc = checked
            .iter()
            .fold(!0_u32, |crc, &v| (0..8).fold(crc ^ u32::from(v), |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 }));
        png.extend(&checked);
        png.extend((!crc).to_be_bytes());
    }
    png
}

/// The rows of the seven passes of Adam7, unfiltered: <https://www.w3.org/TR/png-3/#8InterlaceMethods>.
pub(super) fn adam7(height: usize, width: usize, bits: usize, sample: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    // First row, step of rows, first column, step of columns.
    const PASSES: [[usize; 4]; 7] = [[0, 8, 0, 8], [0, 8, 4, 8], [4, 8, 0, 4], [0, 4, 2, 4], [2, 4, 0, 2], [0, 2, 1, 2], [1, 2, 0, 1]];
    let mut rows = Vec::new();
    for [y0, dy, x0, dx] in PASSES {
        for y in (y0..height).step_by(dy) {
            let row: Vec<u8> = (x0..width).step_by(dx).map(|x| sample(y, x)).collect();
            rows.push(0);
            rows.extend(
                row.chunks(8 / bits).map(|packed| packed.iter().enumerate().fold(0, |byte, (i, v)| byte | v << (8 - bits * (i + 1)))),
            );
        }
    }
    rows
}

fn lzw(chunk: Vec<u8>) -> Vec<u8> {
    weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&chunk).unwrap()
}

/// A gray TIFF.
pub(super) struct Tiff {
    pub(super) big: bool,
    pub(super) tile: Option<usize>,
    /// Compressed with LZW after this predictor.
    pub(super) lzw: Option<usize>,
    pub(super) white_is_zero: bool,
    pub(super) spec: FrameSpec,
    pub(super) pages: usize,
}

impl Tiff {
    fn word(&self, value: usize) -> Vec<u8> {
        let value = value as u32;
        if self.big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
    }

    fn half(&self, value: usize) -> Vec<u8> {
        let value = value as u16;
        if self.big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
    }

    /// The bytes of one row after the predictor, from samples in the byte order of the file.
    fn predicted(&self, samples: Vec<Vec<u8>>) -> Vec<u8> {
        let size = self.spec.dtype.size();
        let value = |sample: &[u8]| sample.iter().rev().fold(0_u32, |value, &byte| value << 8 | u32::from(byte));
        match self.lzw {
            Some(2) => {
                let little = |i: usize| {
                    let mut sample = samples[i].clone();
                    if self.big {
                        sample.reverse();
                    }
                    value(&sample)
                };
                let differences = (0..samples.len()).map(|i| little(i).wrapping_sub(if i > 0 { little(i - 1) } else { 0 }));
                let in_order = |d: u32| if self.big { d.to_be_bytes()[4 - size..].to_vec() } else { d.to_le_bytes()[..size].to_vec() };
                differences.flat_map(in_order).collect()
            }
            Some(3) => {
                // All most significant bytes first.
                let place = |i: usize| if self.big { i } else { size - 1 - i };
                let bytes: Vec<u8> = (0..size).flat_map(|i| samples.iter().map(move |s| s[place(i)])).collect();
                (0..bytes.len()).map(|i| bytes[i].wrapping_sub(if i > 0 { bytes[i - 1] } else { 0 })).collect()
            }
            _ => samples.concat(),
        }
    }

    /// The strips or tiles, in the byte order of the file. Tiles at the edge are padded with zeros.
    fn chunks(&self, pixels: &[u8]) -> Vec<Vec<u8>> {
        let FrameSpec { height, width, dtype } = self.spec;
        let size = dtype.size();
        if pixels.is_empty() {
            return vec![vec![0; 16]; 4];
        }
        let (rows, columns) = self.tile.map_or((10, width), |tile| (tile, tile));
        let padded = |length: usize| self.tile.map_or(length, |tile| length.next_multiple_of(tile));
        let mut image = Array3::zeros((padded(height), padded(width), size));
        image.slice_mut(s![..height, ..width, ..]).assign(&ArrayView3::from_shape((height, width, size), pixels).unwrap());
        if self.big {
            image.invert_axis(Axis(2));
        }
        let mut chunks = Vec::new();
        for strip in image.axis_chunks_iter(Axis(0), rows) {
            for chunk in strip.axis_chunks_iter(Axis(1), columns) {
                let row = |row: ndarray::ArrayView2<'_, u8>| self.predicted(row.outer_iter().map(|sample| sample.to_vec()).collect());
                let chunk = chunk.outer_iter().flat_map(row).collect();
                chunks.push(if self.lzw.is_some() { lzw(chunk) } else { chunk });
            }
        }
        chunks
    }

    pub(super) fn encode(&self, pixels: &[u8]) -> Vec<u8> {
        let mut file = if self.big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        let chunks = self.chunks(pixels);
        let mut at = 8 + 8 * chunks.len();
        let offsets: Vec<usize> = chunks
            .iter()
            .map(|c| {
                at += c.len();
                at - c.len()
            })
            .collect();
        let sizes = chunks.iter().map(Vec::len);
        let directory = at.next_multiple_of(2);
        file.extend(self.word(directory));
        offsets.iter().copied().chain(sizes).for_each(|value| file.extend(self.word(value)));
        chunks.iter().for_each(|chunk| file.extend(chunk));
        file.resize(directory, 0);
        let format = if self.spec.dtype.is_integer() { 1 } else { 3 };
        let (offsets_tag, sizes_tag) = if self.tile.is_some() { (324, 325) } else { (273, 279) };
        // Tag, count, value or offset.
        let mut tags = vec![(256, 1, self.spec.width), (257, 1, self.spec.height), (258, 1, 8 * self.spec.dtype.size())];
        tags.extend([(259, 1, if self.lzw.is_some() { 5 } else { 1 }), (317, 1, self.lzw.unwrap_or(1))]);
        tags.extend([(262, 1, usize::from(!self.white_is_zero)), (277, 1, 1), (339, 1, format)]);
        // The directory contains a single value itself.
        let (offsets_at, sizes_at) = if chunks.len() == 1 { (offsets[0], chunks[0].len()) } else { (8, 8 + 4 * chunks.len()) };
        tags.extend([(offsets_tag, chunks.len(), offsets_at), (sizes_tag, chunks.len(), sizes_at)]);
        match self.tile {
            Some(tile) => tags.extend([(322, 1, tile), (323, 1, tile)]),
            None => tags.push((278, 1, 10)),
        }
        tags.sort_unstable();
        for page in 1..=self.pages {
            file.extend(self.half(tags.len()));
            for &(tag, count, value) in &tags {
                // Type 4 is a 32-bit number.
                file.extend([self.half(tag), self.half(4), self.word(count), self.word(value)].concat());
            }
            let next = if page < self.pages { file.len() + 4 } else { 0 };
            file.extend(self.word(next));
        }
        file
    }
}

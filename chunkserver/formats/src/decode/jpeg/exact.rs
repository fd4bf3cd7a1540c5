//! A decoder of sequential and progressive JPEG with Huffman coding: T.81, annexes F and G. It computes the pixels of libjpeg-turbo, which
//! Pillow uses: <https://github.com/libjpeg-turbo/libjpeg-turbo>. Data that ends early, a missing restart marker or a missing scan is an
//! error; libjpeg fills such parts with gray or interpolates.
//!
//! It takes the memory of [`bytes`]. The caller compares the shape before.

use super::block::{self, Spectrum, State};
use super::header::{Component, END_OF_IMAGE, HUFFMAN, Header, QUANTIZATION, RESTART_INTERVAL, START_OF_SCAN, Segment, segment};
use super::huffman::{self, Bits, Table};
use super::{corrupt, truncated};
use crate::decode::Error;

/// Most blocks in a unit of an interleaved scan: T.81, B.2.3.
const MOST_BLOCKS: usize = 10;

/// A component and its coefficients.
pub(super) struct Plane {
    pub(super) component: Component,
    /// Samples of the component, without padding.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks in a row and in a column, with the padding of interleaved scans.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) coefficients: Vec<[i16; 64]>,
    /// The quantization table at the first scan of the component, in the order of the file.
    pub(super) quantization: [u16; 64],
    /// The lowest bit that each coefficient has, `None` before its first scan.
    accuracy: [Option<u32>; 64],
}

struct Tables {
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: usize,
}

/// A component of a scan.
struct Selected {
    plane: usize,
    dc: usize,
    ac: usize,
}

struct Scan {
    components: Vec<Selected>,
    spectrum: Spectrum,
}

/// Bytes of all coefficients (int16) and samples (uint8), with the padding of blocks.
pub(super) fn bytes(header: &Header) -> u64 {
    let (h_max, v_max) = header.largest();
    let units = header.width.div_ceil(8 * h_max) * header.height.div_ceil(8 * v_max);
    let blocks: usize = header.components.iter().map(|component| units * component.h * component.v).sum();
    blocks as u64 * 64 * 3
}

/// The coefficients of all components.
pub(super) fn coefficients(bytes: &[u8], header: &Header) -> Result<Vec<Plane>, Error> {
    let mut planes = planes(header);
    let mut tables = Tables { quantization: [None; 4], dc: [const { None }; 4], ac: [const { None }; 4], restart_interval: 0 };
    let mut at = 2;
    loop {
        let Segment { marker, data, end } = segment(bytes, at)?;
        at = end;
        match marker {
            QUANTIZATION => tables.quantization(data)?,
            HUFFMAN => tables.huffman(data)?,
            RESTART_INTERVAL => match data {
                &[high, low] => tables.restart_interval = usize::from(u16::from_be_bytes([high, low])),
                _ => return Err(corrupt("a restart interval of another size than two bytes")),
            },
            START_OF_SCAN => {
                let scan = Scan::read(data, header, &mut planes, &tables)?;
                at = decode(bytes, at, &scan, header, &mut planes, &mut tables)?;
            }
            END_OF_IMAGE => break,
            // A second frame.
            0xc0..=0xc2 if at > header.scan => return Err(corrupt("two frames")),
            _ => {}
        }
    }
    if planes.iter().all(|plane| plane.accuracy == [Some(0); 64]) { Ok(planes) } else { Err(corrupt("a scan is missing")) }
}

fn planes(header: &Header) -> Vec<Plane> {
    let (h_max, v_max) = header.largest();
    let (units_across, units_down) = (header.width.div_ceil(8 * h_max), header.height.div_ceil(8 * v_max));
    let plane = |&component: &Component| {
        let (across, down) = (units_across * component.h, units_down * component.v);
        Plane {
            component,
            width: (header.width * component.h).div_ceil(h_max),
            height: (header.height * component.v).div_ceil(v_max),
            across,
            down,
            coefficients: vec![[0; 64]; across * down],
            quantization: [0; 64],
            accuracy: [None; 64],
        }
    };
    header.components.iter().map(plane).collect()
}

impl Tables {
    /// T.81, B.2.4.1.
    fn quantization(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while let [kind, rest @ ..] = data {
            let size = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * size).ok_or_else(|| corrupt("a quantization table that is too short"))?;
            let slot = self.quantization.get_mut(usize::from(kind & 15)).ok_or_else(|| corrupt("a fifth quantization table"))?;
            let value = |i: usize| values[i * size..(i + 1) * size].iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
            *slot = Some(std::array::from_fn(value));
            data = rest;
        }
        Ok(())
    }

    /// T.81, B.2.4.2.
    fn huffman(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while let [kind, rest @ ..] = data {
            let (counts, rest) = rest.split_first_chunk().ok_or_else(|| corrupt("a Huffman table that is too short"))?;
            let size = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(size).ok_or_else(|| corrupt("a Huffman table that is too short"))?;
            let class = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *class.get_mut(usize::from(kind & 15)).ok_or_else(|| corrupt("a fifth Huffman table"))? = Some(Table::new(counts, values)?);
            data = rest;
        }
        Ok(())
    }

    /// Defines the tables that frames of motion JPEG imply, as libjpeg does.
    fn imply(&mut self, component: &Selected) -> Result<(), Error> {
        for (class, index, ac) in [(&mut self.dc, component.dc, false), (&mut self.ac, component.ac, true)] {
            if class[index].is_none() {
                class[index] = Some(huffman::typical(ac, index)?);
            }
        }
        Ok(())
    }
}

impl Scan {
    /// T.81, B.2.3.
    fn read(data: &[u8], header: &Header, planes: &mut [Plane], tables: &Tables) -> Result<Self, Error> {
        let Some((&count, data)) = data.split_first() else { return Err(corrupt("an empty scan header")) };
        let count = usize::from(count);
        let (selectors, &[first, last, bits]) = data
            .split_at_checked(2 * count)
            .and_then(|(a, b)| Some((a, b.first_chunk()?)))
            .ok_or_else(|| corrupt("a scan header that is too short"))?;
        let mut components = Vec::with_capacity(count);
        for pair in selectors.chunks_exact(2) {
            let plane =
                planes.iter().position(|plane| plane.component.id == pair[0]).ok_or_else(|| corrupt("a scan of an unknown component"))?;
            if components.iter().any(|other: &Selected| other.plane == plane) || pair[1] & 0xcc != 0 {
                return Err(corrupt("a scan header is inconsistent"));
            }
            components.push(Selected { plane, dc: usize::from(pair[1] >> 4), ac: usize::from(pair[1] & 15) });
        }
        let spectrum = if header.progressive {
            Spectrum { first: first.into(), last: last.into(), high: u32::from(bits >> 4), low: u32::from(bits & 15) }
        } else {
            Spectrum { first: 0, last: 63, high: 0, low: 0 }
        };
        let Spectrum { first, last, high, low } = spectrum;
        let band = if first == 0 { last == 0 } else { last >= first && last < 64 && count == 1 };
        let refines = high == 0 || high == low + 1;
        if count == 0 || low > 13 || header.progressive && !(band && refines) {
            return Err(corrupt("a scan header is inconsistent"));
        }
        for plane in components.iter().map(|component| component.plane) {
            let plane = &mut planes[plane];
            if plane.accuracy == [None; 64] {
                let table = tables.quantization[plane.component.table];
                plane.quantization = table.ok_or_else(|| corrupt("a quantization table is missing"))?;
            }
            for accuracy in &mut plane.accuracy[first..=last] {
                if *accuracy != (high > 0).then_some(high) {
                    return Err(corrupt("the scans are out of order"));
                }
                *accuracy = Some(low);
            }
        }
        Ok(Self { components, spectrum })
    }
}

/// Decodes the data of one scan. Returns where the next marker is.
fn decode(bytes: &[u8], at: usize, scan: &Scan, header: &Header, planes: &mut [Plane], tables: &mut Tables) -> Result<usize, Error> {
    if !header.progressive {
        scan.components.iter().try_for_each(|component| tables.imply(component))?;
    }
    let interleaved = scan.components.len() > 1;
    let units = |component: &Selected| {
        let plane = &planes[component.plane];
        if interleaved {
            (plane.across / plane.component.h, plane.down / plane.component.v)
        } else {
            (plane.width.div_ceil(8), plane.height.div_ceil(8))
        }
    };
    let (units_across, units_down) = scan.components.first().map_or((0, 0), units);
    // Blocks of each component in a unit.
    let blocks = |plane: &Plane| if interleaved { (plane.component.h, plane.component.v) } else { (1, 1) };
    if scan.components.iter().map(|c| blocks(&planes[c.plane])).map(|(h, v)| h * v).sum::<usize>() > MOST_BLOCKS {
        return Err(corrupt("a unit of more than 10 blocks"));
    }
    let mut bits = Bits::new(bytes, at);
    let mut states = [State::default(); 4];
    for unit in 0..units_across * units_down {
        if tables.restart_interval > 0 && unit > 0 && unit.is_multiple_of(tables.restart_interval) {
            bits.restart(unit / tables.restart_interval - 1)?;
            states = [State::default(); 4];
        }
        let (row, column) = (unit / units_across, unit % units_across);
        for (component, state) in scan.components.iter().zip(&mut states) {
            let plane = &mut planes[component.plane];
            let (h, v) = blocks(plane);
            let (dc, ac) = (tables.dc[component.dc].as_ref(), tables.ac[component.ac].as_ref());
            for (y, x) in (0..v).flat_map(|y| (0..h).map(move |x| (y, x))) {
                let block = &mut plane.coefficients[(row * v + y) * plane.across + column * h + x];
                decode_block(&mut bits, header.progressive, dc, ac, scan.spectrum, state, block)?;
            }
        }
    }
    bits.next_marker().ok_or_else(|| truncated(bytes))
}

fn decode_block(
    bits: &mut Bits<'_>,
    progressive: bool,
    dc: Option<&Table>,
    ac: Option<&Table>,
    scan: Spectrum,
    state: &mut State,
    block: &mut [i16; 64],
) -> Result<(), Error> {
    let missing = || corrupt("a Huffman table is missing");
    match (progressive, scan.first, scan.high) {
        (false, ..) => block::sequential(bits, dc.ok_or_else(missing)?, ac.ok_or_else(missing)?, state, block),
        (true, 0, 0) => block::progressive_dc(bits, Some(dc.ok_or_else(missing)?), scan, state, block),
        (true, 0, _) => block::progressive_dc(bits, None, scan, state, block),
        (true, _, 0) => block::first_ac(bits, ac.ok_or_else(missing)?, scan, state, block),
        (true, _, _) => block::refine_ac(bits, ac.ok_or_else(missing)?, scan, state, block),
    }
}

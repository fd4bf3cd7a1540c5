//! The coefficients of one block of 8×8 pixels: sequential (T.81, F.2.2) and progressive (T.81, G.1.2 and G.2).

use super::corrupt;
use super::huffman::{Bits, Table};
use crate::decode::Error;

/// The place of the coefficients in a block, in the order of the file: T.81, figure 5.
#[rustfmt::skip]
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The parameters of a scan: T.81, B.2.3.
#[derive(Clone, Copy)]
pub(super) struct Spectrum {
    /// First and last coefficient.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Bit of the previous scan of these coefficients, or 0; bit of this scan.
    pub(super) high: u32,
    pub(super) low: u32,
}

/// The state of one component between blocks.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    /// The previous DC coefficient.
    pub(super) dc: i32,
    /// Blocks that follow and have no more coefficients in this scan.
    pub(super) empty: u32,
}

type Block = [i16; 64];

pub(super) fn sequential(bits: &mut Bits<'_>, dc: &Table, ac: &Table, state: &mut State, block: &mut Block) -> Result<(), Error> {
    block.fill(0);
    block[0] = first_dc(bits, dc, state, 0)?;
    let mut k = 1;
    while k < 64 {
        let code = bits.code(ac)?;
        let (run, size) = (usize::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if run < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += run;
        *coefficient(block, k)? = bits.signed(size)? as i16;
        k += 1;
    }
    Ok(())
}

fn coefficient(block: &mut Block, k: usize) -> Result<&mut i16, Error> {
    let place = ZIGZAG.get(k).ok_or_else(|| corrupt("a coefficient beyond its block"))?;
    Ok(&mut block[*place])
}

fn first_dc(bits: &mut Bits<'_>, dc: &Table, state: &mut State, low: u32) -> Result<i16, Error> {
    let size = u32::from(bits.code(dc)?);
    if size > 15 {
        return Err(corrupt("a DC coefficient of more than 15 bits"));
    }
    state.dc = state.dc.wrapping_add(bits.signed(size)?);
    Ok((state.dc << low) as i16)
}

/// A block of a scan of DC coefficients.
pub(super) fn progressive_dc(
    bits: &mut Bits<'_>,
    dc: Option<&Table>,
    scan: Spectrum,
    state: &mut State,
    block: &mut Block,
) -> Result<(), Error> {
    match dc {
        Some(dc) => block[0] = first_dc(bits, dc, state, scan.low)?,
        None => block[0] |= (bits.bits(1)? << scan.low) as i16,
    }
    Ok(())
}

/// A block of the first scan of AC coefficients.
pub(super) fn first_ac(bits: &mut Bits<'_>, ac: &Table, scan: Spectrum, state: &mut State, block: &mut Block) -> Result<(), Error> {
    if state.empty > 0 {
        state.empty -= 1;
        return Ok(());
    }
    let mut k = scan.first;
    while k <= scan.last {
        let code = bits.code(ac)?;
        let (run, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if run < 15 {
                state.empty = (1 << run) + bits.bits(run)? - 1;
                break;
            }
            k += 16;
            continue;
        }
        k += run as usize;
        *coefficient(block, k)? = (bits.signed(size)? << scan.low) as i16;
        k += 1;
    }
    Ok(())
}

/// A block of a scan that adds one bit to AC coefficients.
pub(super) fn refine_ac(bits: &mut Bits<'_>, ac: &Table, scan: Spectrum, state: &mut State, block: &mut Block) -> Result<(), Error> {
    let bit = 1_i16 << scan.low;
    let mut k = scan.first;
    if state.empty == 0 {
        while k <= scan.last {
            let code = bits.code(ac)?;
            let (mut run, size) = (u32::from(code >> 4), code & 15);
            let mut value = 0;
            match size {
                0 if run < 15 => {
                    state.empty = (1 << run) + bits.bits(run)?;
                    break;
                }
                0 => {}
                1 => value = if bits.bits(1)? == 1 { bit } else { -bit },
                _ => return Err(corrupt("a new coefficient of more than one bit")),
            }
            // The new coefficient follows `run` zeros. Coefficients that are not zero lie between these zeros.
            while k <= scan.last {
                let coefficient = coefficient(block, k)?;
                k += 1;
                if *coefficient != 0 {
                    refine(bits, coefficient, bit)?;
                } else if run == 0 {
                    *coefficient = value;
                    break;
                } else {
                    run -= 1;
                }
            }
        }
    }
    if state.empty > 0 {
        while k <= scan.last {
            let coefficient = coefficient(block, k)?;
            if *coefficient != 0 {
                refine(bits, coefficient, bit)?;
            }
            k += 1;
        }
        state.empty -= 1;
    }
    Ok(())
}

fn refine(bits: &mut Bits<'_>, coefficient: &mut i16, bit: i16) -> Result<(), Error> {
    if bits.bits(1)? == 1 && *coefficient & bit == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient < 0 { -bit } else { bit });
    }
    Ok(())
}

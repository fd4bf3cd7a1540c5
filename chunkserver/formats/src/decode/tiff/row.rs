//! The bytes of a row to samples: predictors, byte order, palettes, samples below 8 bits.

use super::header::{Header, Predictor};

/// The conversion of a row.
pub(super) struct Row<'a> {
    predictor: Predictor,
    channels: usize,
    bits: usize,
    /// Whether samples are stored with the most significant byte first.
    swapped: bool,
    grays: Option<&'a [u8; 256]>,
}

impl<'a> Row<'a> {
    pub(super) fn new(header: &'a Header<'_>) -> Self {
        Self {
            predictor: header.predictor,
            channels: header.channels,
            bits: header.bits,
            swapped: header.file.big_endian && header.bits > 8,
            grays: header.grays.as_deref(),
        }
    }

    /// Whether [`Row::restore`] converts a row without another buffer.
    pub(super) fn in_place(&self) -> bool {
        self.bits >= 8 && self.predictor != Predictor::FloatingPoint
    }

    /// Converts whole rows, which are `row_bytes` long, in place.
    pub(super) fn restore(&self, rows: &mut [u8], row_bytes: usize) {
        if self.swapped {
            // The compiler vectorizes a swap of constant size.
            match self.bits {
                16 => rows.as_chunks_mut::<2>().0.iter_mut().for_each(|sample| *sample = u16::from_be_bytes(*sample).to_le_bytes()),
                _ => rows.as_chunks_mut::<4>().0.iter_mut().for_each(|sample| *sample = u32::from_be_bytes(*sample).to_le_bytes()),
            }
        }
        if self.predictor == Predictor::Horizontal {
            for line in rows.chunks_exact_mut(row_bytes) {
                match self.bits {
                    8 => add_previous(line, self.channels, |[a], [b]| [a.wrapping_add(b)]),
                    16 => add_previous(line, self.channels, |a, b| u16::from_le_bytes(a).wrapping_add(u16::from_le_bytes(b)).to_le_bytes()),
                    _ => add_previous(line, self.channels, |a, b| u32::from_le_bytes(a).wrapping_add(u32::from_le_bytes(b)).to_le_bytes()),
                }
            }
        }
        if let Some(grays) = self.grays {
            rows.iter_mut().for_each(|sample| *sample = grays[usize::from(*sample)]);
        }
    }

    /// Converts `line`, a row of a strip or tile, into the first pixels of that row.
    pub(super) fn convert(&self, line: &mut [u8], out: &mut [u8]) {
        if self.predictor == Predictor::FloatingPoint {
            // The differences run through the whole row: all most significant bytes first, then all second bytes.
            add_previous::<1>(line, self.channels, |[a], [b]| [a.wrapping_add(b)]);
            let plane = line.len() / 4;
            for (i, sample) in out.chunks_exact_mut(4).enumerate() {
                sample.copy_from_slice(&[line[3 * plane + i], line[2 * plane + i], line[plane + i], line[i]]);
            }
            return;
        }
        if self.bits < 8 {
            self.unpack(line, out);
            return;
        }
        let line = &mut line[..out.len()];
        self.restore(line, line.len());
        out.copy_from_slice(line);
    }

    /// Samples of 1, 2 or 4 bits, most significant first. Each row starts at a byte.
    fn unpack(&self, line: &[u8], out: &mut [u8]) {
        let mask = (1_u8 << self.bits) - 1;
        for (samples, byte) in out.chunks_mut(8 / self.bits).zip(line) {
            let mut shift = 8;
            for sample in samples {
                shift -= self.bits;
                let value = (byte >> shift) & mask;
                *sample = self.grays.map_or(value, |grays| grays[usize::from(value)]);
            }
        }
    }
}

/// Adds to each sample the sample `channels` positions before.
fn add_previous<const SIZE: usize>(line: &mut [u8], channels: usize, add: impl Fn([u8; SIZE], [u8; SIZE]) -> [u8; SIZE]) {
    let (samples, _) = line.as_chunks_mut::<SIZE>();
    if channels == 1 {
        // The sum stays in a register.
        let mut sum = [0; SIZE];
        for sample in samples {
            sum = add(*sample, sum);
            *sample = sum;
        }
        return;
    }
    for i in channels..samples.len() {
        samples[i] = add(samples[i], samples[i - channels]);
    }
}

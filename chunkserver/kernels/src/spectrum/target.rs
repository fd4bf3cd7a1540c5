//! The targets of spectra: groups of consecutive pixels, in order.

use std::convert::Infallible;

/// Receives the spectra of a band, `[pixel][bin]`, one group of pixels after another.
pub trait Target {
    /// Why there is no space.
    type Error;

    /// Space for the next `values` values. The kernel writes all of them before the next call.
    ///
    /// # Errors
    /// When there is no space. The kernel then stops.
    fn next(&mut self, values: usize) -> Result<&mut [f32], Self::Error>;

    /// Follows the last write to the space of the last call of [`next`](Self::next), while the values are in the cache.
    fn written(&mut self) {}
}

/// Memory for all spectra of a band.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    /// The spectra that are not written yet.
    rest: &'a mut [f32],
}

impl<'a> Whole<'a> {
    pub(super) const fn new(rest: &'a mut [f32]) -> Self {
        Self { rest }
    }
}

impl Target for Whole<'_> {
    type Error = Infallible;

    fn next(&mut self, values: usize) -> Result<&mut [f32], Infallible> {
        let (next, rest) = std::mem::take(&mut self.rest).split_at_mut(values);
        self.rest = rest;
        Ok(next)
    }
}

/// Memory for the spectra of one group, which the next group overwrites: for spectra of which only the sums are needed. The memory stays in the
/// cache.
#[derive(Debug, Default)]
pub struct Overwritten {
    group: Vec<f32>,
}

impl Target for Overwritten {
    type Error = Infallible;

    fn next(&mut self, values: usize) -> Result<&mut [f32], Infallible> {
        if self.group.len() < values {
            self.group.resize(values, 0.0);
        }
        Ok(&mut self.group[..values])
    }
}

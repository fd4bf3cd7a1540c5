//! The place of the decoder in a program that is built without the feature `zarr`: no array opens.

use super::{Error, Frame, Transferred};
use crate::compute::Compute;
use crate::objects::{Access, Error as StoreError};
use crate::source::Source;
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout};
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

/// The keys of one array, none of which is read.
#[derive(Debug)]
pub struct Keys;

impl Keys {
    /// # Errors
    /// None.
    pub fn new(_: Source, _: &Access, _: &str, _: &str) -> Result<Self, StoreError> {
        Ok(Self)
    }
}

/// An opened array. No value exists.
#[derive(Debug)]
pub struct FrameArray(Infallible);

impl FrameArray {
    /// # Errors
    /// Always [`Error::NotBuilt`].
    pub async fn open(_: Keys, _: usize) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }

    /// # Errors
    /// Always [`Error::NotBuilt`].
    pub async fn open_known(_: Keys, _: &job::Zarr, _: usize) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }

    /// No array, no layout.
    pub const fn layout(&self) -> ArrayLayout {
        match self.0 {}
    }

    /// No array, no frame.
    pub const fn frame(&self) -> FrameSpec {
        match self.0 {}
    }

    /// No array, no bytes.
    pub const fn take_transferred(&self) -> Transferred {
        match self.0 {}
    }

    /// # Errors
    /// None: no array exists.
    pub async fn read(
        self: &Arc<Self>,
        _: &Compute,
        _: Range<usize>,
        _: Vec<Vec<u8>>,
        _: bool,
        _: impl Fn(),
    ) -> Result<Vec<Frame>, (usize, Arc<Error>)> {
        match self.0 {}
    }
}

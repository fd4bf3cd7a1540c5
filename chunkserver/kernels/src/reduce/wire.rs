//! Sums as bytes, little endian, in messages between servers.

use api::geometry::Dtype;
use thiserror::Error;

/// The bytes are not sums as this version writes them, or are incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are not sums as this version writes them")]
pub struct Malformed;

/// Appends numbers to a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    /// The element type, as the size of an element.
    pub(crate) fn dtype(&mut self, dtype: Dtype) {
        self.u8(dtype.size() as u8);
    }
    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }
    pub(crate) fn f64s(&mut self, values: &[f64]) {
        for value in values {
            self.bytes(&value.to_le_bytes());
        }
    }
    pub(crate) fn f32s(&mut self, values: &[f32]) {
        for value in values {
            self.bytes(&value.to_le_bytes());
        }
    }
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads numbers from a message. A message that is too short or too long is [`Malformed`].
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = tail;
        Ok(*head)
    }
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }
    pub(crate) fn dtype(&mut self) -> Result<Dtype, Malformed> {
        match self.u8()? {
            1 => Ok(Dtype::Uint8),
            2 => Ok(Dtype::Uint16),
            4 => Ok(Dtype::Float32),
            _ => Err(Malformed),
        }
    }
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    pub(crate) fn usize(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.u64()?).map_err(|_| Malformed)
    }
    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        Ok(u128::from_le_bytes(self.array()?))
    }
    pub(crate) fn f64(&mut self) -> Result<f64, Malformed> {
        Ok(f64::from_le_bytes(self.array()?))
    }
    /// `count` values of `N` bytes. The length of the message is checked before anything is allocated.
    pub(crate) fn arrays<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], Malformed> {
        let bytes = self.bytes(count.checked_mul(N).ok_or(Malformed)?)?;
        Ok(bytes.as_chunks().0)
    }
    pub(crate) fn f64s(&mut self, count: usize) -> Result<Vec<f64>, Malformed> {
        Ok(self.arrays(count)?.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }
    pub(crate) fn f32s(&mut self, count: usize) -> Result<Vec<f32>, Malformed> {
        Ok(self.arrays(count)?.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

//! FNV-1a with 64 bits: the same value in every version and on every machine. <http://www.isthe.com/chongo/tech/comp/fnv/>

/// A hash in progress.
///
/// ```
/// let mut hash = api::hash::Fnv1a::default();
/// hash.write(b"a");
/// assert_eq!(hash.finish(), 0xaf63_dc4c_8601_ec8c);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }

    /// Adds a field: name and bytes, each after its length as a little-endian u64. Bytes cannot move between neighbouring fields
    /// without a change of the hash.
    pub fn field(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.write(&(part.len() as u64).to_le_bytes());
            self.write(part);
        }
    }

    /// The hash of all bytes so far.
    pub const fn finish(self) -> u64 {
        self.0
    }
}

//! Checksums of rows and digests of frames, by XXH3: <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>. Neither protects
//! against an attacker; both find accidents.

use twox_hash::XxHash3_64;

/// The checksum of a row: the pixels that a frame and a band have in common. Damage changes the checksum except with a probability of 2⁻³².
///
/// ```
/// assert_ne!(kernels::checksum::row_checksum(&[1, 2, 3]), kernels::checksum::row_checksum(&[1, 2, 2]));
/// ```
pub fn row_checksum(row: &[u8]) -> u32 {
    // The low half: each half of XXH3 is a good hash by itself.
    XxHash3_64::oneshot(row) as u32
}

/// The digest of a frame as the source sent the frame: of the bytes of its image, or of its pixels if they were not sent one by one.
///
/// ```
/// assert_ne!(kernels::checksum::frame_digest(b"version 1"), kernels::checksum::frame_digest(b"version 2"));
/// ```
pub fn frame_digest(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flipped_bit_changes_the_checksum_and_the_digest() {
        for length in [1, 3, 16, 17, 128, 129, 240, 241, 1000] {
            let row: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            for bit in (0..length * 8).step_by(7) {
                let mut damaged = row.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(row_checksum(&damaged), row_checksum(&row), "bit {bit} of {length} bytes");
                assert_ne!(frame_digest(&damaged), frame_digest(&row), "bit {bit} of {length} bytes");
            }
        }
    }

    #[test]
    fn the_digest_is_the_published_one() {
        // The value of XXH3_64bits of no bytes with seed 0, in the tests of the reference implementation.
        assert_eq!(frame_digest(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(row_checksum(b""), 0x38d3_94c2);
    }
}

//! Random bytes of the system, from the seed: hash maps and the choices of `tokio::select!` depend on them.

use crate::dice::Dice;
use std::sync::{Mutex, PoisonError};

static DICE: Mutex<Option<Dice>> = Mutex::new(None);

/// From now on, the system's random bytes of this process follow from the seed.
pub(crate) fn follow(seed: u64) {
    *DICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Dice::new(seed, "entropy"));
}

/// Replaces the function of the C library, which the standard library calls: <https://man7.org/linux/man-pages/man2/getrandom.2.html>.
///
/// # Safety
/// `buffer` has `length` bytes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller owns the buffer.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    let mut dice = DICE.lock().unwrap_or_else(PoisonError::into_inner);
    let dice = dice.get_or_insert_with(|| Dice::new(0, "entropy"));
    buffer.fill_with(|| dice.next() as u8);
    length as isize
}

//! Writes to a scratch file from a few buffers that are used again, and reads into memory of the caller. Where the file system permits, both
//! bypass the page cache: memory that is touched for the first time costs more time than the disk, and dirty pages would count as memory of the
//! control group
//! (<https://man7.org/linux/man-pages/man2/open.2.html>, `O_DIRECT`).

use super::{Error, Mapping};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Direct writes begin and end at multiples of this number of bytes: the largest sector of common disks.
pub const ALIGNMENT: usize = 4096;

/// A buffer, aligned to a page.
pub(super) type Buffer = Mapping;

/// Bytes of a buffer for the file.
pub(super) struct Write {
    pub(super) buffer: Buffer,
    /// Bytes of the buffer that are written.
    pub(super) bytes: usize,
    /// Position in the file, in bytes.
    pub(super) offset: u64,
    /// Called with the result by the thread that writes.
    pub(super) done: Box<dyn FnOnce(std::io::Result<()>) + Send>,
}

/// Buffers and a thread that writes them in order. The thread ends with the writer, after the last write.
pub(super) struct Writer {
    queue: Arc<Queue>,
    /// Bytes of each buffer.
    pub(super) buffer_bytes: usize,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("buffer_bytes", &self.buffer_bytes).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Notified by every change of the state.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Buffer>,
    waiting: VecDeque<Write>,
    closed: bool,
}

impl Queue {
    /// Waits until `take` finds something in the state.
    fn wait<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = take(&mut state) {
                return found;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Writer {
    /// A writer of `file` with `buffers` buffers of `buffer_bytes` bytes, a multiple of [`ALIGNMENT`].
    pub(super) fn new(file: File, buffers: usize, buffer_bytes: usize) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let idle: Result<Vec<Buffer>, Error> = (0..buffers.max(1)).map(|_| Mapping::new(buffer_bytes, None)).collect();
        let idle = idle?;
        queue.change(|state| state.idle = idle);
        let thread = std::thread::Builder::new().name("scratch".into());
        let of_thread = Arc::clone(&queue);
        thread.spawn(move || write_all(&file, &of_thread)).map_err(Error::Thread)?;
        Ok(Self { queue, buffer_bytes })
    }

    /// Waits for a buffer: until the disk has written an earlier one.
    pub(super) fn buffer(&self) -> Buffer {
        self.queue.wait(|state| state.idle.pop())
    }

    /// Returns a buffer without a write.
    pub(super) fn give_back(&self, buffer: Buffer) {
        self.queue.change(|state| state.idle.push(buffer));
    }

    /// Writes later, in the order of calls.
    pub(super) fn write(&self, write: Write) {
        self.queue.change(|state| state.waiting.push_back(write));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.change(|state| state.closed = true);
    }
}

/// The work of the thread.
fn write_all(file: &File, queue: &Queue) {
    let mut direct = set_direct(file, true).is_ok();
    loop {
        let next = queue.wait(|state| match state.waiting.pop_front() {
            // The file has no name, so that the store was its only reader.
            Some(_) | None if state.closed => Some(None),
            write => write.map(Some),
        });
        let Some(Write { buffer, bytes, offset, done }) = next else { return };
        let mut result = file.write_all_at(&buffer.as_slice()[..bytes], offset);
        if direct && is_invalid(&result) {
            // The file system accepts the flag and not the alignment.
            direct = false;
            result = set_direct(file, false).and_then(|()| file.write_all_at(&buffer.as_slice()[..bytes], offset));
        }
        done(result);
        queue.change(|state| state.idle.push(buffer));
    }
}

/// Fills `to` from `offset` on. The position, the length and the memory are multiples of [`ALIGNMENT`].
pub(super) fn read(file: &File, to: &mut [u8], offset: u64) -> Result<(), Error> {
    let mut result = file.read_exact_at(to, offset);
    if is_invalid(&result) {
        // The file system accepts direct writes and no direct reads.
        result = set_direct(file, false).and_then(|()| file.read_exact_at(to, offset));
    }
    result.map_err(Error::Read)
}

fn is_invalid(result: &std::io::Result<()>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::EINVAL as i32))
}

fn set_direct(file: &File, direct: bool) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
        fcntl(file, FcntlArg::F_SETFL(if direct { flags | OFlag::O_DIRECT } else { flags - OFlag::O_DIRECT }))?;
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, direct);
        Err(Errno::ENOTSUP.into())
    }
}

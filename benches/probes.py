"""What the machine itself can do: the rate of the first touch of memory, and of direct writes to the scratch disk.

    python3 benches/probes.py
"""

import mmap
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

GIB = 1 << 30
PAGE = mmap.PAGESIZE


def touch(size):
    """Touches fresh memory in huge pages; the seconds of system time."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    before = os.times()
    # One byte of each page, by one copy.
    memory[::PAGE] = bytes(size // PAGE)
    after = os.times()
    return after.system - before.system + after.user - before.user


def fresh_memory(size=4 * GIB, pause=10):
    """CPU seconds for the first touch of a GiB, on all processors at once, after a pause in which a hypervisor takes free pages back."""
    time.sleep(pause)
    cores = len(os.sched_getaffinity(0))
    each = size // cores // PAGE * PAGE
    with ProcessPoolExecutor(cores) as pool:
        return sum(pool.map(touch, [each] * cores)) / (each * cores / GIB)


def direct_writes(size=4 * GIB, block=4 << 20, folder=None):
    """Bytes a second of sequential writes that bypass the page cache; None if the file system does not support them."""
    memory = mmap.mmap(-1, block)
    memory.write(os.urandom(1 << 20) * (block >> 20))
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            path = f"/proc/self/fd/{file.fileno()}"
            direct = os.open(path, os.O_RDWR | os.O_DIRECT)
            try:
                os.posix_fallocate(direct, 0, size)
                begin = time.monotonic()
                for offset in range(0, size, block):
                    os.pwrite(direct, memory, offset)
                return size / (time.monotonic() - begin)
            finally:
                os.close(direct)
    except OSError:
        return None


def main():
    print(f"first touch of memory: {fresh_memory():.2f} CPU s a GiB")
    rate = direct_writes()
    print("direct writes are not supported" if rate is None else f"direct writes: {rate / 1e9:.2f} GB/s")


if __name__ == "__main__":
    main()

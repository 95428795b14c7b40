//! Memory that appears twice in a row.

use super::check;
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// `size` bytes of a file, mapped twice, one image right behind the other; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Twice {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: it owns its addresses, and hands out references to them only as it is borrowed itself.
unsafe impl Send for Twice {}
// SAFETY: as above; a shared one is only read.
unsafe impl Sync for Twice {}

impl Twice {
    /// Maps the first `size` bytes of `file`, which has at least as many; `size` is a multiple of the
    /// page size. Children do not inherit it.
    pub(crate) fn map(file: BorrowedFd, size: usize) -> Result<Twice, Errno> {
        let both = size.checked_mul(2).ok_or(Errno::NOMEM)?;
        let place = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new range at an address the kernel chooses; nothing that exists is touched.
        let base = unsafe { libc::mmap(ptr::null_mut(), both, libc::PROT_NONE, place, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(super::last_errno());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?;
        // From here on dropping it unmaps the whole range, whatever has been mapped into it.
        let twice = Twice { base, size };
        for image in 0..2 {
            let flags = libc::MAP_SHARED | libc::MAP_FIXED;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: both images lie in the range reserved above, which nobody else knows.
            let mapped = unsafe {
                let at = base.as_ptr().add(image * size).cast();
                libc::mmap(at, size, access, flags, file.as_raw_fd(), 0)
            };
            if mapped == libc::MAP_FAILED {
                return Err(super::last_errno());
            }
        }
        // SAFETY: the range is ours; the advice changes nothing in this process.
        check(unsafe { libc::madvise(base.as_ptr().cast(), both, libc::MADV_DONTFORK) }.into())?;
        Ok(twice)
    }

    /// Bytes of one image.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// `length` bytes from `at` on. Panics if that is not within one image's length from its first.
    pub(crate) fn bytes(&self, at: usize, length: usize) -> &[u8] {
        assert!(at < self.size && length <= self.size);
        // SAFETY: within the two images; whoever writes has borrowed `self` alone.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), length) }
    }

    /// As [`Twice::bytes`], to `change` them; no two of them are the same memory.
    pub(crate) fn change<R>(
        &mut self,
        at: usize,
        length: usize,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        assert!(at < self.size && length <= self.size);
        // SAFETY: within the two images, and not longer than one: each byte has one address here.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(at), length) };
        let result = change(bytes);
        // The compiler is not to take what it read at a byte's other address for what is there now.
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        result
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by us, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), 2 * self.size) };
    }
}

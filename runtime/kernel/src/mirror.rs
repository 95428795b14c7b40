//! A block of memory whose end is followed by its beginning: for buffers that go round.

use crate::error::{Called, Errno, Result, SysError};
use crate::fd;
use crate::sys::mapping::Twice;
use std::os::fd::AsFd;

/// Memory that is mapped twice in a row, so that a stretch across its end lies in one piece.
///
/// Children that are forked do not have it. It takes the memory that was written to, and its size at
/// most.
#[derive(Debug)]
pub struct Mirror(Twice);

impl Mirror {
    /// `size` bytes, all zero; `name` is what /proc shows.
    ///
    /// # Errors
    /// EINVAL for a size that is no multiple of the page size; the kernel has no memory.
    pub fn new(name: &str, size: usize) -> Result<Mirror> {
        let failed = |errno| SysError::new("mmap", format!("{name}, {size} bytes, twice"), errno);
        if size == 0 || !size.is_multiple_of(rustix::param::page_size()) {
            return Err(failed(Errno::INVAL));
        }
        let memory = fd::memfd(name, libc::MFD_NOEXEC_SEAL)?;
        rustix::fs::ftruncate(&memory, size as u64)
            .called("ftruncate", || format!("{name}, {size}"))?;
        Twice::map(memory.as_fd(), size).map(Mirror).map_err(failed)
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// `length` bytes from `at` on, going round.
    ///
    /// # Panics
    /// `at` is not below, or `length` above, the size.
    pub fn bytes(&self, at: usize, length: usize) -> &[u8] {
        self.0.bytes(at, length)
    }

    /// Lets `change` write to `length` bytes from `at` on, going round.
    ///
    /// # Panics
    /// As [`Mirror::bytes`].
    pub fn change<R>(
        &mut self,
        at: usize,
        length: usize,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        self.0.change(at, length, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_across_the_end_is_at_the_beginning() {
        let page = rustix::param::page_size();
        let mut mirror = Mirror::new("mirror", 2 * page).unwrap();
        assert_eq!(mirror.bytes(0, 2 * page), vec![0; 2 * page]);
        mirror.change(2 * page - 2, 4, |bytes| bytes.copy_from_slice(b"abcd"));
        assert_eq!(mirror.bytes(0, 2), b"cd");
        assert_eq!(mirror.bytes(2 * page - 1, 3), b"bcd");
        mirror.change(0, 1, |bytes| bytes[0] = b'C');
        assert_eq!(mirror.bytes(2 * page - 2, 4), b"abCd");
    }

    #[test]
    fn only_whole_pages_are_mapped() {
        for size in [0, 1, rustix::param::page_size() + 1] {
            assert!(
                Mirror::new("mirror", size).unwrap_err().is(Errno::INVAL),
                "{size}"
            );
        }
        assert!(Mirror::new("mirror", usize::MAX & !0xffff).is_err());
    }

    #[test]
    fn it_is_gone_when_it_is_dropped() {
        let name = "a-mirror-that-is-dropped";
        let mapped = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().filter(|line| line.contains(name)).count()
        };
        let mirror = Mirror::new(name, rustix::param::page_size()).unwrap();
        assert_eq!(mapped(), 2);
        drop(mirror);
        assert_eq!(mapped(), 0);
    }
}

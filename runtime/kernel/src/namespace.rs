//! Namespace files: what kind of namespace one is, found out before anybody enters it.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::file::open_path;
use crate::procfs::NSFS_MAGIC;
use crate::sys::calls;
use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Opens the namespace file at `path`, links followed: `/proc/42/ns/net`, or what is bound elsewhere.
///
/// # Errors
/// EINVAL for whatever is no namespace; that is never opened itself, so that no device or pipe acts.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let found = open_path(path)?;
    let args = || describe(found.as_fd());
    let filesystem = retry(|| fstatfs(&found)).called("fstatfs", args)?;
    if filesystem.f_type as u64 != NSFS_MAGIC {
        return Err(SysError::new(
            "openat",
            format!("{path:?}: not a namespace"),
            Errno::INVAL,
        ));
    }
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    retry(|| openat(CWD, again.as_str(), flags, Mode::empty())).called("openat", args)
}

/// The kind of an open namespace, as its CLONE_NEW* bit.
pub fn kind(namespace: BorrowedFd) -> Result<u64> {
    retry(|| calls::namespace_type(namespace)).called("ioctl", || {
        format!("{}, NS_GET_NSTYPE", describe(namespace))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_file_tells_what_it_is() {
        for (name, bit) in [
            ("net", libc::CLONE_NEWNET),
            ("mnt", libc::CLONE_NEWNS),
            ("uts", libc::CLONE_NEWUTS),
        ] {
            let file = open(&Path::new("/proc/self/ns").join(name)).unwrap();
            assert_eq!(kind(file.as_fd()).unwrap(), bit as u64, "{name}");
        }
        for path in ["/dev/null", "/proc/self/status", "/"] {
            let error = open(Path::new(path)).unwrap_err();
            assert!(error.is(Errno::INVAL), "{path}: {error}");
        }
        assert!(open(Path::new("/no/such")).unwrap_err().is(Errno::NOENT));
    }
}

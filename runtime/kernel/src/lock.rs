//! Locks on open files.

use crate::error::{Errno, Result, SysError};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Tells whether somebody else holds a write lock on the file: an open file description lock, or,
/// where the kernel or filesystem has none, a flock.
pub fn is_locked(file: BorrowedFd) -> Result<bool> {
    // SAFETY: a flock structure of zeros is valid: the whole file from its beginning.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is borrowed for the call and the structure outlives it.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut lock) };
    if asked == 0 {
        return Ok(lock.l_type != libc::F_UNLCK as libc::c_short);
    }
    match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(SysError::new("flock", crate::fd::describe(file), error)),
    }
}

/// Takes a write lock on the whole file for this open description; it goes with the last
/// descriptor. Does not wait.
///
/// # Errors
/// EAGAIN when somebody else holds one.
pub fn lock(file: BorrowedFd) -> Result<()> {
    // SAFETY: as in `is_locked`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is borrowed for the call and the structure is only read.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO);
    if error != libc::EINVAL {
        let errno = Errno::from_raw_os_error(error);
        return Err(SysError::new("fcntl", crate::fd::describe(file), errno));
    }
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|e| SysError::new("flock", crate::fd::describe(file), e))
}

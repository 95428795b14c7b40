//! Locks on open files.

use crate::error::{Errno, Result, SysError, retry};
use rustix::fs::FlockOperation;
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
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
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
    take(
        file,
        libc::F_OFD_SETLK,
        FlockOperation::NonBlockingLockExclusive,
    )
}

/// The same, waiting without limit for whoever holds one.
pub fn lock_and_wait(file: BorrowedFd) -> Result<()> {
    take(file, libc::F_OFD_SETLKW, FlockOperation::LockExclusive)
}

fn take(file: BorrowedFd, command: libc::c_int, without_ofd: FlockOperation) -> Result<()> {
    // SAFETY: as in `is_locked`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    let taken = retry(|| {
        // SAFETY: the descriptor is borrowed for the call and the structure is only read.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, &lock) } {
            0 => Ok(()),
            _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
        }
    });
    match taken {
        Err(Errno::INVAL) => retry(|| rustix::fs::flock(file, without_ofd))
            .map_err(|e| SysError::new("flock", crate::fd::describe(file), e)),
        taken => taken.map_err(|e| SysError::new("fcntl", crate::fd::describe(file), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn whoever_waits_gets_the_lock_when_it_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let mut options = std::fs::OpenOptions::new();
            options.create(true).truncate(false).read(true).write(true);
            options.open(directory.path().join("lock")).unwrap()
        };
        let (first, second, third) = (open(), open(), open());
        lock(first.as_fd()).unwrap();
        assert!(is_locked(second.as_fd()).unwrap());
        assert!(lock(second.as_fd()).unwrap_err().is(Errno::AGAIN));
        let given_back = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                lock_and_wait(second.as_fd()).unwrap();
                given_back.load(Ordering::SeqCst)
            });
            given_back.store(true, Ordering::SeqCst);
            drop(first);
            assert!(waits.join().unwrap(), "locked while somebody else had it");
        });
        assert!(is_locked(third.as_fd()).unwrap());
    }
}

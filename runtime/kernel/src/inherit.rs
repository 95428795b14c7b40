//! Descriptors that another program left at agreed numbers, and signals to everyone.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::sys::calls;
use rustix::io::fcntl_dupfd_cloexec;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Takes over a descriptor that the program before exec left at `number`: it is moved to another
/// number and marked close-on-exec; `number` itself is closed.
///
/// # Errors
/// EBADF when nothing is open there.
pub fn take(number: RawFd) -> Result<OwnedFd> {
    if number < 0 {
        return Err(SysError::new("fcntl", number.to_string(), Errno::BADF));
    }
    // SAFETY: the number was agreed on with the program that executed us and nothing in this process
    // owns it yet; a number that is not open is answered with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let owned = retry(|| fcntl_dupfd_cloexec(borrowed, number + 1))
        .called("fcntl", || format!("fd {number}, F_DUPFD_CLOEXEC"))?;
    calls::close(number);
    Ok(owned)
}

/// Closes every descriptor from `first` to `last`, both included; nothing if `last` is below.
///
/// As with [`crate::fd::close_from`], owners in that range must be forgotten, never dropped.
pub fn close_between(first: RawFd, last: RawFd) {
    for number in first.max(0)..=last {
        calls::close(number);
    }
}

/// Sends a signal to every other process of the pid namespace whose init the caller is. Nobody there
/// is no error.
///
/// # Errors
/// EPERM for anyone but a namespace's init: from elsewhere this would signal the whole machine.
pub fn signal_everyone(signal: i32) -> Result<()> {
    if std::process::id() != 1 {
        return Err(SysError::new(
            "kill",
            format!("-1, {signal}: not pid 1"),
            Errno::PERM,
        ));
    }
    // SAFETY: kill(2) takes two integers and touches no memory.
    match unsafe { libc::kill(-1, signal) } {
        0 => Ok(()),
        _ => match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ESRCH) => Ok(()),
            code => {
                let errno = Errno::from_raw_os_error(code.unwrap_or(libc::EIO));
                Err(SysError::new("kill", format!("-1, {signal}"), errno))
            }
        },
    }
}

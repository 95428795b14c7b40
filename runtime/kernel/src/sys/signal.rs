//! Signal masks and actions as the kernel keeps them: 64 bits, bit N-1 for signal N.

use super::check;
use rustix::io::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Bytes of the kernel's signal set.
const SET_SIZE: usize = 8;
/// Highest signal number.
pub(crate) const LAST: i32 = 64;

/// rt_sigprocmask(SIG_SETMASK, new): sets the calling thread's mask, returns the one before.
///
/// Not through the C library: that one keeps its two internal signals unblocked, and a child that
/// shares our memory must not run their handlers.
pub(crate) fn set_mask(new: u64) -> Result<u64, Errno> {
    let mut old = 0u64;
    // SAFETY: both sets are 8 bytes long, as the last argument says, and outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const new,
            &raw mut old,
            SET_SIZE,
        )
    })
    .map(|_| old)
}

/// The calling thread's mask.
pub(crate) fn mask() -> Result<u64, Errno> {
    let mut old = 0u64;
    // SAFETY: a null new set only reads; `old` is 8 bytes long and outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            std::ptr::null::<u64>(),
            &raw mut old,
            SET_SIZE,
        )
    })
    .map(|_| old)
}

/// Room for the kernel's sigaction on every architecture; the handler is its first word, and all
/// zero is SIG_DFL without flags. (MIPS, where the flags come first, is not served.)
type Action = [u64; 8];

/// Sets signals 1 to 64 to their default action; those that are ignored only if `ignored_too`.
///
/// Neither allocates nor locks: a child of vfork may call it.
pub(crate) fn reset_actions(ignored_too: bool) {
    let default: Action = [0; 8];
    for signal in 1..=LAST {
        if !ignored_too && is_ignored(signal) {
            continue;
        }
        // KILL and STOP refuse with EINVAL, which is as good as done.
        // SAFETY: `default` is at least as long as the kernel's structure and outlives the call;
        // no handler is installed, so no code of ours is named.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                SET_SIZE,
            )
        };
    }
}

fn is_ignored(signal: i32) -> bool {
    let mut current: Action = [0; 8];
    // SAFETY: a null new action only reads; `current` has room for the kernel's structure.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            std::ptr::null::<u64>(),
            current.as_mut_ptr(),
            SET_SIZE,
        )
    };
    current[0] == libc::SIG_IGN as u64
}

/// Ignores one signal.
pub(crate) fn ignore(signal: i32) -> Result<(), Errno> {
    // SAFETY: SIG_IGN names no code of ours.
    if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(super::last_errno());
    }
    Ok(())
}

/// Gives one signal its default action.
pub(crate) fn default(signal: i32) -> Result<(), Errno> {
    // SAFETY: SIG_DFL names no code of ours.
    if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
        return Err(super::last_errno());
    }
    Ok(())
}

/// signalfd4(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK).
pub(crate) fn signalfd(mask: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: the set is 8 bytes long, as the third argument says, and outlives the call.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const mask,
            SET_SIZE,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        )
    })?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
